package io.atoll.model.weights;

import io.atoll.kernels.PackedMatrix;
import io.atoll.kernels.Packing;
import io.atoll.kernels.RowReader;
import io.atoll.kernels.RowSource;
import io.atoll.kernels.SourceType;
import io.atoll.kernels.WeightFormat;
import io.atoll.model.checkpoint.CheckpointException;
import io.atoll.model.checkpoint.Tensor;
import io.atoll.model.quant.WeightMatrix;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SegmentAllocator;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/// Brings weights, however they are stored, into the layout that the kernels read.
///
/// Matrices are laid below each other, so the gate and up projections of an expert become one. Plain floats are taken from
/// the mapped file; everything else is decoded some rows at a time, so that packing needs no more memory than its result.
public final class WeightPacking {
    private WeightPacking() {}

    /// The narrowest format that keeps every value of these matrices: `BF16` if all are stored so, else `F32`.
    ///
    /// There is no packed form of integers with scales here, so a quantised weight takes the four bytes of the float it means.
    public static WeightFormat format(List<WeightMatrix> matrices) {
        return matrices.stream().allMatch(WeightMatrix::isBf16)
                ? WeightFormat.BF16
                : WeightFormat.F32;
    }

    /// Packs matrices below each other, without changing a value.
    ///
    /// @param source where they come from, for messages
    /// @param matrices from top to bottom, all of the same width
    /// @param allocator owns the result
    /// @throws CheckpointException if a weight is of a type whose values neither format keeps
    public static PackedMatrix keep(
            Path source, List<WeightMatrix> matrices, SegmentAllocator allocator) {
        return pack(format(matrices), source, matrices, allocator);
    }

    /// Packs matrices below each other in a given format. `Q8` rounds them; the others keep every value.
    ///
    /// @throws CheckpointException if a weight is not finite and should be rounded, or its value does not fit the format
    public static PackedMatrix pack(
            WeightFormat format,
            Path source,
            List<WeightMatrix> matrices,
            SegmentAllocator allocator) {
        int cols = matrices.getFirst().cols();
        int rows = 0;
        for (WeightMatrix matrix : matrices) {
            if (matrix.cols() != cols) {
                throw new IllegalArgumentException(
                        "matrices of different widths: " + matrices.getFirst() + ", " + matrix);
            }
            matrix.plain().ifPresent(WeightPacking::checkType);
            rows = Math.addExact(rows, matrix.rows());
        }
        List<RowSource> stored = stored(matrices, format);
        try {
            if (!stored.isEmpty()) {
                return format == WeightFormat.Q8
                        ? Packing.quantize(stored, cols, allocator)
                        : Packing.pack(format, stored, cols, allocator);
            }
            RowReader decoded = new Stacked(matrices);
            return format == WeightFormat.Q8
                    ? Packing.quantize(rows, cols, decoded, allocator)
                    : Packing.pack(format, rows, cols, decoded, allocator);
        } catch (IllegalArgumentException e) {
            throw new CheckpointException(
                    source,
                    matrices.getFirst().name(),
                    "cannot be packed as " + format + ": " + e.getMessage(),
                    e);
        }
    }

    /// F64 is the one float that f32 does not keep.
    private static void checkType(Tensor tensor) {
        switch (tensor.dtype()) {
            case F32, BF16, F16 -> {
                // What the kernels take as it is.
            }
            case F64, F8_E4M3, F8_E5M2, F8_E8M0, I64, I32, I16, I8, U64, U32, U16, U8, BOOL ->
                    throw new CheckpointException(
                            tensor.file(),
                            tensor.name(),
                            "a plain matrix must be F32, BF16 or F16, found " + tensor.dtype());
        }
    }

    /// The matrices as they lie in the file, if packing can take all of them so; else none.
    private static List<RowSource> stored(List<WeightMatrix> matrices, WeightFormat format) {
        List<RowSource> sources = new ArrayList<>();
        for (WeightMatrix matrix : matrices) {
            if (matrix.plain().isEmpty()) {
                return List.of();
            }
            Tensor tensor = matrix.plain().get();
            SourceType type =
                    switch (tensor.dtype()) {
                        case BF16 -> SourceType.BF16;
                        case F16 -> SourceType.F16;
                        default -> SourceType.F32;
                    };
            if (format != WeightFormat.Q8 && !Packing.keepsValues(type, format)) {
                return List.of(); // decoded values may fit, which packing checks one by one
            }
            sources.add(new RowSource(tensor.data(), type, matrix.rows()));
        }
        return sources;
    }

    /// Matrices below each other, read as one.
    private record Stacked(List<WeightMatrix> matrices) implements RowReader {
        @Override
        public void read(int first, int count, MemorySegment rows) {
            int top = 0;
            for (WeightMatrix matrix : matrices) {
                int from = Math.max(first, top);
                int to = Math.min(first + count, top + matrix.rows());
                if (from < to) {
                    long offset = 4L * (from - first) * matrix.cols();
                    matrix.decodeRows(from - top, to - from, rows.asSlice(offset));
                }
                top += matrix.rows();
            }
        }
    }
}
