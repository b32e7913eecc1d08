package io.atoll.coordinator.sequence;

/// Why a complete answer ends.
public enum FinishReason {
    /// A stop token or a stop string.
    STOP,
    /// The largest number of output tokens.
    LENGTH
}
