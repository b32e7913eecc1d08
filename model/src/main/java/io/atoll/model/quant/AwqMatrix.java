package io.atoll.model.quant;

import io.atoll.model.checkpoint.Tensor;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.Optional;

/// `w = (q - zero) * scale` in AWQ's "gemm" layout, which stores the transposed matrix: words I32 `[cols, rows / 8]` hold
/// eight consecutive outputs of one input, and zero points `[groups, rows / 8]` are packed alike. Inside a word the outputs
/// lie in the order 0, 2, 4, 6, 1, 3, 5, 7 from the lowest bits up.
final class AwqMatrix extends AbstractMatrix {
    private static final ValueLayout.OfInt INT =
            ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

    private final MemorySegment words;
    private final MemorySegment zeros;
    private final Tensor scales;
    private final int groups;
    private final int groupSize;

    /// @param scales floats `[groups, rows]`
    AwqMatrix(
            String name,
            Tensor words,
            Tensor zeros,
            Tensor scales,
            int groupSize,
            int rows,
            int cols) {
        super(name, rows, cols);
        this.words = words.data();
        this.zeros = zeros.data();
        this.scales = scales;
        this.groups = (int) scales.dim(0);
        this.groupSize = groupSize;
    }

    @Override
    public String encoding() {
        return "AWQ INT4";
    }

    @Override
    void decode(int first, int count, float[] out, int to) {
        int cols = cols();
        float[] rowScales = new float[count];
        int[] rowZeros = new int[count];
        for (int group = 0; group < groups; group++) {
            scales.floats((long) group * rows() + first, rowScales, 0, count);
            for (int i = 0; i < count; i++) {
                rowZeros[i] = nibble(zeros, group, first + i);
            }
            int end = Math.min(cols, (group + 1) * groupSize);
            for (int col = group * groupSize; col < end; col++) {
                for (int i = 0; i < count; i++) {
                    int q = nibble(words, col, first + i);
                    out[to + i * cols + col] = (q - rowZeros[i]) * rowScales[i];
                }
            }
        }
    }

    @Override
    public Optional<StoredCodes> codes() {
        return Optional.of(
                new StoredCodes(
                        StoredCodes.Code.INT4,
                        scales.dtype(),
                        groupSize,
                        Optional.empty(),
                        this::readCodes));
    }

    private void readCodes(int first, int count, byte[] codes, float[] rowScales, byte[] rowZeros) {
        float[] groupScales = new float[count];
        for (int group = 0; group < groups; group++) {
            scales.floats((long) group * rows() + first, groupScales, 0, count);
            for (int i = 0; i < count; i++) {
                rowScales[i * groups + group] = groupScales[i];
                rowZeros[i * groups + group] = (byte) (nibble(zeros, group, first + i) - 8);
            }
        }
        for (int col = 0; col < cols(); col++) {
            for (int i = 0; i < count; i++) {
                codes[i * cols() + col] = (byte) nibble(words, col, first + i);
            }
        }
    }

    private int nibble(MemorySegment packed, int line, int output) {
        int word = packed.get(INT, 4 * ((long) line * (rows() / 8) + output / 8));
        int within = output % 8;
        int slot = within / 2 + 4 * (within % 2);
        return (word >>> (4 * slot)) & 15;
    }
}
