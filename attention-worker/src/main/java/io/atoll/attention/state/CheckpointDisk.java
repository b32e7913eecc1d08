package io.atoll.attention.state;

import java.nio.file.Path;

/// Where checkpoints go that memory has no room for.
///
/// @param directory is made if it is absent; one process uses it at a time
/// @param maxBytes of all files in it
/// @param variant what decides the bits of a state beside model and arithmetic: the format that the experts are rounded to
public record CheckpointDisk(Path directory, long maxBytes, String variant) {
    public CheckpointDisk {
        if (maxBytes <= 0) {
            throw new IllegalArgumentException("maxBytes must be positive: " + maxBytes);
        }
    }
}
