package io.atoll.attention.state;

import java.lang.foreign.MemorySegment;

/// What is kept of one sequence: how many tokens it has seen, its KV blocks and its recurrent states.
///
/// The memory belongs to [SequenceStates] and may be used until the sequence is closed there.
public final class SequenceState {
    private final int slot;
    private final int maxTokens;
    private final BlockTable blockTable;
    private final MemorySegment[] recurrent;
    private final MemorySegment[] conv;
    private final PendingHidden pending;
    private int position;
    private CheckpointFiles.Load load; // null unless a checkpoint is being read into the memory

    SequenceState(
            int slot,
            int maxTokens,
            BlockTable blockTable,
            MemorySegment[] recurrent,
            MemorySegment[] conv,
            PendingHidden pending) {
        this.slot = slot;
        this.maxTokens = maxTokens;
        this.blockTable = blockTable;
        this.recurrent = recurrent;
        this.conv = conv;
        this.pending = pending;
    }

    /// Tokens seen so far, and so the position of the next one.
    public int position() {
        return position;
    }

    /// Longest the sequence may become.
    public int maxTokens() {
        return maxTokens;
    }

    /// Where its keys and values lie.
    public BlockTable blockTable() {
        return blockTable;
    }

    /// Recurrent state `[valueHeads, keyDim, valueDim]` of the `linearLayer`-th Gated DeltaNet layer.
    public MemorySegment recurrent(int linearLayer) {
        return recurrent[linearLayer];
    }

    /// Convolution state `[width - 1, channels]` of the `linearLayer`-th Gated DeltaNet layer, oldest row first.
    public MemorySegment conv(int linearLayer) {
        return conv[linearLayer];
    }

    /// What waits for the prediction module; only where it runs.
    public PendingHidden pending() {
        return pending;
    }

    /// Notes that `rows` more tokens went through every layer.
    public void advance(int rows) {
        if (rows < 0 || rows > maxTokens - position) {
            throw new IllegalStateException(
                    "a sequence of at most "
                            + maxTokens
                            + " tokens cannot go on from "
                            + position
                            + " by "
                            + rows);
        }
        position += rows;
    }

    int slot() {
        return slot;
    }

    /// Whether a checkpoint is being read into it. Until it is, nothing else may use the state.
    boolean isLoading() {
        return load != null;
    }

    CheckpointFiles.Load load() {
        return load;
    }

    void loads(CheckpointFiles.Load begun) {
        load = begun;
    }

    void loaded() {
        load = null;
    }
}
