package io.atoll.model.weights;

import io.atoll.kernels.PackedMatrix;
import io.atoll.kernels.Packing;
import io.atoll.kernels.RowReader;
import io.atoll.kernels.RowSource;
import io.atoll.kernels.SourceType;
import io.atoll.kernels.WeightFormat;
import io.atoll.model.checkpoint.CheckpointException;
import io.atoll.model.checkpoint.Tensor;
import io.atoll.model.quant.GgmlType;
import io.atoll.model.quant.WeightMatrix;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SegmentAllocator;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/// Brings weights, however they are stored, into the layout that the kernels read.
///
/// Matrices can be laid below each other, so that those which meet the same rows become one. Plain floats are taken from
/// the mapped file, and so are blocks of integers where the mode keeps them; everything else is decoded some rows at a time, so
/// that packing needs no more memory than its result.
public final class WeightPacking {
    private WeightPacking() {}

    /// The format that these matrices take below each other, every value kept: that of their blocks if the mode wants it and
    /// all have the same; else `BF16` if all are stored so, else `F32`.
    public static WeightFormat format(PackingMode mode, List<WeightMatrix> matrices) {
        if (mode == PackingMode.PACKED) {
            Optional<WeightFormat> packed = blockFormat(matrices);
            if (packed.isPresent()) {
                return packed.get();
            }
        }
        return matrices.stream().allMatch(WeightMatrix::isBf16)
                ? WeightFormat.BF16
                : WeightFormat.F32;
    }

    /// How the routed experts of a model are packed. Whoever sends them rows and whoever holds a part of them have to agree on the
    /// form of a row, so this is one answer for the whole model: `PACKED` if the gate and the up projection of every
    /// expert can be, each in a format of its own, else `EXACT`, also where only some could.
    ///
    /// With `PACKED` rows are int8, with `EXACT` f32. Down projections meet rows that never leave the worker; each is packed as
    /// it can be.
    public static PackingMode expertMode(TextWeights weights) {
        for (int layer = 0; layer < weights.config().layerCount(); layer++) {
            for (int expert = 0; expert < weights.config().experts(); expert++) {
                if (!takesQuantizedRows(weights.expert(layer, expert))) {
                    return PackingMode.EXACT;
                }
            }
        }
        return PackingMode.PACKED;
    }

    /// Whether the gate and the up projection of an expert can each be packed as the blocks that it is stored in.
    public static boolean takesQuantizedRows(ExpertWeights expert) {
        return blockFormat(List.of(expert.gate())).isPresent()
                && blockFormat(List.of(expert.up())).isPresent();
    }

    /// The format of the matrices' blocks, if all have such and the same.
    private static Optional<WeightFormat> blockFormat(List<WeightMatrix> matrices) {
        Optional<WeightFormat> format =
                matrices.getFirst().blocks().flatMap(blocks -> formatOf(blocks.type()));
        return format.isPresent()
                        && matrices.stream()
                                .allMatch(
                                        matrix ->
                                                matrix.blocks()
                                                        .flatMap(blocks -> formatOf(blocks.type()))
                                                        .equals(format))
                ? format
                : Optional.empty();
    }

    private static Optional<WeightFormat> formatOf(GgmlType type) {
        return switch (type) {
            case Q4_0 -> Optional.of(WeightFormat.Q4_0);
            case Q4_1 -> Optional.of(WeightFormat.Q4_1);
            case Q5_0 -> Optional.of(WeightFormat.Q5_0);
            case Q5_1 -> Optional.of(WeightFormat.Q5_1);
            case Q8_0 -> Optional.of(WeightFormat.Q8_0);
            case Q2_K -> Optional.of(WeightFormat.Q2_K);
            case Q3_K -> Optional.of(WeightFormat.Q3_K);
            case Q4_K -> Optional.of(WeightFormat.Q4_K);
            case Q5_K -> Optional.of(WeightFormat.Q5_K);
            case Q6_K -> Optional.of(WeightFormat.Q6_K);
            case IQ4_NL -> Optional.of(WeightFormat.IQ4_NL);
            case IQ4_XS -> Optional.of(WeightFormat.IQ4_XS);
            case MXFP4 -> Optional.of(WeightFormat.MXFP4);
            case F32, F16, BF16, NVFP4 -> Optional.empty();
        };
    }

    /// Packs matrices below each other, without changing a value.
    ///
    /// @param source where they come from, for messages
    /// @param matrices from top to bottom, all of the same width
    /// @param allocator owns the result
    /// @throws CheckpointException if a weight is of a type whose values no format keeps
    public static PackedMatrix keep(
            PackingMode mode,
            Path source,
            List<WeightMatrix> matrices,
            SegmentAllocator allocator) {
        return pack(format(mode, matrices), source, matrices, allocator);
    }

    /// Packs matrices below each other in a given format. `Q8` rounds them; the others keep every value. A format of GGML blocks
    /// takes matrices that are stored so.
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
        try {
            if (format.takesQuantizedRows() && format != WeightFormat.Q8) {
                return Packing.packBlocks(format, blocks(matrices, format), cols, allocator);
            }
            List<RowSource> stored = stored(matrices, format);
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

    /// The blocks of all matrices as they lie in the file.
    private static List<MemorySegment> blocks(List<WeightMatrix> matrices, WeightFormat format) {
        if (!blockFormat(matrices).equals(Optional.of(format))) {
            throw new IllegalArgumentException("not stored so: " + matrices);
        }
        return matrices.stream()
                .flatMap(matrix -> matrix.blocks().stream())
                .flatMap(blocks -> blocks.rows().stream())
                .toList();
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
