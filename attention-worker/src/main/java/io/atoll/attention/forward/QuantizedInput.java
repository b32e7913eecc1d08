package io.atoll.attention.forward;

import io.atoll.kernels.WeightFormat;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/// Room for the int8 form of the rows that a pass multiplies, for weights that are packed in integers. Rows are quantised once
/// for all matrices that they meet, each row by itself.
///
/// Belongs to a [Workspace]: what is here is valid until the next pass.
final class QuantizedInput {
    private static final long ALIGNMENT = 64;

    private final MemorySegment q; // int8 [maxRows, cols]
    private final MemorySegment scales; // [maxRows, cols / 32]

    /// @param widest most columns of a row
    QuantizedInput(int maxRows, int widest, Arena arena) {
        q = arena.allocate((long) maxRows * widest, ALIGNMENT);
        scales =
                arena.allocate(
                        (long) maxRows * Math.ceilDiv(widest, WeightFormat.BLOCK) * Float.BYTES,
                        ALIGNMENT);
    }

    /// Quantises rows, over what was here.
    ///
    /// @param x f32 `[rows, cols]`
    /// @param cols a multiple of 32
    void quantize(Compute compute, MemorySegment x, int rows, int cols) {
        int blocks = cols / WeightFormat.BLOCK;
        compute.splitRows(
                rows,
                cols,
                (begin, end) ->
                        compute.kernels()
                                .quantizeRows(
                                        Rows.from(x, begin, cols),
                                        end - begin,
                                        cols,
                                        q.asSlice((long) begin * cols),
                                        Rows.from(scales, begin, blocks)));
    }

    /// int8 `[rows, cols]`.
    MemorySegment q() {
        return q;
    }

    /// f32 `[rows, cols / 32]`.
    MemorySegment scales() {
        return scales;
    }
}
