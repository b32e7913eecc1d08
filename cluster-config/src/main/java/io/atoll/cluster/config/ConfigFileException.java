package io.atoll.cluster.config;

import java.nio.file.Path;

/// The cluster file cannot be used: where, and why.
public final class ConfigFileException extends Exception {
    private static final long serialVersionUID = 1;

    ConfigFileException(Path file, int line, String field, String problem) {
        super(
                file
                        + (line > 0 ? ":" + line : "")
                        + ": "
                        + (field.isEmpty() ? "" : field + ": ")
                        + problem);
    }
}
