package io.atoll.coordinator.cluster;

/// An operator asked for something that cannot be; nothing was changed.
public final class RefusedException extends Exception {
    private static final long serialVersionUID = 1L;

    RefusedException(String message) {
        super(message);
    }
}
