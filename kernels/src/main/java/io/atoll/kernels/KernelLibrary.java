package io.atoll.kernels;

import io.atoll.kernels.nativecode.NativeKernels;
import io.atoll.kernels.scalar.ScalarKernels;
import io.atoll.kernels.vector.VectorKernels;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;

/// Picks the kernel family of a process at its start.
public final class KernelLibrary {
    /// What `--kernels` takes for the best C class.
    private static final String BEST_C = "c";

    private KernelLibrary() {}

    /// The best class that runs here, or the one that is asked for.
    ///
    /// @param forced a [KernelClass#label], or `c` for the best C class
    /// @throws KernelUnavailableException if that does not run here
    public static Kernels select(Optional<String> forced) {
        List<KernelClass> available = available();
        if (forced.isEmpty()) {
            return create(available.getLast()).orElseThrow();
        }
        String label = forced.get();
        for (KernelClass candidate : available.reversed()) {
            boolean isC = candidate.compareTo(KernelClass.C_GENERIC) >= 0;
            if (candidate.label().equals(label) || (isC && label.equals(BEST_C))) {
                return create(candidate).orElseThrow();
            }
        }
        throw new KernelUnavailableException(label, available);
    }

    /// The classes that run on this machine, slowest first.
    public static List<KernelClass> available() {
        return Stream.of(KernelClass.values()).filter(c -> create(c).isPresent()).toList();
    }

    private static Optional<Kernels> create(KernelClass kernelClass) {
        return switch (kernelClass) {
            case SCALAR -> Optional.of(new ScalarKernels());
            case VECTOR -> vector();
            case C_GENERIC, C_NEON, C_AVX2, C_AVX512 -> NativeKernels.create(kernelClass);
        };
    }

    /// The module is incubating: it is there if the launcher adds it.
    private static Optional<Kernels> vector() {
        return ModuleLayer.boot().findModule("jdk.incubator.vector").map(_ -> new VectorKernels());
    }

    /// The line a process prints at its start.
    public static String describe(Kernels kernels, int threads) {
        return "kernels "
                + kernels
                + ", arithmetic "
                + kernels.kernelClass().arithmetic()
                + ", "
                + threads
                + (threads == 1 ? " thread" : " threads");
    }
}
