package io.atoll.model.quant;

import io.atoll.model.checkpoint.Tensor;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Optional;

/// `w = (q - zero) * scale`: I8 `[rows, cols]` with a grid of scales and, where the file has them, a zero point for each.
final class Int8Matrix extends AbstractMatrix {
    private final MemorySegment quants;
    private final ScaleGrid scales;
    private final Optional<MemorySegment> zeros;

    /// @param zeros I8 of the shape of the scales
    Int8Matrix(
            String name,
            Tensor quants,
            ScaleGrid scales,
            Optional<Tensor> zeros,
            int rows,
            int cols) {
        super(name, rows, cols);
        this.quants = quants.data();
        this.scales = scales;
        this.zeros = zeros.map(Tensor::data);
    }

    @Override
    public String encoding() {
        return "INT8 with " + scales.description();
    }

    @Override
    void decode(int first, int count, float[] out, int to) {
        int cols = cols();
        for (int row = first; row < first + count; row++, to += cols) {
            long at = (long) row * cols;
            for (int block = 0; block < scales.gridCols(); block++) {
                float scale = scales.at(row, block);
                int zero = zero(row, block);
                int begin = block * scales.blockCols();
                int end = Math.min(cols, begin + scales.blockCols());
                for (int col = begin; col < end; col++) {
                    int q = quants.get(ValueLayout.JAVA_BYTE, at + col);
                    out[to + col] = (q - zero) * scale;
                }
            }
        }
    }

    @Override
    public Optional<StoredCodes> codes() {
        return Optional.of(
                new StoredCodes(
                        StoredCodes.Code.INT8,
                        scales.type(),
                        Math.min(cols(), scales.blockCols()),
                        Optional.empty(),
                        this::readCodes));
    }

    private void readCodes(int first, int count, byte[] codes, float[] rowScales, byte[] rowZeros) {
        int groups = scales.gridCols();
        for (int i = 0; i < count; i++) {
            for (int group = 0; group < groups; group++) {
                rowScales[i * groups + group] = scales.at(first + i, group);
                rowZeros[i * groups + group] = (byte) zero(first + i, group);
            }
        }
        long at = (long) first * cols();
        for (int i = 0; i < count * cols(); i++) {
            codes[i] = (byte) (quants.get(ValueLayout.JAVA_BYTE, at + i) + 128);
        }
    }

    private int zero(int row, int block) {
        long index = (long) row / scales.blockRows() * scales.gridCols() + block;
        return zeros.isPresent() ? zeros.get().get(ValueLayout.JAVA_BYTE, index) : 0;
    }
}
