package io.atoll.kernels;

/// How a [PackedMatrix] stores its weights, and so which rows it meets.
///
/// All but `F32` and `BF16` are quantised. `Q8` is this project's own; the others keep the numbers of the GGML block type of
/// that name (model spec C.6).
public enum WeightFormat {
    /// 32-bit floats; meets f32 rows.
    F32,
    /// The upper half of a 32-bit float; meets f32 rows, so the product is exact before the sum.
    BF16,
    /// Signed bytes with one f32 scale for each 32 columns of an output.
    Q8,
    /// Signed bytes with an f16 scale.
    Q8_0,
    Q4_0,
    Q4_1,
    Q5_0,
    Q5_1,
    /// Nibbles that choose one of sixteen uneven levels.
    IQ4_NL,
    /// Doubled E2M1 numbers; the scale, half a power of two, is kept as BF16, which has all of them.
    MXFP4,
    Q2_K,
    Q3_K,
    Q4_K,
    Q5_K,
    Q6_K,
    IQ4_XS;

    /// Outputs that are interleaved: one lane each.
    public static final int GROUP = 16;

    /// Columns of one block of a quantised row, and the fewest that a quantised matrix can have.
    public static final int BLOCK = 32;

    /// Bytes of one group of [#GROUP] outputs over `cols` columns.
    public long groupBytes(int cols) {
        return switch (this) {
            case F32 -> 64L * cols;
            case BF16 -> 32L * cols;
            default -> cols / layout().columns() * layout().recordBytes();
        };
    }

    /// What the number of columns has to be a multiple of.
    public int columnMultiple() {
        return takesQuantizedRows() ? layout().columns() : 1;
    }

    /// Whether activations have to be quantised to int8 before they meet these weights ([Kernels#quantizeRows]).
    public boolean takesQuantizedRows() {
        return this != F32 && this != BF16;
    }

    /// Where the numbers of a quantised format lie.
    ///
    /// @throws IllegalArgumentException for `F32` and `BF16`
    public BlockLayout layout() {
        return switch (this) {
            case Q8 -> BlockLayout.Q8;
            case Q8_0 -> BlockLayout.Q8_0;
            case Q4_0 -> BlockLayout.Q4_0;
            case Q4_1 -> BlockLayout.Q4_1;
            case Q5_0 -> BlockLayout.Q5_0;
            case Q5_1 -> BlockLayout.Q5_1;
            case IQ4_NL -> BlockLayout.IQ4_NL;
            case MXFP4 -> BlockLayout.MXFP4;
            case Q2_K -> BlockLayout.Q2_K;
            case Q3_K -> BlockLayout.Q3_K;
            case Q4_K -> BlockLayout.Q4_K;
            case Q5_K -> BlockLayout.Q5_K;
            case Q6_K -> BlockLayout.Q6_K;
            case IQ4_XS -> BlockLayout.IQ4_XS;
            case F32, BF16 -> throw new IllegalArgumentException(this + " is not quantised");
        };
    }
}
