package io.atoll.attention.state;

/// What is kept of the first tokens of sequences, in a [PrefixCache].
abstract class Prefix {
    private final int tokens;

    /// When it was last used, on the cache's clock of values.
    double inflation;

    Prefix(int tokens) {
        this.tokens = tokens;
    }

    /// Tokens it has seen.
    final int tokens() {
        return tokens;
    }
}
