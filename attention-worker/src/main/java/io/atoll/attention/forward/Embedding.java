package io.atoll.attention.forward;

import io.atoll.model.quant.WeightMatrix;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/// The table of token embeddings `[vocabSize, hidden]`, read, and decoded, from the
/// mapped file where it lies: a step needs a few rows of it.
final class Embedding {
    private final WeightMatrix table;
    private final float[] row;

    Embedding(WeightMatrix table) {
        this.table = table;
        row = new float[table.cols()];
    }

    /// Writes the embedding of each row's token.
    ///
    /// @param x f32 `[rows, hidden]`, overwritten
    void lookUp(StepBatch batch, MemorySegment x) {
        for (int i = 0; i < batch.rows(); i++) {
            table.decodeRows(batch.token(i), 1, row, 0);
            MemorySegment.copy(
                    row,
                    0,
                    x,
                    ValueLayout.JAVA_FLOAT,
                    (long) i * row.length * Float.BYTES,
                    row.length);
        }
    }
}
