package io.atoll.kernels;

import static io.atoll.kernels.WeightFormat.BLOCK;
import static io.atoll.kernels.WeightFormat.GROUP;
import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_SHORT;

import java.lang.foreign.MemorySegment;

/// Puts codes and scales where [BlockLayout] and [Fp8Layout] say. Nothing is rounded: a scale that its format does not hold is
/// refused.
final class CodePacking {
    private final PackedMatrix packed;
    private final int groupColumns;

    CodePacking(PackedMatrix packed) {
        this.packed = packed;
        groupColumns = groupColumns(packed.format(), packed.cols());
    }

    /// Columns of an output that share a scale.
    ///
    /// @throws IllegalArgumentException if the format does not take codes
    static int groupColumns(WeightFormat format, int cols) {
        if (format == WeightFormat.F8_E4M3) {
            return Fp8Layout.RECORD;
        }
        if (!format.takesQuantizedRows()) {
            throw new IllegalArgumentException(format + " does not take codes");
        }
        BlockLayout layout = format.layout();
        return switch (layout.scales()) {
            case F16_SCALE_AND_ZERO, BF16_SCALE_AND_ZERO, F32_SCALE_AND_ZERO, BF16_SCALE ->
                    layout.columns();
            case E4M3_MULTIPLIED, E4M3_DIVIDED -> layout.runColumns();
            case SCALE_AND_ZERO_OF_OUTPUT -> cols;
            default -> throw new IllegalArgumentException(format + " does not take codes");
        };
    }

    /// Scales of an output.
    private int groups() {
        return Math.ceilDiv(packed.cols(), groupColumns);
    }

    CodedRows buffers(int rows) {
        return new CodedRows(
                new byte[Math.multiplyExact(rows, packed.cols())],
                new float[rows * groups()],
                new byte[rows * groups()],
                new float[rows]);
    }

    /// Packs row `row` of `rows` as an output.
    void packRow(CodedRows rows, int row, int output) {
        if (packed.format() == WeightFormat.F8_E4M3) {
            packBytes(rows, row, output);
            return;
        }
        BlockLayout layout = packed.format().layout();
        if (layout.hasFactor()) {
            long group = layout.group(packed.cols(), output);
            float factor = layout.hasZero() ? rows.scales()[row] : rows.factors()[row];
            packed.data().set(JAVA_FLOAT, group + 4L * (output % GROUP), factor);
        }
        for (int group = 0; group < groups(); group++) {
            int at = row * groups() + group;
            packScale(layout, output, group * groupColumns, rows.scales()[at]);
            if (layout.hasZero()) {
                long zeros = layout.zeros(packed.cols(), output, group * groupColumns);
                packed.data().set(JAVA_BYTE, zeros + output % GROUP, rows.zeros()[at]);
            }
        }
        for (int column = 0; column < packed.cols(); column += BLOCK) {
            long block = layout.block(packed.cols(), output, column);
            int from = row * packed.cols() + column;
            layout.putCodes(packed.data(), block, output, rows.codes(), from);
        }
    }

    private void packScale(BlockLayout layout, int output, int column, float scale) {
        MemorySegment data = packed.data();
        long record = layout.record(packed.cols(), output, column);
        int lane = output % GROUP;
        switch (layout.scales()) {
            case F16_SCALE_AND_ZERO -> {
                short half = Float.floatToFloat16(scale);
                checkKept(scale, Float.float16ToFloat(half), output, column);
                data.set(JAVA_SHORT, record + 2L * lane, half);
            }
            case BF16_SCALE_AND_ZERO -> putBf16(record + 2L * lane, scale, output, column);
            case F32_SCALE_AND_ZERO -> data.set(JAVA_FLOAT, record + 4L * lane, scale);
            // Levels are doubled, so their scale is halved.
            case BF16_SCALE -> putBf16(record + 2L * lane, scale * 0.5f, output, column);
            case E4M3_MULTIPLIED, E4M3_DIVIDED -> {
                int run = column % layout.columns() / layout.runColumns();
                byte code = (byte) Fp8Layout.toCode(scale);
                checkKept(scale, Fp8Layout.toFloat(code), output, column);
                data.set(JAVA_BYTE, record + 16L * run + lane, code);
            }
            default -> {
                // The factor of the output is all there is.
            }
        }
    }

    private void putBf16(long at, float scale, int output, int column) {
        int bits = Float.floatToIntBits(scale); // one NaN for all, which BF16 holds
        checkKept(scale, Float.intBitsToFloat(bits & 0xFFFF_0000), output, column);
        packed.data().set(JAVA_SHORT, at, (short) (bits >>> 16));
    }

    private void checkKept(float scale, float kept, int output, int column) {
        if (Float.compare(scale, kept) != 0) {
            throw new IllegalArgumentException(
                    "scale is none that "
                            + packed.format()
                            + " holds: output="
                            + output
                            + " column="
                            + column
                            + " value="
                            + scale);
        }
    }

    private void packBytes(CodedRows rows, int row, int output) {
        int cols = packed.cols();
        int group = output / GROUP;
        int lane = output % GROUP;
        for (int first = 0; first < cols; first += Fp8Layout.RECORD) {
            float scale = rows.scales()[row * groups() + first / Fp8Layout.RECORD];
            if (Float.isFinite(scale) && Math.abs(scale) >= Fp8Layout.SCALE_LIMIT) {
                checkKept(scale, Float.NaN, output, first);
            }
            packed.data().set(JAVA_FLOAT, Fp8Layout.scales(cols, group, first) + 4L * lane, scale);
            long codes = Fp8Layout.codes(cols, group, first) + lane;
            int count = Math.min(Fp8Layout.RECORD, cols - first);
            for (int i = 0; i < count; i++, codes += GROUP) {
                packed.data().set(JAVA_BYTE, codes, rows.codes()[row * cols + first + i]);
            }
        }
    }

    /// Zeros in the place of padding outputs mean zero weights, but not where they divide.
    static void clearFactors(PackedMatrix packed) {
        if (packed.format() == WeightFormat.NVFP4_DIVIDED) {
            for (int output = packed.rows(); output % GROUP != 0; output++) {
                long group = packed.format().layout().group(packed.cols(), output);
                packed.data().set(JAVA_FLOAT, group + 4L * (output % GROUP), 1f);
            }
        }
    }
}
