package io.atoll.attention.forward;

import io.atoll.kernels.PackedMatrix;
import java.lang.foreign.MemorySegment;

/// The last projection: from a normed row to a logit for each row of the vocabulary, padding included.
///
/// @param weights `[vocabSize, hidden]`
/// @param quantized room for the rows
record LanguageModelHead(PackedMatrix weights, QuantizedInput quantized, Compute compute) {
    /// @param x f32 `[rows, hidden]`, after the final norm
    /// @param logits f32 `[rows, vocabSize]`, overwritten
    void apply(MemorySegment x, int rows, MemorySegment logits) {
        Projections.apply(compute, quantized, weights, x, rows, logits);
    }
}
