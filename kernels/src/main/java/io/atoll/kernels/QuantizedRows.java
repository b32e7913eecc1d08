package io.atoll.kernels;

import java.lang.foreign.MemorySegment;

/// Some rows of a matrix that are already int8 in blocks of 32 columns.
///
/// @param quants int8 `[rows, cols]`
/// @param scales float `[rows, cols / 32]`
/// @param rows how many rows to take
public record QuantizedRows(MemorySegment quants, MemorySegment scales, int rows) {
    public QuantizedRows {
        if (rows <= 0) {
            throw new IllegalArgumentException("a source needs rows: " + rows);
        }
    }

    void checkHolds(int cols) {
        long expected = (long) rows * cols;
        if (quants.byteSize() < expected || scales.byteSize() < expected / WeightFormat.BLOCK * 4) {
            throw new IllegalArgumentException(
                    "quantised source of "
                            + rows
                            + " x "
                            + cols
                            + " has "
                            + quants.byteSize()
                            + " bytes and "
                            + scales.byteSize()
                            + " bytes of scales");
        }
    }
}
