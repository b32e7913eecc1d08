package io.atoll.model.checkpoint;

import io.atoll.model.config.ModelFileException;
import java.nio.file.Path;

/// A weight file is missing or damaged, or a tensor is not what the configuration calls for.
///
/// [#where()] is the tensor, or the part of the file's header.
public final class CheckpointException extends ModelFileException {
    public CheckpointException(Path file, String where, String message) {
        super(file, where, message);
    }

    public CheckpointException(Path file, String where, String message, Throwable cause) {
        super(file, where, message, cause);
    }
}
