package io.atoll.attention.state;

import io.atoll.model.config.TextConfig;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/// The last hidden states of a sequence that its multi-token prediction module has not seen yet: those of the positions just before
/// [SequenceState#position]. Each needs the token after it, which for the last one is still to be chosen.
///
/// Lies in the sequence's slot, so that it is copied into checkpoints with the rest.
public final class PendingHidden {
    /// Most rows that wait.
    public static final int MAX_ROWS = 8;

    private static final long HEADER_BYTES = 64;

    private final MemorySegment memory; // int32 count, padding, f32 [MAX_ROWS, hidden]

    PendingHidden(MemorySegment memory) {
        this.memory = memory;
    }

    static long bytes(TextConfig config) {
        return HEADER_BYTES + (long) MAX_ROWS * config.hiddenSize() * Float.BYTES;
    }

    /// How many rows wait.
    public int rows() {
        return memory.get(ValueLayout.JAVA_INT, 0);
    }

    /// @param count at most [#MAX_ROWS]
    public void setRows(int count) {
        if (count < 0 || count > MAX_ROWS) {
            throw new IllegalArgumentException("0 to " + MAX_ROWS + " rows may wait: " + count);
        }
        memory.set(ValueLayout.JAVA_INT, 0, count);
    }

    /// The rows, f32 `[MAX_ROWS, hidden]`, the oldest first.
    public MemorySegment memory() {
        return memory.asSlice(HEADER_BYTES);
    }
}
