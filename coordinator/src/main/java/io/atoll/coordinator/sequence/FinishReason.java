package io.atoll.coordinator.sequence;

/// Why a complete answer ends.
public enum FinishReason {
    /// A stop token or a stop string.
    STOP,
    /// As [#STOP], after one call or several: the client is to carry them out and to say what came of them.
    TOOL_CALLS,
    /// The largest number of output tokens.
    LENGTH
}
