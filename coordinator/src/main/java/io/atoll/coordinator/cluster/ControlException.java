package io.atoll.coordinator.cluster;

/// A worker did not do what it was asked for; the message says why, in its own words where it answered.
final class ControlException extends Exception {
    private static final long serialVersionUID = 1L;

    ControlException(String message, Throwable cause) {
        super(message, cause);
    }
}
