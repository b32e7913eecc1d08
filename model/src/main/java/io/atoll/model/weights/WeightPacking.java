package io.atoll.model.weights;

import io.atoll.kernels.CodeReader;
import io.atoll.kernels.PackedMatrix;
import io.atoll.kernels.Packing;
import io.atoll.kernels.RowReader;
import io.atoll.kernels.RowSource;
import io.atoll.kernels.SourceType;
import io.atoll.kernels.WeightFormat;
import io.atoll.model.checkpoint.CheckpointException;
import io.atoll.model.checkpoint.DType;
import io.atoll.model.checkpoint.Tensor;
import io.atoll.model.config.TextConfig;
import io.atoll.model.quant.GgmlType;
import io.atoll.model.quant.ReorderedMatrix;
import io.atoll.model.quant.StoredBlocks;
import io.atoll.model.quant.WeightMatrix;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SegmentAllocator;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.Function;
import java.util.stream.IntStream;

/// Brings weights, however they are stored, into the layout that the kernels read.
///
/// Matrices can be laid below each other, so that those which meet the same rows become one. Plain floats are taken from
/// the mapped file, and so are blocks of integers where the mode keeps them; everything else is decoded some rows at a time, so
/// that packing needs no more memory than its result.
public final class WeightPacking {
    private WeightPacking() {}

    /// The format that these matrices take below each other, every value kept: that of their integers if the mode wants it and
    /// all have the same; else that of their floats if all have the same; else `F32`.
    public static WeightFormat format(PackingMode mode, List<WeightMatrix> matrices) {
        if (mode == PackingMode.PACKED) {
            Optional<WeightFormat> packed = same(matrices, WeightPacking::integerFormat);
            if (packed.isPresent()) {
                return packed.get();
            }
        }
        return same(matrices, WeightPacking::floatFormat).orElse(WeightFormat.F32);
    }

    /// How the routed experts of a model are packed. Whoever sends them rows and whoever holds a part of them have to agree on the
    /// form of a row, so this is one answer for the whole model: `PACKED` if the gate and the up projection of every
    /// expert can be, each in a format of its own, else `EXACT`, also where only some could.
    ///
    /// With `PACKED` rows are int8, with `EXACT` f32. Down projections meet rows that never leave the worker; each is packed as
    /// it can be.
    public static PackingMode expertMode(TextWeights weights) {
        Optional<Boolean> told = weights.expertsTakeQuantizedRows();
        if (told.isPresent()) {
            return told.get() ? PackingMode.PACKED : PackingMode.EXACT;
        }
        for (int layer = 0; layer < weights.config().layerCount(); layer++) {
            for (int expert = 0; expert < weights.config().experts(); expert++) {
                if (!takesQuantizedRows(weights.expert(layer, expert))) {
                    return PackingMode.EXACT;
                }
            }
        }
        return PackingMode.PACKED;
    }

    /// Whether the multi-token prediction module can run beside the model: there is one, and its experts take the rows that the
    /// model's do.
    public static boolean predicts(TextWeights weights) {
        int first = weights.config().layerCount();
        return weights.mtp().isPresent()
                && (weights.expertsTakeQuantizedRows().isPresent()
                        || expertMode(weights) == PackingMode.EXACT
                        || IntStream.range(first, first + weights.config().mtpLayers())
                                .allMatch(layer -> takesQuantizedRows(weights.expert(layer, 0))));
    }

    /// Layers whose experts are routed to: those of the model, and of the prediction module if it can run.
    public static int routedLayers(TextWeights weights) {
        TextConfig config = weights.config();
        return config.layerCount() + (predicts(weights) ? config.mtpLayers() : 0);
    }

    /// Whether the gate and the up projection of an expert can each be packed as the integers that it is stored as.
    public static boolean takesQuantizedRows(ExpertWeights expert) {
        return integerFormat(expert.gate()).isPresent() && integerFormat(expert.up()).isPresent();
    }

    /// The format of all matrices, if it is the same.
    private static Optional<WeightFormat> same(
            List<WeightMatrix> matrices, Function<WeightMatrix, Optional<WeightFormat>> formatOf) {
        Optional<WeightFormat> first = formatOf.apply(matrices.getFirst());
        return matrices.stream().allMatch(matrix -> formatOf.apply(matrix).equals(first))
                ? first
                : Optional.empty();
    }

    /// The format that keeps the integers of a matrix, if it is stored so.
    private static Optional<WeightFormat> integerFormat(WeightMatrix matrix) {
        return matrix.packed()
                .map(PackedMatrix::format)
                .filter(WeightFormat::takesQuantizedRows)
                .or(() -> matrix.blocks().flatMap(blocks -> formatOf(blocks.type())))
                .or(() -> CodeFormats.of(matrix).filter(WeightFormat::takesQuantizedRows));
    }

    /// The format that keeps the floats of a matrix, if it is stored as such.
    private static Optional<WeightFormat> floatFormat(WeightMatrix matrix) {
        if (matrix.plainType().equals(Optional.of(DType.BF16))) {
            return Optional.of(WeightFormat.BF16);
        }
        if (matrix.plainType().equals(Optional.of(DType.F16))) {
            return Optional.of(WeightFormat.F16);
        }
        return matrix.packed()
                .map(PackedMatrix::format)
                .or(() -> CodeFormats.of(matrix))
                .filter(format -> !format.takesQuantizedRows());
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

    /// A matrix that is stored in blocks along its rows, and whose columns would have to be moved. A block of 256 columns spans
    /// several heads and cannot be cut, so the columns stay, and whoever multiplies moves the rows that meet them instead.
    public static Optional<ReorderedMatrix> columnsToLeave(WeightMatrix matrix) {
        return matrix instanceof ReorderedMatrix reordered
                        && reordered.axis() == ReorderedMatrix.Axis.COLUMNS
                        && format(PackingMode.PACKED, List.of(reordered.source()))
                                .takesQuantizedRows()
                ? Optional.of(reordered)
                : Optional.empty();
    }

    /// Packs matrices below each other, without changing a value. What a pack holds in that format already is not copied: the result
    /// lies in its mapped file then.
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
    /// or of codes takes matrices that are stored so.
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
        Optional<PackedMatrix> ready = ready(format, matrices, rows, allocator);
        if (ready.isPresent()) {
            return ready.get();
        }
        try {
            if (format == WeightFormat.F8_E4M3
                    || (format.takesQuantizedRows() && format != WeightFormat.Q8)) {
                return packStored(format, matrices, rows, cols, allocator);
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

    /// What is packed in this format already: one matrix as it lies in its file, several copied below each other. A group of lanes
    /// that is not full cannot be continued by the next matrix; there is nothing then, unless it is the last.
    private static Optional<PackedMatrix> ready(
            WeightFormat format, List<WeightMatrix> matrices, int rows, SegmentAllocator memory) {
        List<PackedMatrix> packed =
                matrices.stream()
                        .flatMap(matrix -> matrix.packed().stream())
                        .filter(matrix -> matrix.format() == format)
                        .toList();
        if (packed.size() != matrices.size()
                || packed.subList(0, packed.size() - 1).stream()
                        .anyMatch(matrix -> matrix.rows() % WeightFormat.GROUP != 0)) {
            return Optional.empty();
        }
        if (packed.size() == 1) {
            return Optional.of(packed.getFirst());
        }
        MemorySegment joined =
                memory.allocate(
                        PackedMatrix.bytes(format, rows, packed.getFirst().cols()),
                        PackedMatrix.ALIGNMENT);
        long at = 0;
        for (PackedMatrix matrix : packed) {
            MemorySegment.copy(matrix.data(), 0, joined, at, matrix.data().byteSize());
            at += matrix.data().byteSize();
        }
        return Optional.of(new PackedMatrix(joined, format, rows, packed.getFirst().cols()));
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

    /// Packs integers, or 8-bit floats, as they lie in the file.
    private static PackedMatrix packStored(
            WeightFormat format,
            List<WeightMatrix> matrices,
            int rows,
            int cols,
            SegmentAllocator allocator) {
        if (matrices.stream().allMatch(matrix -> blocks(matrix, format).isPresent())) {
            List<MemorySegment> blocks =
                    matrices.stream()
                            .flatMap(matrix -> blocks(matrix, format).orElseThrow().rows().stream())
                            .toList();
            return Packing.packBlocks(format, blocks, cols, allocator);
        }
        if (!same(matrices, CodeFormats::of).equals(Optional.of(format))) {
            throw new IllegalArgumentException(
                    "not stored so, or packed in rows that are no whole groups of "
                            + WeightFormat.GROUP
                            + ": "
                            + matrices);
        }
        CodeReader reader = CodeFormats.reader(format, matrices);
        return Packing.packCodes(format, rows, cols, reader, allocator);
    }

    private static Optional<StoredBlocks> blocks(WeightMatrix matrix, WeightFormat format) {
        return matrix.blocks()
                .filter(blocks -> formatOf(blocks.type()).equals(Optional.of(format)));
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
