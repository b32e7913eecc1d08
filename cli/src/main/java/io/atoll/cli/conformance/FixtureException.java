package io.atoll.cli.conformance;

import java.nio.file.Path;

/// A golden file is missing, torn, or not of the kind a suite reads. Ends its suite, not the run.
final class FixtureException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    FixtureException(Path file, String problem) {
        super(file + ": " + problem);
    }

    FixtureException(Path file, String problem, Throwable cause) {
        super(file + ": " + problem, cause);
    }
}
