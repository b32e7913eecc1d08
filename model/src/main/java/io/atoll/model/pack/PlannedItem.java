package io.atoll.model.pack;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.SegmentAllocator;

/// A weight, where it goes in its region, and how its bytes are made, some rows at a time.
///
/// @param stored as the manifest will say
/// @param rows rows of the source
/// @param groupRows rows that lie interleaved: bytes can be cut between such groups
/// @param groupBytes bytes of a group; the last one has them all, however few its rows
/// @param bytes makes them
record PlannedItem(StoredWeight stored, int rows, int groupRows, long groupBytes, RowBytes bytes) {
    /// Rows of a piece are a multiple of this, so that no block of scales over several rows is cut.
    private static final int PIECE_ROWS = 256;

    /// Makes the bytes of some rows.
    interface RowBytes {
        /// @param first a multiple of [PlannedItem#groupRows]
        /// @param count up to the next piece, or to the end
        /// @param memory owns the result
        MemorySegment make(int first, int count, SegmentAllocator memory);
    }

    /// Rows of each piece but the last, if a piece should have so many bytes.
    int pieceRows(long pieceBytes) {
        long rowsOfBytes = pieceBytes / groupBytes * groupRows;
        return Math.clamp(rowsOfBytes / PIECE_ROWS * PIECE_ROWS, PIECE_ROWS, 1 << 24);
    }

    /// Where a row begins in the region.
    ///
    /// @param row a multiple of [#groupRows]
    long rowOffset(int row) {
        return stored.offset() + (long) row / groupRows * groupBytes;
    }
}
