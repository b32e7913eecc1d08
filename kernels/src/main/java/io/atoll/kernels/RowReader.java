package io.atoll.kernels;

import java.lang.foreign.MemorySegment;

/// Rows of a matrix that are computed when [Packing] asks for them, some at a time, so that a matrix in a format the kernels
/// do not know need never lie in memory as floats.
@FunctionalInterface
public interface RowReader {
    /// Writes the values of some rows.
    ///
    /// @param first the first row wanted
    /// @param count how many
    /// @param rows f32 `[count, cols]` of native order, overwritten
    void read(int first, int count, MemorySegment rows);
}
