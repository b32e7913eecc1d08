package io.atoll.kernels;

import io.atoll.kernels.BlockLayout.Scales;
import java.util.Optional;

/// How a [PackedMatrix] stores its weights, and so which rows it meets.
///
/// `F32`, `BF16`, `F16` and `F8_E4M3` meet f32 rows; all others are integers with scales and meet int8 rows. `Q8` is this
/// project's own; `Q8_0` to `IQ4_XS` keep the numbers of the GGML block type of that name (model spec C.6); the rest keeps those
/// of quantised safetensors (model spec C.5).
///
/// `INT4_64_BF16` is: codes of 4 bits, groups of 64 columns that share a scale and a zero point, scales of that type. `INT4_ROW` and
/// `INT8_ROW` have an f32 scale and a zero point for each output.
public enum WeightFormat {
    /// 32-bit floats.
    F32,
    /// The upper half of a 32-bit float: the product with an f32 is exact before the sum.
    BF16,
    /// IEEE's 16-bit floats.
    F16,
    /// 8-bit floats with one f32 scale for each 128 columns of an output; see [Fp8Layout].
    F8_E4M3,
    /// Signed bytes with one f32 scale for each 32 columns of an output.
    Q8(BlockLayout.Q8),
    /// Signed bytes with an f16 scale.
    Q8_0(BlockLayout.Q8_0),
    Q4_0(BlockLayout.Q4_0),
    Q4_1(BlockLayout.Q4_1),
    Q5_0(BlockLayout.Q5_0),
    Q5_1(BlockLayout.Q5_1),
    /// Nibbles that choose one of sixteen uneven levels.
    IQ4_NL(BlockLayout.IQ4_NL),
    /// Doubled E2M1 numbers; the scale, half a power of two, is kept as BF16, which has all of them.
    MXFP4(BlockLayout.MXFP4),
    Q2_K(BlockLayout.Q2_K),
    Q3_K(BlockLayout.Q3_K),
    Q4_K(BlockLayout.Q4_K),
    Q5_K(BlockLayout.Q5_K),
    Q6_K(BlockLayout.Q6_K),
    IQ4_XS(BlockLayout.IQ4_XS),
    /// Doubled E2M1 numbers with an E4M3 scale for each 16 columns; an f32 of the output multiplies.
    NVFP4(BlockLayout.NVFP4),
    /// The same, but the f32 of the output divides.
    NVFP4_DIVIDED(BlockLayout.NVFP4_DIVIDED),
    INT4_32_F16(BlockLayout.integers(4, 32, Scales.F16_SCALE_AND_ZERO)),
    INT4_32_BF16(BlockLayout.integers(4, 32, Scales.BF16_SCALE_AND_ZERO)),
    INT4_32_F32(BlockLayout.integers(4, 32, Scales.F32_SCALE_AND_ZERO)),
    INT4_64_F16(BlockLayout.integers(4, 64, Scales.F16_SCALE_AND_ZERO)),
    INT4_64_BF16(BlockLayout.integers(4, 64, Scales.BF16_SCALE_AND_ZERO)),
    INT4_64_F32(BlockLayout.integers(4, 64, Scales.F32_SCALE_AND_ZERO)),
    INT4_128_F16(BlockLayout.integers(4, 128, Scales.F16_SCALE_AND_ZERO)),
    INT4_128_BF16(BlockLayout.integers(4, 128, Scales.BF16_SCALE_AND_ZERO)),
    INT4_128_F32(BlockLayout.integers(4, 128, Scales.F32_SCALE_AND_ZERO)),
    INT8_32_F16(BlockLayout.integers(8, 32, Scales.F16_SCALE_AND_ZERO)),
    INT8_32_BF16(BlockLayout.integers(8, 32, Scales.BF16_SCALE_AND_ZERO)),
    INT8_32_F32(BlockLayout.integers(8, 32, Scales.F32_SCALE_AND_ZERO)),
    INT8_64_F16(BlockLayout.integers(8, 64, Scales.F16_SCALE_AND_ZERO)),
    INT8_64_BF16(BlockLayout.integers(8, 64, Scales.BF16_SCALE_AND_ZERO)),
    INT8_64_F32(BlockLayout.integers(8, 64, Scales.F32_SCALE_AND_ZERO)),
    INT8_128_F16(BlockLayout.integers(8, 128, Scales.F16_SCALE_AND_ZERO)),
    INT8_128_BF16(BlockLayout.integers(8, 128, Scales.BF16_SCALE_AND_ZERO)),
    INT8_128_F32(BlockLayout.integers(8, 128, Scales.F32_SCALE_AND_ZERO)),
    INT4_ROW(BlockLayout.integers(4, 32, Scales.SCALE_AND_ZERO_OF_OUTPUT)),
    INT8_ROW(BlockLayout.integers(8, 32, Scales.SCALE_AND_ZERO_OF_OUTPUT));

    /// Outputs that are interleaved: one lane each.
    public static final int GROUP = 16;

    /// Columns of one block of a quantised row, and the fewest that a quantised matrix can have.
    public static final int BLOCK = 32;

    private final Optional<BlockLayout> layout;

    WeightFormat() {
        layout = Optional.empty();
    }

    WeightFormat(BlockLayout layout) {
        this.layout = Optional.of(layout);
    }

    /// Bytes of one group of [#GROUP] outputs over `cols` columns.
    public long groupBytes(int cols) {
        return switch (this) {
            case F32 -> 64L * cols;
            case BF16, F16 -> 32L * cols;
            case F8_E4M3 -> Fp8Layout.groupBytes(cols);
            default -> layout().groupBytes(cols);
        };
    }

    /// What the number of columns has to be a multiple of.
    public int columnMultiple() {
        return layout.map(BlockLayout::columns).orElse(1);
    }

    /// Whether activations have to be quantised to int8 before they meet these weights ([Kernels#quantizeRows]).
    public boolean takesQuantizedRows() {
        return layout.isPresent();
    }

    /// Whether [Packing#packBlocks] takes this format: GGML has a block type of the name.
    public boolean isGgmlType() {
        return switch (this) {
            case Q8_0, Q4_0, Q4_1, Q5_0, Q5_1, IQ4_NL, MXFP4, Q2_K, Q3_K, Q4_K, Q5_K, Q6_K, IQ4_XS ->
                    true;
            default -> false;
        };
    }

    /// Where the numbers of a quantised format lie.
    ///
    /// @throws IllegalArgumentException for formats that meet f32 rows
    public BlockLayout layout() {
        return layout.orElseThrow(
                () -> new IllegalArgumentException(this + " does not meet int8 rows"));
    }
}
