package io.atoll.model.quant;

import java.lang.foreign.MemorySegment;
import java.util.List;

/// A matrix as its GGML blocks lie in the file.
///
/// @param type of every block; none that is a plain float
/// @param rows whole rows each, from top to bottom; borrowed from the mapped file
public record StoredBlocks(GgmlType type, List<MemorySegment> rows) {
    public StoredBlocks {
        if (type.isPlain()) {
            throw new IllegalArgumentException(type + " has no blocks");
        }
        rows = List.copyOf(rows);
    }
}
