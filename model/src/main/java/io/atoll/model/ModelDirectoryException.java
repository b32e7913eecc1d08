package io.atoll.model;

import io.atoll.model.config.ModelFileException;
import java.nio.file.Path;

/// There is no model at a path, a model directory lacks a file, or one of the small files beside configuration and weights is damaged.
///
/// [#where()] is the file that is meant.
public final class ModelDirectoryException extends ModelFileException {
    public ModelDirectoryException(Path directory, String where, String message) {
        super(directory, where, message);
    }

    public ModelDirectoryException(Path directory, String where, String message, Throwable cause) {
        super(directory, where, message, cause);
    }
}
