package io.atoll.kernels;

import java.lang.foreign.MemorySegment;

/// Some rows of a matrix, row-major, as a checkpoint stores them.
///
/// @param data at least `rows * cols` numbers; need not be aligned and may be a mapped file. Borrowed while packing
/// @param type of the numbers
/// @param rows how many rows to take
public record RowSource(MemorySegment data, SourceType type, int rows) {
    public RowSource {
        if (rows <= 0) {
            throw new IllegalArgumentException("a source needs rows: " + rows);
        }
    }

    void checkHolds(int cols) {
        long expected = (long) rows * cols * type.bytes();
        if (data.byteSize() < expected) {
            throw new IllegalArgumentException(
                    "source of "
                            + rows
                            + " x "
                            + cols
                            + " "
                            + type
                            + " has "
                            + data.byteSize()
                            + " bytes, expected "
                            + expected);
        }
    }
}
