package io.atoll.attention.state;

import java.io.IOException;
import java.nio.file.Path;

/// The directory for checkpoints can't be used. The message names it and says why.
public final class CheckpointDiskException extends RuntimeException {
    private static final long serialVersionUID = 1;

    CheckpointDiskException(Path directory, IOException cause) {
        super("checkpoint-directory " + directory + " can't be used: " + cause.getMessage(), cause);
    }
}
