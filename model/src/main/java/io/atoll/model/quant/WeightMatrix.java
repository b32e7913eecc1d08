package io.atoll.model.quant;

import io.atoll.model.checkpoint.DType;
import io.atoll.model.checkpoint.Tensor;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Objects;
import java.util.Optional;

/// A weight matrix `[rows, cols]` (outputs, inputs) that can be decoded to f32 row by row, however it is stored.
///
/// It borrows the mapped file of its store: decoding after that is closed throws [IllegalStateException]. Safe for use by
/// several threads.
public interface WeightMatrix {
    /// Elements that [#decodeRows(int, int, MemorySegment)] holds on the heap at a time, unless one row has more.
    int BATCH_ELEMENTS = 1 << 16;

    /// The name it was asked for under, for messages.
    String name();

    /// Outputs.
    int rows();

    /// Inputs.
    int cols();

    /// How it is stored, for people: `BF16`, `Q4_K`, `FP8 E4M3 with 128x128 block scales`.
    String encoding();

    /// Decodes `count` rows, from row `first` on, into `out` from `outOffset` on, row-major.
    ///
    /// Some layouts store eight inputs or outputs in one word, so several rows at a time are faster than one.
    void decodeRows(int first, int count, float[] out, int outOffset);

    /// As the other, into f32 of native order at the beginning of `out`.
    default void decodeRows(int first, int count, MemorySegment out) {
        Objects.checkFromIndexSize(first, count, rows());
        Objects.checkFromIndexSize(0, 4L * count * cols(), out.byteSize());
        int batch = Math.clamp(BATCH_ELEMENTS / cols(), 1, Math.max(count, 1));
        float[] values = new float[Math.multiplyExact(batch, cols())];
        for (int row = 0; row < count; row += batch) {
            int now = Math.min(batch, count - row);
            decodeRows(first + row, now, values, 0);
            MemorySegment.copy(
                    values,
                    0,
                    out,
                    ValueLayout.JAVA_FLOAT_UNALIGNED,
                    4L * row * cols(),
                    now * cols());
        }
    }

    /// The whole matrix, row-major.
    ///
    /// @throws ArithmeticException if it has more elements than an array can hold
    default float[] floats() {
        float[] values = new float[Math.multiplyExact(rows(), cols())];
        decodeRows(0, rows(), values, 0);
        return values;
    }

    /// The matrix as it stands in the file, where it is stored as plain floats, row-major, and nothing has to be reordered.
    /// Packing can then read it without a copy.
    default Optional<Tensor> plain() {
        return Optional.empty();
    }

    /// The GGML blocks of the matrix as they lie in the file, where they are all there is to it: no factor beside them, and
    /// each row as it is stored. Rows may come in another order than the file's.
    default Optional<StoredBlocks> blocks() {
        return Optional.empty();
    }

    /// The codes of the matrix and their scales, where it is stored so and a scale serves a run of neighbouring columns.
    default Optional<StoredCodes> codes() {
        return Optional.empty();
    }

    /// The type of the plain floats that it is stored as, in whatever order, so that every value is one that this type holds.
    default Optional<DType> plainType() {
        return plain().map(Tensor::dtype);
    }
}
