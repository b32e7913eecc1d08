package io.atoll.model.quant;

import io.atoll.model.checkpoint.CheckpointException;
import io.atoll.model.checkpoint.DType;
import io.atoll.model.checkpoint.Tensor;
import java.util.Arrays;

/// Scales that each serve a block of a matrix: all of it, a row, a run of a row, or a rectangle.
///
/// @param type how the file stores them
/// @param values `[ceil(rows / blockRows), gridCols]`, row-major
/// @param gridCols blocks across
/// @param blockRows rows of a block
/// @param blockCols columns of a block
record ScaleGrid(DType type, float[] values, int gridCols, int blockRows, int blockCols) {

    /// The scale of block `block` (counted across) for a row.
    float at(int row, int block) {
        return values[row / blockRows * gridCols + block];
    }

    /// Reads a tensor of scales for a matrix, and finds out from its shape what each of them serves.
    ///
    /// @param blockRows rows of a rectangle where the configuration gives one, else 0
    /// @param blockCols columns of it
    /// @param groupSize columns of a run where the configuration gives it, else 0
    static ScaleGrid of(
            Tensor scales, int rows, int cols, int blockRows, int blockCols, int groupSize) {
        scales.expectFloats();
        long[] shape = scales.shape();
        if (scales.elements() == 1) {
            return new ScaleGrid(scales.dtype(), scales.floats(), 1, rows, cols);
        }
        if (shape.length == 1 && shape[0] == rows) {
            return new ScaleGrid(scales.dtype(), scales.floats(), 1, 1, cols);
        }
        if (shape.length == 2) {
            if (blockRows > 0
                    && shape[0] == Math.ceilDiv(rows, blockRows)
                    && shape[1] == Math.ceilDiv(cols, blockCols)) {
                return new ScaleGrid(scales.dtype(), scales.floats(), (int) shape[1], blockRows, blockCols);
            }
            if (shape[0] == rows && shape[1] >= 1 && shape[1] <= cols) {
                int group = groupSize(scales, cols, (int) shape[1], groupSize);
                return new ScaleGrid(scales.dtype(), scales.floats(), (int) shape[1], 1, group);
            }
        }
        throw new CheckpointException(
                scales.file(),
                scales.name(),
                "shape "
                        + Arrays.toString(shape)
                        + " does not fit a matrix ["
                        + rows
                        + ", "
                        + cols
                        + "]"
                        + (blockRows > 0 ? " in blocks of " + blockRows + "x" + blockCols : "")
                        + ": expected one scale, one for each row, or one for each block");
    }

    /// Columns that share a scale when a row has `groups` scales: what the configuration says if that gives as many groups,
    /// else an even split.
    static int groupSize(Tensor scales, int cols, int groups, int configured) {
        if (configured > 0 && Math.ceilDiv(cols, configured) == groups) {
            return configured;
        }
        if (cols % groups == 0) {
            return cols / groups;
        }
        throw new CheckpointException(
                scales.file(),
                scales.name(),
                groups
                        + " groups do not divide "
                        + cols
                        + " columns, and the configured group size is "
                        + configured);
    }

    String description() {
        if (blockRows == 1) {
            return gridCols == 1 ? "a scale for each row" : "a scale for each " + blockCols;
        }
        return gridCols == 1 && values.length == 1
                ? "one scale"
                : blockRows + "x" + blockCols + " block scales";
    }
}
