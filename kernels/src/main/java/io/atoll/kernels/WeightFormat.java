package io.atoll.kernels;

/// How a [PackedMatrix] stores its weights, and so which rows it meets.
public enum WeightFormat {
    /// 32-bit floats; meets f32 rows.
    F32,
    /// The upper half of a 32-bit float; meets f32 rows, so the product is exact before the sum.
    BF16,
    /// Signed bytes with one f32 scale for each 32 columns of an output; meets int8 rows ([Kernels#quantizeRows]).
    Q8;

    /// Outputs that are interleaved: one lane each.
    public static final int GROUP = 16;

    /// Columns of one quantised block.
    public static final int BLOCK = 32;

    /// Bytes of one group of [#GROUP] outputs over `cols` columns.
    public long groupBytes(int cols) {
        return switch (this) {
            case F32 -> 64L * cols;
            case BF16 -> 32L * cols;
            case Q8 -> (long) (cols / BLOCK) * (4 * GROUP + BLOCK * GROUP);
        };
    }

    /// Whether activations have to be quantised to int8 before they meet these weights.
    public boolean takesQuantizedRows() {
        return this == Q8;
    }
}
