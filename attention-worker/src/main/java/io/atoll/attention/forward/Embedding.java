package io.atoll.attention.forward;

import io.atoll.model.checkpoint.Tensor;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/// The table of token embeddings `[vocabSize, hidden]`, read from the checkpoint where it lies: a step needs a few rows of it.
final class Embedding {
    private final Tensor table;
    private final float[] row;

    Embedding(Tensor table) {
        this.table = table;
        row = new float[(int) table.dim(1)];
    }

    /// Writes the embedding of each row's token.
    ///
    /// @param x f32 `[rows, hidden]`, overwritten
    void lookUp(StepBatch batch, MemorySegment x) {
        for (int i = 0; i < batch.rows(); i++) {
            table.floats((long) batch.token(i) * row.length, row, 0, row.length);
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
