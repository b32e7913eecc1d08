package io.atoll.attention.forward;

import java.lang.foreign.MemorySegment;

/// What carries information from a sequence's earlier tokens to a row.
sealed interface Mixer permits GatedAttention, GatedDeltaNet {
    /// @param x f32 `[rows, hidden]`, normed
    /// @param out f32 `[rows, hidden]`, overwritten
    void forward(StepBatch batch, MemorySegment x, MemorySegment out);
}
