package io.atoll.model.quant;

import io.atoll.model.checkpoint.Checkpoint;
import io.atoll.model.checkpoint.CheckpointException;
import io.atoll.model.checkpoint.DType;
import io.atoll.model.checkpoint.Tensor;
import io.atoll.model.checkpoint.TensorNames;
import io.atoll.model.config.QuantizationConfig;
import io.atoll.model.config.QuantizationConfig.Method;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/// Weights of a release in safetensors files, plain or quantised.
///
/// How a weight is encoded is seen from the tensors that stand under its name; the configuration must call for that kind of
/// encoding, and gives the numbers that the tensors do not show. So a release whose list of unquantised layers is wrong
/// still loads, and one whose layout this program would misread is refused.
public final class CheckpointWeights implements WeightStore {
    private static final ValueLayout.OfInt INT =
            ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfLong LONG =
            ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

    private static final String WEIGHT = ".weight";
    private static final String EXPERTS = ".mlp.experts.";

    private final Checkpoint checkpoint;
    private final Optional<QuantizationConfig> quantization;
    private final TensorNames names;

    /// @param checkpoint borrowed; closing it ends the use of everything found here
    /// @param quantization what the release says of its quantisation; empty if it says that it has none
    /// @throws CheckpointException if the checkpoint has no token embedding to tell its names by
    public CheckpointWeights(Checkpoint checkpoint, Optional<QuantizationConfig> quantization) {
        this(checkpoint, quantization, TensorNames.of(checkpoint));
    }

    /// As the other, for a checkpoint whose names are known, or that is a part of one.
    public CheckpointWeights(
            Checkpoint checkpoint, Optional<QuantizationConfig> quantization, TensorNames names) {
        this.checkpoint = checkpoint;
        this.quantization = quantization;
        this.names = names;
    }

    @Override
    public Path source() {
        return checkpoint.source();
    }

    @Override
    public TensorNames names() {
        return names;
    }

    @Override
    public boolean contains(String name) {
        String base = base(name);
        return checkpoint.contains(name)
                || checkpoint.contains(base + ".qweight")
                || checkpoint.contains(base + ".weight_packed")
                || FusedExpert.of(name).map(f -> checkpoint.contains(f.tensor())).orElse(false);
    }

    @Override
    public void releasePages() {
        checkpoint.releasePages();
    }

    @Override
    public Tensor tensor(String name, long... shape) {
        return checkpoint.require(name, shape);
    }

    @Override
    public WeightMatrix matrix(String name, int rows, int cols) {
        WeightMatrix matrix = matrix(name);
        if (matrix.rows() != rows || matrix.cols() != cols) {
            Optional<Tensor> plain = matrix.plain();
            throw new CheckpointException(
                    plain.map(Tensor::file).orElse(source()),
                    plain.map(Tensor::name).orElse(name),
                    "expected a matrix ["
                            + rows
                            + ", "
                            + cols
                            + "], found ["
                            + matrix.rows()
                            + ", "
                            + matrix.cols()
                            + "] in "
                            + matrix.encoding());
        }
        return matrix;
    }

    /// A matrix of whatever size the tensors give it.
    ///
    /// @param name with or without `.weight`
    public WeightMatrix matrix(String name) {
        String base = base(name);
        List<String> found = new ArrayList<>();
        for (String suffix : List.of(WEIGHT, ".weight_packed", ".qweight")) {
            if (checkpoint.contains(base + suffix)) {
                found.add(suffix);
            }
        }
        if (found.size() > 1) {
            throw new CheckpointException(
                    source(), base, "is stored more than once: as " + String.join(" and ", found));
        }
        if (found.isEmpty()) {
            return FusedExpert.of(base + WEIGHT)
                    .filter(fused -> checkpoint.contains(fused.tensor()))
                    .map(fused -> fused(base, fused))
                    .orElseThrow(
                            () ->
                                    new CheckpointException(
                                            source(),
                                            base + WEIGHT,
                                            "tensor is missing, in every known encoding"));
        }
        return switch (found.getFirst()) {
            case WEIGHT -> weight(base, rank2(base + WEIGHT));
            case ".weight_packed" -> packed(base, rank2(base + ".weight_packed"));
            default -> transposed(base, rank2(base + ".qweight"));
        };
    }

    /// One expert's part of a tensor that holds those of a whole layer.
    ///
    /// @param tensor the fused tensor
    /// @param expert which slice
    /// @param half which half of a slice's rows: 0 or 1, or -1 for all
    private record FusedExpert(String tensor, int expert, int half) {
        static Optional<FusedExpert> of(String name) {
            int at = name.lastIndexOf(EXPERTS);
            if (at < 0) {
                return Optional.empty();
            }
            String prefix = name.substring(0, at) + EXPERTS;
            String[] rest = name.substring(at + EXPERTS.length()).split("\\.", -1);
            if (rest.length != 3 || !rest[0].matches("\\d{1,6}") || !rest[2].equals("weight")) {
                return Optional.empty();
            }
            int expert = Integer.parseInt(rest[0]);
            return switch (rest[1]) {
                case "gate_proj" ->
                        Optional.of(new FusedExpert(prefix + "gate_up_proj", expert, 0));
                case "up_proj" -> Optional.of(new FusedExpert(prefix + "gate_up_proj", expert, 1));
                case "down_proj" -> Optional.of(new FusedExpert(prefix + "down_proj", expert, -1));
                default -> Optional.empty();
            };
        }
    }

    private WeightMatrix fused(String base, FusedExpert fused) {
        Tensor all = checkpoint.require(fused.tensor()).expectFloats();
        if (all.rank() != 3 || (fused.half() >= 0 && all.dim(1) % 2 != 0)) {
            throw wrongShape(all, "[experts, rows, cols]");
        }
        if (fused.expert() >= all.dim(0)) {
            throw new CheckpointException(
                    all.file(),
                    all.name(),
                    "has " + all.dim(0) + " experts, asked for expert " + fused.expert());
        }
        Tensor one = all.slice(fused.expert());
        long half = one.dim(0) / 2;
        Tensor part = fused.half() < 0 ? one : one.slices(fused.half() * half, half);
        return new PlainMatrix(
                base + WEIGHT, part, size(part, part.dim(0)), size(part, part.dim(1)));
    }

    /// `name.weight`: plain, or codes of a byte each with scales beside them.
    private WeightMatrix weight(String base, Tensor weight) {
        int rows = size(weight, weight.dim(0));
        int cols = size(weight, weight.dim(1));
        boolean hasScales =
                checkpoint.contains(base + ".weight_scale")
                        || checkpoint.contains(base + ".weight_scale_inv");
        if (weight.dtype().widensToFloat()) {
            if (hasScales) {
                throw new CheckpointException(
                        weight.file(),
                        weight.name(),
                        "is " + weight.dtype() + " but has scales beside it, which is ambiguous");
            }
            return new PlainMatrix(weight.name(), weight, rows, cols);
        }
        if (!hasScales) {
            throw new CheckpointException(
                    weight.file(),
                    weight.name(),
                    "is " + weight.dtype() + " but has no weight_scale or weight_scale_inv");
        }
        return switch (weight.dtype()) {
            case F8_E4M3 -> fp8(base, weight, rows, cols);
            case I8 -> int8(base, weight, rows, cols);
            case U8 -> {
                QuantizationConfig config =
                        calledFor(weight, "FP4 pairs", EnumSet.of(Method.MODELOPT, Method.QUARK));
                refuseIfPresent(base + ".pre_quant_scale");
                yield checkpoint.contains(base + ".weight_scale_2")
                        ? nvfp4(base, weight, Fp4Matrix.Kind.NVFP4_MULTIPLIED, ".weight_scale_2")
                        : mxfp4(base, weight, config);
            }
            default ->
                    throw new CheckpointException(
                            weight.file(),
                            weight.name(),
                            "quantised weights of type "
                                    + weight.dtype()
                                    + " are not supported; F8_E4M3, I8 and U8 are");
        };
    }

    private WeightMatrix fp8(String base, Tensor weight, int rows, int cols) {
        QuantizationConfig config =
                calledFor(
                        weight,
                        "FP8",
                        EnumSet.of(
                                Method.FP8,
                                Method.COMPRESSED_TENSORS,
                                Method.MODELOPT,
                                Method.QUARK));
        Tensor scales =
                checkpoint
                        .find(base + ".weight_scale_inv")
                        .or(() -> checkpoint.find(base + ".weight_scale"))
                        .orElseThrow();
        ScaleGrid grid =
                ScaleGrid.of(
                        scales,
                        rows,
                        cols,
                        config.blockRows(),
                        config.blockCols(),
                        config.groupSize());
        return new Fp8Matrix(weight.name(), weight, grid, rows, cols);
    }

    private WeightMatrix int8(String base, Tensor weight, int rows, int cols) {
        QuantizationConfig config =
                calledFor(weight, "INT8", EnumSet.of(Method.COMPRESSED_TENSORS, Method.QUARK));
        refuseIfPresent(base + ".weight_g_idx");
        Tensor scales = checkpoint.require(base + ".weight_scale");
        ScaleGrid grid = ScaleGrid.of(scales, rows, cols, 0, 0, config.groupSize());
        Optional<Tensor> zeros =
                checkpoint
                        .find(base + ".weight_zero_point")
                        .map(found -> expect(found, DType.I8, scales.shape()));
        return new Int8Matrix(weight.name(), weight, grid, zeros, rows, cols);
    }

    /// `name.weight_packed`: compressed-tensors' integers or FP4.
    private WeightMatrix packed(String base, Tensor packed) {
        QuantizationConfig config =
                calledFor(packed, "weight_packed", EnumSet.of(Method.COMPRESSED_TENSORS));
        return switch (packed.dtype()) {
            case I32 -> packedIntegers(base, packed, config);
            case U8 ->
                    checkpoint.contains(base + ".weight_global_scale")
                            ? nvfp4(
                                    base,
                                    packed,
                                    Fp4Matrix.Kind.NVFP4_DIVIDED,
                                    ".weight_global_scale")
                            : mxfp4(base, packed, config);
            default ->
                    throw new CheckpointException(
                            packed.file(),
                            packed.name(),
                            "expected I32 (integers) or U8 (FP4 pairs), found " + packed.dtype());
        };
    }

    private WeightMatrix packedIntegers(String base, Tensor packed, QuantizationConfig config) {
        Tensor shape = checkpoint.require(base + ".weight_shape").expectShape(2);
        int rows = shapeEntry(shape, 0);
        int cols = shapeEntry(shape, 1);
        int bits = 0;
        for (int candidate : new int[] {4, 8}) {
            boolean fits =
                    packed.dim(0) == rows && packed.dim(1) == Math.ceilDiv(cols, 32 / candidate);
            if (fits && (bits == 0 || candidate == config.bits())) {
                bits = candidate;
            }
        }
        if (bits == 0) {
            throw wrongShape(
                    packed,
                    "the words of a matrix ["
                            + rows
                            + ", "
                            + cols
                            + "] of 4 or 8 bits (the configuration says "
                            + config.bits()
                            + ")");
        }
        Tensor scales = rank2(base + ".weight_scale").expectFloats();
        if (scales.dim(0) != rows || scales.dim(1) < 1 || scales.dim(1) > cols) {
            throw wrongShape(scales, "[" + rows + ", groups]");
        }
        int groups = (int) scales.dim(1);
        int[] groupOfColumn = groups(base + ".weight_g_idx", scales, cols, groups, config);
        int perWord = 32 / bits;
        Optional<Tensor> zeros =
                checkpoint
                        .find(base + ".weight_zero_point")
                        .map(
                                found ->
                                        found.dtype() == DType.I8
                                                ? expect(found, DType.I8, rows, groups)
                                                : expect(
                                                        found,
                                                        DType.I32,
                                                        Math.ceilDiv(rows, perWord),
                                                        groups));
        return new PackedIntMatrix(
                base + WEIGHT, bits, packed, scales, groupOfColumn, zeros, rows, cols);
    }

    private WeightMatrix nvfp4(String base, Tensor codes, Fp4Matrix.Kind kind, String global) {
        int rows = size(codes, codes.dim(0));
        int cols = fp4Columns(codes, kind);
        Tensor scales =
                expect(
                        checkpoint.require(base + ".weight_scale"),
                        DType.F8_E4M3,
                        rows,
                        cols / kind.run());
        Tensor whole = checkpoint.require(base + global).expectFloats();
        if (whole.elements() != 1) {
            throw wrongShape(whole, "one scale");
        }
        float tensorScale = whole.floats()[0];
        if (!Float.isFinite(tensorScale) || tensorScale == 0) {
            throw new CheckpointException(
                    whole.file(), whole.name(), "must be finite and not 0, found " + tensorScale);
        }
        return new Fp4Matrix(base + WEIGHT, kind, codes, scales, tensorScale, rows, cols);
    }

    private WeightMatrix mxfp4(String base, Tensor codes, QuantizationConfig config) {
        Fp4Matrix.Kind kind = Fp4Matrix.Kind.MXFP4;
        Tensor scales = checkpoint.require(base + ".weight_scale");
        if (scales.dtype() != DType.U8 && scales.dtype() != DType.F8_E8M0) {
            throw new CheckpointException(
                    scales.file(),
                    scales.name(),
                    "expected U8 or F8_E8M0 exponents of MXFP4 (no scale of the whole tensor stands"
                            + " beside it, as "
                            + config.method().label()
                            + "'s NVFP4 would have), found "
                            + scales.dtype());
        }
        int rows = size(codes, codes.dim(0));
        int cols = fp4Columns(codes, kind);
        scales.expectShape(rows, cols / kind.run());
        return new Fp4Matrix(base + WEIGHT, kind, codes, scales, 1f, rows, cols);
    }

    /// `name.qweight`: GPTQ's or AWQ's integers. GPTQ packs along the inputs, AWQ along the outputs, and the scales' width is
    /// the number of outputs in both, so the shapes tell them apart.
    private WeightMatrix transposed(String base, Tensor words) {
        expectType(words, DType.I32);
        Tensor scales = rank2(base + ".scales").expectFloats();
        int rows = size(scales, scales.dim(1));
        int groups = size(scales, scales.dim(0));
        Tensor zeros = checkpoint.require(base + ".qzeros");
        if (groups > Math.multiplyExact(words.dim(0), 32L)) {
            throw wrongShape(scales, "no more groups than inputs");
        }
        if (words.dim(1) == rows) {
            QuantizationConfig config = calledFor(words, "GPTQ", EnumSet.of(Method.GPTQ));
            int perWord = 32 / config.bits();
            int cols = size(words, Math.multiplyExact(words.dim(0), (long) perWord));
            if (rows % perWord != 0) {
                throw wrongShape(scales, "a multiple of " + perWord + " outputs");
            }
            expect(zeros, DType.I32, groups, rows / perWord);
            int[] groupOfColumn = groups(base + ".g_idx", scales, cols, groups, config);
            return new GptqMatrix(
                    base + WEIGHT,
                    config.bits(),
                    words,
                    zeros,
                    config.wholeZeros(),
                    scales,
                    groupOfColumn,
                    rows,
                    cols);
        }
        if (words.dim(1) * 8 == rows) {
            QuantizationConfig config = calledFor(words, "AWQ", EnumSet.of(Method.AWQ));
            int cols = size(words, words.dim(0));
            expect(zeros, DType.I32, groups, rows / 8);
            int groupSize = ScaleGrid.groupSize(scales, cols, groups, config.groupSize());
            return new AwqMatrix(base + WEIGHT, words, zeros, scales, groupSize, rows, cols);
        }
        throw wrongShape(
                words,
                "[inputs / 8, "
                        + rows
                        + "] (GPTQ) or [inputs, "
                        + rows / 8
                        + "] (AWQ) by the scales' "
                        + rows
                        + " outputs");
    }

    /// For each column its group: from the tensor of group indices where there is one, else runs of equal length.
    private int[] groups(
            String indexName, Tensor scales, int cols, int groups, QuantizationConfig config) {
        int[] groupOfColumn = new int[cols];
        Optional<Tensor> index = checkpoint.find(indexName);
        boolean given = index.isPresent();
        if (given) {
            expect(index.get(), DType.I32, cols);
            // compressed-tensors fills the index with -1 where the order of columns was kept.
            given = index.get().data().get(INT, 0) != -1;
        }
        if (!given) {
            int size = ScaleGrid.groupSize(scales, cols, groups, config.groupSize());
            for (int col = 0; col < cols; col++) {
                groupOfColumn[col] = col / size;
            }
            return groupOfColumn;
        }
        for (int col = 0; col < cols; col++) {
            int group = index.get().data().get(INT, 4L * col);
            if (group < 0 || group >= groups) {
                throw new CheckpointException(
                        index.get().file(),
                        indexName,
                        "column " + col + " has group " + group + " of " + groups);
            }
            groupOfColumn[col] = group;
        }
        return groupOfColumn;
    }

    /// The configuration, if it calls for this encoding.
    private QuantizationConfig calledFor(Tensor tensor, String encoding, Set<Method> methods) {
        QuantizationConfig config =
                quantization.orElseThrow(
                        () ->
                                new CheckpointException(
                                        tensor.file(),
                                        tensor.name(),
                                        "is quantised ("
                                                + encoding
                                                + "), but config.json has no quantization_config"));
        if (!methods.contains(config.method())) {
            throw new CheckpointException(
                    tensor.file(),
                    tensor.name(),
                    "is stored as "
                            + encoding
                            + ", which does not belong to quant_method \""
                            + config.method().label()
                            + "\" of "
                            + config.file());
        }
        return config;
    }

    private void refuseIfPresent(String name) {
        if (checkpoint.contains(name)) {
            throw new CheckpointException(
                    source(), name, "this variant of the quantisation is not supported");
        }
    }

    private Tensor rank2(String name) {
        Tensor tensor = checkpoint.require(name);
        if (tensor.rank() != 2 || tensor.elements() == 0) {
            throw wrongShape(tensor, "a matrix");
        }
        return tensor;
    }

    private static Tensor expectType(Tensor tensor, DType dtype) {
        if (tensor.dtype() != dtype) {
            throw new CheckpointException(
                    tensor.file(),
                    tensor.name(),
                    "expected " + dtype + ", found " + tensor.dtype());
        }
        return tensor;
    }

    private static Tensor expect(Tensor tensor, DType dtype, long... shape) {
        return expectType(tensor, dtype).expectShape(shape);
    }

    private static int fp4Columns(Tensor codes, Fp4Matrix.Kind kind) {
        int cols = size(codes, Math.multiplyExact(codes.dim(1), 2L));
        if (cols % kind.run() != 0) {
            throw wrongShape(codes, "pairs of a multiple of " + kind.run() + " columns");
        }
        return cols;
    }

    private static int shapeEntry(Tensor shape, int index) {
        long value =
                switch (shape.dtype()) {
                    case I64 -> shape.data().get(LONG, 8L * index);
                    case I32 -> shape.data().get(INT, 4L * index);
                    default -> throw wrongShape(shape, "two integers (I64 or I32)");
                };
        return size(shape, value);
    }

    private static int size(Tensor tensor, long size) {
        if (size <= 0 || size > Integer.MAX_VALUE - 8) {
            throw new CheckpointException(
                    tensor.file(), tensor.name(), "size is out of range: " + size);
        }
        return (int) size;
    }

    private static CheckpointException wrongShape(Tensor tensor, String expected) {
        return new CheckpointException(
                tensor.file(),
                tensor.name(),
                "expected "
                        + expected
                        + ", found "
                        + tensor.dtype()
                        + Arrays.toString(tensor.shape()));
    }

    private static String base(String name) {
        return name.endsWith(WEIGHT) ? name.substring(0, name.length() - WEIGHT.length()) : name;
    }
}
