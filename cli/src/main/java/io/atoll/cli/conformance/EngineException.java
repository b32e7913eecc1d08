package io.atoll.cli.conformance;

/// An engine could not start, or a machine or process of it failed. Ends the suite that used it.
final class EngineException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    EngineException(String message) {
        super(message);
    }

    EngineException(String message, Throwable cause) {
        super(message, cause);
    }
}
