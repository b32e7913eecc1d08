package io.atoll.model.grammar;

/// The tokens that may come next, as those of a shared mask and some more. Immutable.
///
/// @param base tokens that the innermost rules allow wherever they were called
/// @param more tokens that are allowed because of the callers
record TokenMask(LocalMask base, int[] more) {
    long bytes() {
        return 4L * more.length;
    }

    /// Overwrites `out`, one bit for each token.
    void copyTo(long[] out) {
        base.copyTo(out);
        for (int token : more) {
            out[token >> 6] |= 1L << token;
        }
    }
}
