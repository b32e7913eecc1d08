package io.atoll.model.gguf;

import io.atoll.model.checkpoint.DType;
import io.atoll.model.checkpoint.Tensor;
import io.atoll.model.checkpoint.TensorNames;
import io.atoll.model.config.TextConfig;
import io.atoll.model.quant.GgmlMatrix;
import io.atoll.model.quant.GgmlType;
import io.atoll.model.quant.ReorderedMatrix;
import io.atoll.model.quant.WeightMatrix;
import io.atoll.model.quant.WeightStore;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.Map;
import java.util.Optional;

/// The weights of a `qwen35moe` GGUF file under the names and in the order of a release: what llama.cpp's converter does to
/// them is undone on the way.
///
/// - **Norms.** The converter stores `1 + w` of the zero-centred norms, rounded to f32. Here they are zero-centred again:
///   `g - 1`, rounded to f32. That need not be the release's `w`, whose small bits the addition may have lost; but `1 + w`
///   in f32, which is all the forward pass uses, gives exactly the stored `g` again for every `g` that is such a sum (of a
///   `w` below 2^24 in size): if `w` lies in `[-2, -1/2]` the sum was exact by Sterbenz's lemma, so is the difference, and
///   `w` itself comes back; above, `g >= 1/2` has no bits that are lost when 1 is taken away; below, the sum has no more
///   bits than `w`, so it was exact, too.
/// - **Decay.** `ssm_a` is `-exp(A_log)`. `A_log` comes back as the f32 whose exponential, taken in f64 and rounded to f32,
///   is the stored value, where there is one (so `(float) -Math.exp(A_log)` gives the stored bits), else the nearest.
/// - **Value heads** of Gated DeltaNet layers are put back from the tiled order ([ValueHeadOrder]): rows of the V part of
///   `attn_qkv`, of `attn_gate`, `ssm_alpha` and `ssm_beta`, channels of the convolution, columns of `ssm_out`, and the
///   entries of `ssm_a` and `ssm_dt`.
/// - **Experts** are slices of one tensor a layer and projection, or of a merged one for gate and up.
public final class GgufWeights implements WeightStore {
    private static final String TEXT_PREFIX = "model.language_model.";
    private static final String LAYERS = TEXT_PREFIX + "layers.";
    private static final String MTP_LAYERS = "mtp.layers.";
    private static final String EXPERTS = "mlp.experts.";
    private static final ValueLayout.OfFloat FLOAT =
            ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

    /// What the converter did to a weight, besides renaming it.
    private enum Change {
        NONE,
        /// One was added.
        PLUS_ONE,
        /// `-exp(x)` was taken, and value heads were tiled.
        DECAY,
        /// Value heads of one entry each were tiled.
        HEADS,
        /// Value heads of `linearValueHeadDim` rows each were tiled.
        HEAD_ROWS,
        /// The same, after the rows of queries and keys.
        QKV_ROWS,
        /// Value heads of `linearValueHeadDim` columns each were tiled.
        HEAD_COLUMNS
    }

    /// Where a weight is.
    ///
    /// @param tensor its name in the file
    private record Place(String tensor, Change change) {}

    private static final Map<String, Place> TOP =
            Map.of(
                    TEXT_PREFIX + "embed_tokens.weight",
                    plain("token_embd.weight"),
                    TEXT_PREFIX + "norm.weight",
                    norm("output_norm.weight"),
                    "lm_head.weight",
                    plain("output.weight"));

    private static final Map<String, Place> MTP =
            Map.of(
                    "mtp.fc.weight", plain("nextn.eh_proj.weight"),
                    "mtp.pre_fc_norm_embedding.weight", norm("nextn.enorm.weight"),
                    "mtp.pre_fc_norm_hidden.weight", norm("nextn.hnorm.weight"),
                    "mtp.norm.weight", norm("nextn.shared_head_norm.weight"));

    private static final Map<String, Place> LAYER =
            Map.ofEntries(
                    Map.entry("input_layernorm.weight", norm("attn_norm.weight")),
                    Map.entry(
                            "post_attention_layernorm.weight", norm("post_attention_norm.weight")),
                    Map.entry(
                            "linear_attn.in_proj_qkv.weight",
                            new Place("attn_qkv.weight", Change.QKV_ROWS)),
                    Map.entry(
                            "linear_attn.in_proj_z.weight",
                            new Place("attn_gate.weight", Change.HEAD_ROWS)),
                    Map.entry(
                            "linear_attn.in_proj_a.weight",
                            new Place("ssm_alpha.weight", Change.HEADS)),
                    Map.entry(
                            "linear_attn.in_proj_b.weight",
                            new Place("ssm_beta.weight", Change.HEADS)),
                    Map.entry(
                            "linear_attn.conv1d.weight",
                            new Place("ssm_conv1d.weight", Change.QKV_ROWS)),
                    Map.entry("linear_attn.A_log", new Place("ssm_a", Change.DECAY)),
                    Map.entry("linear_attn.dt_bias", new Place("ssm_dt.bias", Change.HEADS)),
                    Map.entry("linear_attn.norm.weight", plain("ssm_norm.weight")),
                    Map.entry(
                            "linear_attn.out_proj.weight",
                            new Place("ssm_out.weight", Change.HEAD_COLUMNS)),
                    Map.entry("self_attn.q_proj.weight", plain("attn_q.weight")),
                    Map.entry("self_attn.k_proj.weight", plain("attn_k.weight")),
                    Map.entry("self_attn.v_proj.weight", plain("attn_v.weight")),
                    Map.entry("self_attn.o_proj.weight", plain("attn_output.weight")),
                    Map.entry("self_attn.q_norm.weight", norm("attn_q_norm.weight")),
                    Map.entry("self_attn.k_norm.weight", norm("attn_k_norm.weight")),
                    Map.entry("mlp.gate.weight", plain("ffn_gate_inp.weight")),
                    Map.entry("mlp.shared_expert.gate_proj.weight", plain("ffn_gate_shexp.weight")),
                    Map.entry("mlp.shared_expert.up_proj.weight", plain("ffn_up_shexp.weight")),
                    Map.entry("mlp.shared_expert.down_proj.weight", plain("ffn_down_shexp.weight")),
                    Map.entry("mlp.shared_expert_gate.weight", plain("ffn_gate_inp_shexp.weight")));

    private final GgufFile file;
    private final TextConfig config;
    private final int[] storedHeads;

    GgufWeights(GgufFile file, TextConfig config) {
        this.file = file;
        this.config = config;
        this.storedHeads = ValueHeadOrder.storedHeads(config);
    }

    @Override
    public Path source() {
        return file.path();
    }

    @Override
    public TensorNames names() {
        return new TensorNames(TEXT_PREFIX);
    }

    @Override
    public boolean contains(String name) {
        Optional<Expert> expert = Expert.of(this, name);
        return expert.isPresent()
                ? expert.get().stored().isPresent()
                : place(name).flatMap(place -> file.find(place.tensor)).isPresent();
    }

    @Override
    public WeightMatrix matrix(String name, int rows, int cols) {
        Optional<Expert> expert = Expert.of(this, name);
        if (expert.isPresent()) {
            return expert.get().matrix(name, rows, cols);
        }
        Place place = require(name);
        GgufTensor tensor = file.require(place.tensor);
        if (rows != 1 || tensor.rank() != 1) { // the shared expert's gate may be stored as a vector
            tensor.expectShape(rows, cols);
        } else {
            tensor.expectShape(cols);
        }
        checkHeads(tensor, place.change);
        WeightMatrix stored = matrix(name, tensor, tensor.data(), rows, cols, 0);
        return switch (place.change) {
            case NONE -> stored;
            case HEADS -> reorder(stored, ReorderedMatrix.Axis.ROWS, 0, 1);
            case HEAD_ROWS ->
                    reorder(stored, ReorderedMatrix.Axis.ROWS, 0, config.linearValueHeadDim());
            case QKV_ROWS ->
                    reorder(
                            stored,
                            ReorderedMatrix.Axis.ROWS,
                            2 * config.linearKeyDim(),
                            config.linearValueHeadDim());
            case HEAD_COLUMNS ->
                    reorder(stored, ReorderedMatrix.Axis.COLUMNS, 0, config.linearValueHeadDim());
            case PLUS_ONE, DECAY ->
                    throw new IllegalArgumentException(name + " is a vector, not a matrix");
        };
    }

    @Override
    public void releasePages() {
        file.releasePages();
    }

    /// As [WeightStore#tensor]: F32 computed from what the file has, with the release's shape.
    @Override
    public Tensor tensor(String name, long... shape) {
        Place place = require(name);
        GgufTensor tensor = file.require(place.tensor);
        tensor.expectShape(storedShape(name, tensor, shape));
        checkHeads(tensor, place.change);
        float[] values = restored(tensor.floats(), place.change);
        return new Tensor(name, DType.F32, shape, littleEndian(values), tensor.file());
    }

    /// The bytes of an F32 tensor with these values, read-only.
    static MemorySegment littleEndian(float[] values) {
        MemorySegment bytes = MemorySegment.ofArray(new byte[Math.multiplyExact(4, values.length)]);
        MemorySegment.copy(values, 0, bytes, FLOAT, 0, values.length);
        return bytes.asReadOnly();
    }

    /// The two shapes that files store otherwise than releases: the convolution without its middle dimension of one, and
    /// (in some files) the shared expert's gate without its first.
    private static long[] storedShape(String name, GgufTensor tensor, long[] shape) {
        if (name.endsWith("linear_attn.conv1d.weight") && shape.length == 3 && shape[1] == 1) {
            return new long[] {shape[0], shape[2]};
        }
        if (shape.length == 2 && shape[0] == 1 && tensor.rank() == 1) {
            return new long[] {shape[1]};
        }
        return shape;
    }

    private float[] restored(float[] values, Change change) {
        int headDim = config.linearValueHeadDim();
        return switch (change) {
            case NONE -> values;
            case PLUS_ONE -> {
                for (int i = 0; i < values.length; i++) {
                    values[i] -= 1f;
                }
                yield values;
            }
            case DECAY -> {
                float[] ordered = ValueHeadOrder.restore(values, 0, 1, storedHeads);
                for (int i = 0; i < ordered.length; i++) {
                    ordered[i] = logOfNegated(ordered[i]);
                }
                yield ordered;
            }
            case HEADS ->
                    ValueHeadOrder.restore(
                            values, 0, values.length / storedHeads.length, storedHeads);
            case HEAD_ROWS ->
                    ValueHeadOrder.restore(
                            values, 0, values.length / storedHeads.length, storedHeads);
            case QKV_ROWS -> {
                int perRow = values.length / config.convDim();
                yield ValueHeadOrder.restore(
                        values, 2 * config.linearKeyDim() * perRow, headDim * perRow, storedHeads);
            }
            case HEAD_COLUMNS ->
                    throw new IllegalArgumentException("columns are reordered in matrices only");
        };
    }

    /// The f32 `x` with `(float) -Math.exp(x) == stored`, or the nearest to it.
    static float logOfNegated(float stored) {
        float nearest = (float) Math.log(-(double) stored);
        for (float candidate :
                new float[] {nearest, Math.nextUp(nearest), Math.nextDown(nearest)}) {
            if ((float) -Math.exp(candidate) == stored) {
                return candidate;
            }
        }
        return nearest;
    }

    /// Refuses a tensor whose size does not fit the value heads that the metadata gives.
    private void checkHeads(GgufTensor tensor, Change change) {
        long size = change == Change.HEAD_COLUMNS ? tensor.dim(tensor.rank() - 1) : tensor.dim(0);
        long expected =
                switch (change) {
                    case NONE, PLUS_ONE -> size;
                    case DECAY, HEADS -> config.linearValueHeads();
                    case HEAD_ROWS, HEAD_COLUMNS -> config.linearValueDim();
                    case QKV_ROWS -> config.convDim();
                };
        if (size != expected) {
            throw new GgufException(
                    tensor.file(),
                    tensor.name(),
                    "has " + size + " entries, the heads in the metadata take " + expected);
        }
    }

    private WeightMatrix reorder(
            WeightMatrix stored, ReorderedMatrix.Axis axis, int kept, int unit) {
        return config.valueHeadsPerKeyHead() == 1
                ? stored
                : new ReorderedMatrix(stored, axis, kept, unit, storedHeads);
    }

    private GgmlMatrix matrix(
            String name, GgufTensor tensor, MemorySegment blocks, int rows, int cols, int index) {
        return new GgmlMatrix(
                name, tensor.type(), rows, cols, blocks, tensor.file(), scale(tensor, index));
    }

    /// NVFP4 blocks leave out a factor, which stands in a tensor of its own: one for the whole tensor, or for each expert.
    private float scale(GgufTensor tensor, int index) {
        if (tensor.type() != GgmlType.NVFP4) {
            return 1f;
        }
        String name = tensor.name().replaceFirst("\\.weight$", ".scale");
        Optional<GgufTensor> scales = file.find(name);
        if (scales.isEmpty()) {
            return 1f;
        }
        float[] values = scales.get().floats();
        if (values.length != 1 && (tensor.rank() != 3 || values.length != tensor.dim(0))) {
            throw new GgufException(
                    scales.get().file(),
                    name,
                    "expected one scale or one for each expert, found " + scales.get());
        }
        return values.length == 1 ? values[0] : values[index];
    }

    private Place require(String name) {
        return place(name)
                .orElseThrow(
                        () ->
                                new GgufException(
                                        file.path(), name, "is no weight that such files have"));
    }

    /// The file's name of a weight, whether or not the file has it.
    private Optional<Place> place(String name) {
        if (TOP.containsKey(name)) {
            return Optional.of(TOP.get(name));
        }
        if (MTP.containsKey(name)) {
            return Optional.of(inBlock(config.layerCount(), MTP.get(name)));
        }
        return LayerName.of(name, config)
                .filter(layer -> LAYER.containsKey(layer.rest))
                .map(layer -> inBlock(layer.block, LAYER.get(layer.rest)));
    }

    private static Place inBlock(int block, Place place) {
        return new Place("blk." + block + "." + place.tensor, place.change);
    }

    private static Place plain(String tensor) {
        return new Place(tensor, Change.NONE);
    }

    private static Place norm(String tensor) {
        return new Place(tensor, Change.PLUS_ONE);
    }

    /// A name inside a layer.
    ///
    /// @param block the file's number of the layer: those of the multi-token prediction module follow the model's
    /// @param rest the name after the layer's prefix
    private record LayerName(int block, String rest) {
        static Optional<LayerName> of(String name, TextConfig config) {
            boolean mtp = name.startsWith(MTP_LAYERS);
            String prefix = mtp ? MTP_LAYERS : LAYERS;
            int dot = name.startsWith(prefix) ? name.indexOf('.', prefix.length()) : -1;
            if (dot < 0) {
                return Optional.empty();
            }
            int layer = number(name.substring(prefix.length(), dot));
            if (layer < 0 || layer >= (mtp ? config.mtpLayers() : config.layerCount())) {
                return Optional.empty();
            }
            int block = mtp ? config.layerCount() + layer : layer;
            return Optional.of(new LayerName(block, name.substring(dot + 1)));
        }

        /// A number without sign, or -1.
        static int number(String text) {
            return text.matches("\\d{1,6}") ? Integer.parseInt(text) : -1;
        }
    }

    /// One projection of one routed expert.
    ///
    /// @param projection `gate`, `up` or `down`
    private record Expert(GgufWeights weights, int block, int expert, String projection) {
        static Optional<Expert> of(GgufWeights weights, String name) {
            Optional<LayerName> layer = LayerName.of(name, weights.config);
            if (layer.isEmpty() || !layer.get().rest.startsWith(EXPERTS)) {
                return Optional.empty();
            }
            String[] parts = layer.get().rest.substring(EXPERTS.length()).split("\\.", -1);
            int expert = LayerName.number(parts[0]);
            if (parts.length != 3 || expert < 0 || !parts[2].equals("weight")) {
                return Optional.empty();
            }
            return switch (parts[1]) {
                case "gate_proj", "up_proj", "down_proj" ->
                        Optional.of(
                                new Expert(
                                        weights,
                                        layer.get().block,
                                        expert,
                                        parts[1].substring(0, parts[1].indexOf('_'))));
                default -> Optional.empty();
            };
        }

        /// The tensor it is in: one of its projection, or the merged one of gate and up.
        Optional<GgufTensor> stored() {
            return weights.file.find(name(projection)).or(this::merged);
        }

        private Optional<GgufTensor> merged() {
            return projection.equals("down")
                    ? Optional.empty()
                    : weights.file.find(name("gate_up"));
        }

        private String name(String kind) {
            return "blk." + block + ".ffn_" + kind + "_exps.weight";
        }

        WeightMatrix matrix(String name, int rows, int cols) {
            GgufTensor tensor = stored().orElseGet(() -> weights.file.require(name(projection)));
            int experts = weights.config.experts();
            if (expert >= experts) {
                throw new GgufException(
                        tensor.file(),
                        tensor.name(),
                        "has " + experts + " experts, asked for expert " + expert);
            }
            if (tensor.name().equals(name(projection))) {
                tensor.expectShape(experts, rows, cols);
                return weights.matrix(name, tensor, tensor.slice(expert), rows, cols, expert);
            }
            tensor.expectShape(experts, 2L * rows, cols);
            MemorySegment both = tensor.slice(expert);
            long half = both.byteSize() / 2;
            MemorySegment part = both.asSlice(projection.equals("gate") ? 0 : half, half);
            return weights.matrix(name, tensor, part, rows, cols, expert);
        }
    }
}
