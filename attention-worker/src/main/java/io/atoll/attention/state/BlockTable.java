package io.atoll.attention.state;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/// Where the KV blocks of one sequence lie: entry `i` is the byte offset, in the memory of any full-attention layer, of the
/// block of positions `i * blockTokens` and up.
public final class BlockTable {
    private final MemorySegment offsets; // int64 [capacity]
    private int blocks;

    /// Whether an open sequence holds the blocks, not a checkpoint.
    private boolean inUse = true;

    BlockTable(MemorySegment offsets) {
        this.offsets = offsets;
    }

    /// The table as the attention kernel reads it, int64.
    public MemorySegment offsets() {
        return offsets;
    }

    /// Byte offset of block `index`.
    public long offset(int index) {
        return offsets.getAtIndex(ValueLayout.JAVA_LONG, index);
    }

    boolean inUse() {
        return inUse;
    }

    void setUnused() {
        inUse = false;
    }

    int blocks() {
        return blocks;
    }

    void append(long offset) {
        offsets.setAtIndex(ValueLayout.JAVA_LONG, blocks++, offset);
    }

    void truncate(int count) {
        blocks = count;
    }
}
