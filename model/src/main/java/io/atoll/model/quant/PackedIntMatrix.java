package io.atoll.model.quant;

import io.atoll.model.checkpoint.Tensor;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.Optional;

/// `w = (q - zero) * scale`, as compressed-tensors packs integers of 4 or 8 bits: I32 `[rows, ceil(cols / perWord)]`, the
/// first column in the lowest bits, every value moved up by half its range to be unsigned.
final class PackedIntMatrix extends AbstractMatrix {
    private static final ValueLayout.OfInt INT =
            ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

    private final int bits;
    private final MemorySegment words;
    private final Tensor scales;
    private final int groups;
    private final int[] groupOfColumn;
    private final Optional<Tensor> zeros;

    /// @param scales floats `[rows, groups]`
    /// @param groupOfColumn for each column its group
    /// @param zeros zero points: I8 `[rows, groups]` without the move, or I32 `[ceil(rows / perWord), groups]` packed along
    ///     the rows with it
    PackedIntMatrix(
            String name,
            int bits,
            Tensor words,
            Tensor scales,
            int[] groupOfColumn,
            Optional<Tensor> zeros,
            int rows,
            int cols) {
        super(name, rows, cols);
        this.bits = bits;
        this.words = words.data();
        this.scales = scales;
        this.groups = (int) scales.dim(1);
        this.groupOfColumn = groupOfColumn;
        this.zeros = zeros;
    }

    @Override
    public String encoding() {
        return "INT"
                + bits
                + (ColumnGroups.size(groupOfColumn, groups).isPresent()
                        ? " (packed by rows)"
                        : " (packed by rows) with desc_act");
    }

    @Override
    void decode(int first, int count, float[] out, int to) {
        int cols = cols();
        int perWord = 32 / bits;
        int mask = (1 << bits) - 1;
        long wordsPerRow = Math.ceilDiv(cols, perWord);
        float[] rowScales = new float[groups];
        int[] rowZeros = new int[groups];
        for (int row = first; row < first + count; row++, to += cols) {
            scales.floats((long) row * groups, rowScales, 0, groups);
            for (int group = 0; group < groups; group++) {
                rowZeros[group] = zero(row, group);
            }
            for (int col = 0; col < cols; col += perWord) {
                int word = words.get(INT, 4 * (row * wordsPerRow + col / perWord));
                int end = Math.min(cols, col + perWord);
                for (int i = col; i < end; i++, word >>>= bits) {
                    int group = groupOfColumn[i];
                    out[to + i] = ((word & mask) - rowZeros[group]) * rowScales[group];
                }
            }
        }
    }

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
        long wordsPerRow = Math.ceilDiv(cols(), perWord);
        scales.floats((long) first * groups, rowScales, 0, count * groups);
        for (int i = 0; i < count; i++) {
            for (int group = 0; group < groups; group++) {
                rowZeros[i * groups + group] = (byte) (zero(first + i, group) - (1 << (bits - 1)));
            }
            long line = 4 * ((first + i) * wordsPerRow);
            for (int col = 0; col < cols(); col++) {
                int word = words.get(INT, line + 4L * (col / perWord));
                codes[i * cols() + col] = (byte) ((word >>> (bits * (col % perWord))) & mask);
            }
        }
    }

    /// The zero point, moved up as the values are.
    private int zero(int row, int group) {
        int middle = 1 << (bits - 1);
        if (zeros.isEmpty()) {
            return middle;
        }
        MemorySegment data = zeros.get().data();
        if (zeros.get().dtype().bytes() == 1) {
            return data.get(ValueLayout.JAVA_BYTE, (long) row * groups + group) + middle;
        }
        int perWord = 32 / bits;
        int word = data.get(INT, 4 * ((long) (row / perWord) * groups + group));
        return (word >>> (bits * (row % perWord))) & ((1 << bits) - 1);
    }
}
