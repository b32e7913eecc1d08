package io.atoll.model.quant;

import io.atoll.model.checkpoint.Tensor;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.Optional;

/// `w = (q - zero) * scale` in GPTQ's layout, which stores the transposed matrix: words I32 `[cols / perWord, rows]` hold
/// consecutive inputs of one output, the first in the lowest bits; zero points I32 `[groups, rows / perWord]` hold
/// consecutive outputs.
///
/// The first version of the format stores each zero point less one, modulo its range (a zero point of 0 as all ones).
final class GptqMatrix extends AbstractMatrix {
    private static final ValueLayout.OfInt INT =
            ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

    private final int bits;
    private final MemorySegment words;
    private final MemorySegment zeros;
    private final boolean wholeZeros;
    private final Tensor scales;
    private final int groups;
    private final int[] groupOfColumn;

    /// @param wholeZeros whether zero points are stored as they are
    /// @param scales floats `[groups, rows]`
    /// @param groupOfColumn for each input its group
    GptqMatrix(
            String name,
            int bits,
            Tensor words,
            Tensor zeros,
            boolean wholeZeros,
            Tensor scales,
            int[] groupOfColumn,
            int rows,
            int cols) {
        super(name, rows, cols);
        this.bits = bits;
        this.words = words.data();
        this.zeros = zeros.data();
        this.wholeZeros = wholeZeros;
        this.scales = scales;
        this.groups = (int) scales.dim(0);
        this.groupOfColumn = groupOfColumn;
    }

    @Override
    public String encoding() {
        return "GPTQ INT"
                + bits
                + (ColumnGroups.size(groupOfColumn, groups).isPresent() ? "" : " with desc_act");
    }

    @Override
    void decode(int first, int count, float[] out, int to) {
        int cols = cols();
        int perWord = 32 / bits;
        int mask = (1 << bits) - 1;
        float[] groupScales = new float[groups * count];
        int[] groupZeros = new int[groups * count];
        for (int group = 0; group < groups; group++) {
            scales.floats((long) group * rows() + first, groupScales, group * count, count);
            for (int i = 0; i < count; i++) {
                groupZeros[group * count + i] = zero(group, first + i);
            }
        }
        for (int wordRow = 0; wordRow < cols / perWord; wordRow++) {
            int col = wordRow * perWord;
            for (int i = 0; i < count; i++) {
                int word = words.get(INT, 4 * ((long) wordRow * rows() + first + i));
                int target = to + i * cols + col;
                for (int slot = 0; slot < perWord; slot++, word >>>= bits) {
                    int group = groupOfColumn[col + slot] * count + i;
                    out[target + slot] = ((word & mask) - groupZeros[group]) * groupScales[group];
                }
            }
        }
    }

    /// Columns in an order of their own (`desc_act`) share scales with columns elsewhere, so there is no run to pack then.
    @Override
    public Optional<StoredCodes> codes() {
        return ColumnGroups.size(groupOfColumn, groups)
                .map(
                        size ->
                                new StoredCodes(
                                        bits == 4 ? StoredCodes.Code.INT4 : StoredCodes.Code.INT8,
                                        scales.dtype(),
                                        size,
                                        Optional.empty(),
                                        this::readCodes));
    }

    private void readCodes(int first, int count, byte[] codes, float[] rowScales, byte[] rowZeros) {
        int perWord = 32 / bits;
        int mask = (1 << bits) - 1;
        float[] groupScales = new float[count];
        for (int group = 0; group < groups; group++) {
            scales.floats((long) group * rows() + first, groupScales, 0, count);
            for (int i = 0; i < count; i++) {
                rowScales[i * groups + group] = groupScales[i];
                rowZeros[i * groups + group] =
                        (byte) (zero(group, first + i) - (1 << (bits - 1)));
            }
        }
        for (int col = 0; col < cols(); col += perWord) {
            long line = 4 * ((long) (col / perWord) * rows() + first);
            for (int i = 0; i < count; i++) {
                int word = words.get(INT, line + 4L * i);
                for (int slot = 0; slot < perWord; slot++, word >>>= bits) {
                    codes[i * cols() + col + slot] = (byte) (word & mask);
                }
            }
        }
    }

    private int zero(int group, int row) {
        int perWord = 32 / bits;
        long wordsPerGroup = rows() / perWord;
        int word = zeros.get(INT, 4 * (group * wordsPerGroup + row / perWord));
        int stored = word >>> (bits * (row % perWord));
        return (wholeZeros ? stored : stored + 1) & ((1 << bits) - 1);
    }
}
