package io.atoll.attention.step;

import io.atoll.proto.Failure;

/// What became of a request to keep a sequence.
public sealed interface Opening {
    /// The sequence is open.
    ///
    /// @param cachedTokens the first tokens that need not be computed again: a checkpoint has seen them. The first step of the
    ///     sequence begins at this position
    record Opened(int cachedTokens) implements Opening {}

    /// The sequence's memory is reserved, and a checkpoint is on its way from disk. [AttentionWorker#opening] says when it is open.
    record Loading() implements Opening {}

    /// The worker does not keep it.
    record Refused(Failure failure) implements Opening {}
}
