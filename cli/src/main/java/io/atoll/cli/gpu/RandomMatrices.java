package io.atoll.cli.gpu;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT_UNALIGNED;
import static java.lang.foreign.ValueLayout.JAVA_SHORT;
import static java.lang.foreign.ValueLayout.JAVA_SHORT_UNALIGNED;

import io.atoll.kernels.BlockLayout;
import io.atoll.kernels.Fp8Layout;
import io.atoll.kernels.PackedMatrix;
import io.atoll.kernels.WeightFormat;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SegmentAllocator;
import java.util.Random;

/// Packed matrices of any format, made of random bytes: every code comes up, and scales are of moderate size, so that products
/// stay finite.
final class RandomMatrices {
    private static final int LANES = WeightFormat.GROUP;

    private final Random random;

    /// Repeats all over a matrix; its length, a prime number of lines, is in step with no number of columns.
    private final byte[] bytes = new byte[1021 * 64];

    RandomMatrices(long seed) {
        random = new Random(seed);
    }

    /// @param memory owns the matrix
    PackedMatrix matrix(WeightFormat format, int rows, int cols, SegmentAllocator memory) {
        long size = PackedMatrix.bytes(format, rows, cols);
        MemorySegment data = memory.allocate(size, PackedMatrix.ALIGNMENT);
        MemorySegment some = MemorySegment.ofArray(bytes);
        random.nextBytes(bytes);
        switch (format) {
            case F32 -> floats(some);
            case BF16, F16 -> shorts(some, format == WeightFormat.F16);
            case F8_E4M3 -> withoutNan();
            default -> {} // every byte is a code
        }
        for (long at = 0; at < size; at += bytes.length) {
            MemorySegment.copy(some, 0, data, at, Math.min(bytes.length, size - at));
        }
        PackedMatrix matrix = new PackedMatrix(data, format, rows, cols);
        if (format == WeightFormat.F8_E4M3) {
            e4m3Scales(matrix);
        } else if (format.takesQuantizedRows()) {
            scales(matrix, format.layout());
        }
        return matrix;
    }

    private float number() {
        return (random.nextFloat() + 0.5f) * (random.nextInt(8) == 0 ? -0.01f : 0.01f);
    }

    private void floats(MemorySegment data) {
        for (long at = 0; at + Float.BYTES <= data.byteSize(); at += Float.BYTES) {
            data.set(JAVA_FLOAT_UNALIGNED, at, number());
        }
    }

    private void shorts(MemorySegment data, boolean half) {
        for (long at = 0; at + Short.BYTES <= data.byteSize(); at += Short.BYTES) {
            data.set(JAVA_SHORT_UNALIGNED, at, half ? half() : bf16());
        }
    }

    /// Makes other E4M3 codes of those that are no number.
    private void withoutNan() {
        for (int i = 0; i < bytes.length; i++) {
            if ((bytes[i] & 0x7F) == 0x7F) {
                bytes[i] = 0x31;
            }
        }
    }

    private short half() {
        return Float.floatToFloat16(number());
    }

    private short bf16() {
        return (short) (Float.floatToRawIntBits(number()) >> 16);
    }

    private void e4m3Scales(PackedMatrix m) {
        for (int group = 0; group < m.groups(); group++) {
            for (int column = 0; column < m.cols(); column += Fp8Layout.RECORD) {
                fill(m.data(), Fp8Layout.scales(m.cols(), group, column), 'f');
            }
        }
    }

    /// What stands before records and codes; see [BlockLayout.Scales].
    private void scales(PackedMatrix m, BlockLayout layout) {
        MemorySegment data = m.data();
        for (int output = 0; output < m.groups() * LANES; output += LANES) {
            long group = layout.group(m.cols(), output);
            if (layout.hasFactor()) {
                fill(data, group, 'f');
            }
            for (int column = 0; column < m.cols(); column += layout.columns()) {
                long record = layout.record(m.cols(), output, column);
                switch (layout.scales()) {
                    case F32_SCALE, F32_SCALE_AND_ZERO, F32_TIMES_SIGNED_BYTES ->
                            fill(data, record, 'f');
                    case F16_SCALE, F16_SCALE_AND_ZERO -> fill(data, record, 'h');
                    case BF16_SCALE, BF16_SCALE_AND_ZERO -> fill(data, record, 'b');
                    case F16_SCALE_AND_MINIMUM, HALVES_TIMES_BYTES, HALVES_TIMES_NIBBLES -> {
                        fill(data, record, 'h');
                        fill(data, record + 2L * LANES, 'h');
                    }
                    case E4M3_MULTIPLIED, E4M3_DIVIDED -> {
                        for (int i = 0; i < layout.headerBytes(); i++) {
                            data.set(JAVA_BYTE, record + i, (byte) (0x20 + random.nextInt(0x20)));
                        }
                    }
                    case SCALE_AND_ZERO_OF_OUTPUT -> {} // the factor is all there is
                }
            }
        }
    }

    private void fill(MemorySegment data, long at, char type) {
        for (int lane = 0; lane < LANES; lane++) {
            switch (type) {
                case 'f' -> data.set(JAVA_FLOAT, at + 4L * lane, number());
                case 'h' -> data.set(JAVA_SHORT, at + 2L * lane, half());
                default -> data.set(JAVA_SHORT, at + 2L * lane, bf16());
            }
        }
    }
}
