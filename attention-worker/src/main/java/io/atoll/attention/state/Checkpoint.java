package io.atoll.attention.state;

/// The state of a sequence as it was after some tokens, kept for sequences that begin with the same ones: a copy of the recurrent
/// states, and the KV blocks of its positions, which others may hold as well.
///
/// The memory belongs to [SequenceStates].
final class Checkpoint {
    private final int slot;
    private final BlockTable blockTable;
    private final int tokens;

    /// When it was last used, on the cache's clock of values ([PrefixCache]).
    double inflation;

    Checkpoint(int slot, BlockTable blockTable, int tokens) {
        this.slot = slot;
        this.blockTable = blockTable;
        this.tokens = tokens;
    }

    /// Where its recurrent states lie.
    int slot() {
        return slot;
    }

    /// Where its keys and values lie; the last block may hold positions of others behind its own.
    BlockTable blockTable() {
        return blockTable;
    }

    /// Tokens it has seen.
    int tokens() {
        return tokens;
    }
}
