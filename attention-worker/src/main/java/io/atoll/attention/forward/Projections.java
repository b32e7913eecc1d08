package io.atoll.attention.forward;

import io.atoll.kernels.PackedMatrix;
import java.lang.foreign.MemorySegment;
import java.util.List;

/// Matrices that meet the same rows, multiplied in one parallel pass: at one row a pass takes microseconds, and each
/// hand-over to the pool counts.
final class Projections {
    private final Compute compute;
    private final List<Projection> projections;
    private final int groups;
    private final long weights;

    /// @param matrix `[outputs, inputs]`
    /// @param out f32 `[rows, outputs]`, overwritten by each pass
    record Projection(PackedMatrix matrix, MemorySegment out) {}

    Projections(Compute compute, Projection... projections) {
        this.compute = compute;
        this.projections = List.of(projections);
        int sum = 0;
        long size = 0;
        for (Projection projection : projections) {
            sum += projection.matrix().groups();
            size += (long) projection.matrix().rows() * projection.matrix().cols();
        }
        groups = sum;
        weights = size;
    }

    /// @param x f32 `[rows, inputs]`
    void apply(MemorySegment x, int rows) {
        compute.split(groups, rows * weights, (begin, end) -> multiply(x, rows, begin, end));
    }

    /// The same for one matrix.
    ///
    /// @param out f32 `[rows, outputs]`, overwritten
    static void apply(
            Compute compute, PackedMatrix matrix, MemorySegment x, int rows, MemorySegment out) {
        compute.split(
                matrix.groups(),
                (long) rows * matrix.rows() * matrix.cols(),
                (begin, end) ->
                        compute.kernels().matMul(matrix, x, rows, out, matrix.rows(), begin, end));
    }

    /// Groups `begin` to `end - 1`, counted through all matrices.
    private void multiply(MemorySegment x, int rows, int begin, int end) {
        int first = 0;
        for (Projection projection : projections) {
            PackedMatrix matrix = projection.matrix();
            int from = Math.max(begin - first, 0);
            int to = Math.min(end - first, matrix.groups());
            if (from < to) {
                compute.kernels()
                        .matMul(matrix, x, rows, projection.out(), matrix.rows(), from, to);
            }
            first += matrix.groups();
        }
    }
}
