package io.atoll.attention.state;

/// The state of a sequence as it was after some tokens, kept for sequences that begin with the same ones: a copy of the recurrent
/// states, and the KV blocks of its positions, which others may hold as well.
///
/// The memory belongs to [SequenceStates]. Nobody writes to it before it is released.
final class Checkpoint extends Prefix {
    private final int slot;
    private final BlockTable blockTable;
    private volatile boolean released;

    /// Whether it was handed over to be written to disk.
    boolean offered;

    Checkpoint(int slot, BlockTable blockTable, int tokens) {
        super(tokens);
        this.slot = slot;
        this.blockTable = blockTable;
    }

    /// Where its recurrent states lie.
    int slot() {
        return slot;
    }

    /// Where its keys and values lie; the last block may hold positions of others behind its own.
    BlockTable blockTable() {
        return blockTable;
    }

    /// Whether the memory is no longer its own. What another thread has read of it is good if this is false afterwards.
    boolean isReleased() {
        return released;
    }

    /// Says that its memory goes to others. Comes before they write to it.
    void release() {
        released = true;
    }
}
