package io.atoll.attention.forward;

import java.lang.foreign.MemorySegment;

/// Rows of f32 matrices in a buffer.
final class Rows {
    private Rows() {}

    /// The buffer from row `row` on.
    static MemorySegment from(MemorySegment buffer, int row, int width) {
        return from(buffer, row, width, 0);
    }

    /// The buffer from element `column` of row `row` on.
    static MemorySegment from(MemorySegment buffer, int row, int width, int column) {
        return buffer.asSlice(((long) row * width + column) * Float.BYTES);
    }

    static void copy(MemorySegment from, int fromRow, MemorySegment to, int toRow, int width) {
        MemorySegment.copy(
                from,
                (long) fromRow * width * Float.BYTES,
                to,
                (long) toRow * width * Float.BYTES,
                (long) width * Float.BYTES);
    }
}
