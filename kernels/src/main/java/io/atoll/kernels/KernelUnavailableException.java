package io.atoll.kernels;

import java.util.List;

/// The kernel class or the device that was asked for does not exist or does not run on this machine.
public final class KernelUnavailableException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    public KernelUnavailableException(String message) {
        super(message);
    }

    KernelUnavailableException(String requested, List<KernelClass> available) {
        super(
                "kernels '"
                        + requested
                        + "' are not available here: available="
                        + available.stream().map(KernelClass::label).toList()
                        + (requested.equals(KernelClass.VECTOR.label())
                                ? "; vector needs the JVM flag --add-modules=jdk.incubator.vector"
                                : ""));
    }
}
