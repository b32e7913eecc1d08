package io.atoll.attention.forward;

import io.atoll.kernels.PackedMatrix;
import java.lang.foreign.MemorySegment;
import java.util.List;

/// Matrices that meet the same rows, multiplied in one parallel pass: at one row a pass takes microseconds, and each
/// hand-over to the pool counts. Where some of them are packed in integers the rows are quantised before it, once.
final class Projections {
    private final Compute compute;
    private final QuantizedInput quantized;
    private final List<Projection> projections;
    private final int groups;
    private final long weights;
    private final int quantizedCols; // width of the rows if a matrix takes them quantised, else 0

    /// @param matrix `[outputs, inputs]`
    /// @param out f32 `[rows, outputs]`, overwritten by each pass
    record Projection(PackedMatrix matrix, MemorySegment out) {}

    /// @param quantized room for rows of this width; may be shared with passes before and after
    Projections(Compute compute, QuantizedInput quantized, Projection... projections) {
        this.compute = compute;
        this.quantized = quantized;
        this.projections = List.of(projections);
        int sum = 0;
        long size = 0;
        for (Projection projection : projections) {
            sum += projection.matrix().groups();
            size += (long) projection.matrix().rows() * projection.matrix().cols();
        }
        quantizedCols =
                this.projections.stream()
                        .map(Projection::matrix)
                        .filter(matrix -> matrix.format().takesQuantizedRows())
                        .mapToInt(PackedMatrix::cols)
                        .findFirst()
                        .orElse(0);
        groups = sum;
        weights = size;
    }

    /// @param x f32 `[rows, inputs]`
    void apply(MemorySegment x, int rows) {
        if (quantizedCols > 0) {
            quantized.quantize(compute, x, rows, quantizedCols);
        }
        compute.split(groups, rows * weights, (begin, end) -> multiply(x, rows, begin, end));
    }

    /// The same for one matrix.
    ///
    /// @param out f32 `[rows, outputs]`, overwritten
    static void apply(
            Compute compute,
            QuantizedInput quantized,
            PackedMatrix matrix,
            MemorySegment x,
            int rows,
            MemorySegment out) {
        if (matrix.format().takesQuantizedRows()) {
            quantized.quantize(compute, x, rows, matrix.cols());
        }
        compute.split(
                matrix.groups(),
                (long) rows * matrix.rows() * matrix.cols(),
                (begin, end) -> multiply(compute, quantized, matrix, x, rows, out, begin, end));
    }

    /// @param quantized holds the same rows as `x`, if the matrix takes them so
    private static void multiply(
            Compute compute,
            QuantizedInput quantized,
            PackedMatrix matrix,
            MemorySegment x,
            int rows,
            MemorySegment out,
            int begin,
            int end) {
        if (matrix.format().takesQuantizedRows()) {
            compute.kernels()
                    .matMulQuantized(
                            matrix,
                            quantized.q(),
                            quantized.scales(),
                            rows,
                            out,
                            matrix.rows(),
                            begin,
                            end);
        } else {
            compute.kernels().matMul(matrix, x, rows, out, matrix.rows(), begin, end);
        }
    }

    /// Groups `begin` to `end - 1`, counted through all matrices.
    private void multiply(MemorySegment x, int rows, int begin, int end) {
        int first = 0;
        for (Projection projection : projections) {
            PackedMatrix matrix = projection.matrix();
            int from = Math.max(begin - first, 0);
            int to = Math.min(end - first, matrix.groups());
            if (from < to) {
                multiply(compute, quantized, matrix, x, rows, projection.out(), from, to);
            }
            first += matrix.groups();
        }
    }
}
