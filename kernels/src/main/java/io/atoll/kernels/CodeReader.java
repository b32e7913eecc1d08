package io.atoll.kernels;

/// Rows of a matrix of codes with scales, taken apart when [Packing#packCodes] asks for them, some at a time.
@FunctionalInterface
public interface CodeReader {
    /// Writes the codes of some rows, and what makes numbers of them.
    ///
    /// @param first the first row wanted
    /// @param count how many
    /// @param rows overwritten
    void read(int first, int count, CodedRows rows);
}
