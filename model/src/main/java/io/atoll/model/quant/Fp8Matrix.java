package io.atoll.model.quant;

import io.atoll.model.checkpoint.Tensor;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Optional;

/// `w = e4m3(code) * scale`: F8_E4M3 `[rows, cols]` with a grid of scales.
final class Fp8Matrix extends AbstractMatrix {
    private final MemorySegment codes;
    private final ScaleGrid scales;

    Fp8Matrix(String name, Tensor codes, ScaleGrid scales, int rows, int cols) {
        super(name, rows, cols);
        this.codes = codes.data();
        this.scales = scales;
    }

    @Override
    public String encoding() {
        return "FP8 E4M3 with " + scales.description();
    }

    @Override
    public Optional<StoredCodes> codes() {
        return Optional.of(
                new StoredCodes(
                        StoredCodes.Code.E4M3,
                        scales.type(),
                        Math.min(cols(), scales.blockCols()),
                        Optional.empty(),
                        this::readCodes));
    }

    private void readCodes(int first, int count, byte[] out, float[] rowScales, byte[] zeros) {
        int groups = scales.gridCols();
        for (int i = 0; i < count; i++) {
            for (int group = 0; group < groups; group++) {
                rowScales[i * groups + group] = scales.at(first + i, group);
            }
        }
        long from = (long) first * cols();
        MemorySegment.copy(codes, ValueLayout.JAVA_BYTE, from, out, 0, count * cols());
    }

    @Override
    void decode(int first, int count, float[] out, int to) {
        int cols = cols();
        for (int row = first; row < first + count; row++, to += cols) {
            long at = (long) row * cols;
            for (int block = 0; block < scales.gridCols(); block++) {
                float scale = scales.at(row, block);
                int begin = block * scales.blockCols();
                int end = Math.min(cols, begin + scales.blockCols());
                for (int col = begin; col < end; col++) {
                    int code = codes.get(ValueLayout.JAVA_BYTE, at + col);
                    out[to + col] = MiniFloats.e4m3(code) * scale;
                }
            }
        }
    }
}
