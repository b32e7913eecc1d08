package io.atoll.kernels;

import java.lang.foreign.MemorySegment;

/// A weight matrix `[rows, cols]` in the 16-row interleaved layout that every kernel family reads.
///
/// Outputs are taken in groups of 16; a last group that is not full is padded with weights whose value is zero. Groups follow each
/// other, each of [WeightFormat#groupBytes] bytes:
///
/// - `F32`: `float w[cols][16]`
/// - `BF16`, `F16`: `uint16 w[cols][16]`
/// - `F8_E4M3`: records of scales and bytes, see [Fp8Layout]
/// - formats that meet int8 rows: records of scales and codes, see [BlockLayout]
///
/// @param data native memory of exactly `groups() * format.groupBytes(cols)` bytes, 64-byte aligned; owned by whoever
///     packed or mapped it
/// @param format how the weights are stored
/// @param rows outputs
/// @param cols inputs; a multiple of [WeightFormat#columnMultiple]
public record PackedMatrix(MemorySegment data, WeightFormat format, int rows, int cols) {
    public PackedMatrix {
        if (rows <= 0 || cols <= 0) {
            throw new IllegalArgumentException("empty matrix: " + rows + " x " + cols);
        }
        if (cols % format.columnMultiple() != 0) {
            throw new IllegalArgumentException(
                    format
                            + " columns must be a multiple of "
                            + format.columnMultiple()
                            + ": "
                            + cols);
        }
        long expected = groupsOf(rows) * format.groupBytes(cols);
        if (data.byteSize() != expected) {
            throw new IllegalArgumentException(
                    "packed matrix has " + data.byteSize() + " bytes, expected " + expected);
        }
    }

    /// Groups of 16 outputs, the last one padded.
    public int groups() {
        return (int) groupsOf(rows);
    }

    /// Bytes a packed matrix of this shape takes.
    public static long bytes(WeightFormat format, int rows, int cols) {
        return groupsOf(rows) * format.groupBytes(cols);
    }

    private static long groupsOf(int rows) {
        return (rows + (long) WeightFormat.GROUP - 1) / WeightFormat.GROUP;
    }
}
