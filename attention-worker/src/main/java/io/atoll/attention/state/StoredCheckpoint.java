package io.atoll.attention.state;

import java.nio.file.Path;

/// A checkpoint in a file of its own ([CheckpointFile]).
final class StoredCheckpoint extends Prefix {
    private final Path file;
    private final long bytes;

    /// @param bytes of the file
    StoredCheckpoint(Path file, int tokens, long bytes) {
        super(tokens);
        this.file = file;
        this.bytes = bytes;
    }

    Path file() {
        return file;
    }

    long bytes() {
        return bytes;
    }
}
