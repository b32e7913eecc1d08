package io.atoll.model.gguf;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import io.atoll.model.ModelDirectory;
import io.atoll.model.checkpoint.DType;
import io.atoll.model.checkpoint.Tensor;
import io.atoll.model.config.LayerType;
import io.atoll.model.config.TextConfig;
import io.atoll.model.quant.GgmlType;
import io.atoll.model.quant.WeightMatrix;
import io.atoll.model.weights.ExpertWeights;
import io.atoll.model.weights.LayerWeights;
import io.atoll.model.weights.MixerWeights;
import io.atoll.model.weights.MtpWeights;
import io.atoll.model.weights.TextWeights;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.function.IntFunction;

/// The demo model as a GGUF file, as llama.cpp's converter makes it: tensors renamed, one added to zero-centred norms, decays
/// as `-exp(A_log)`, value heads tiled, and experts in one tensor a projection. Its own code, so that what reads such files is
/// not tested against itself.
public final class DemoGguf {
    private static final int NORMAL = 1;
    private static final int CONTROL = 3;
    private static final int USER_DEFINED = 4;
    private static final int UNUSED = 5;

    private final ModelDirectory demo;
    private final TextConfig config;
    private final GgmlType matrices;
    private final List<Stored> tensors = new ArrayList<>();

    /// @param sizes fastest first
    private record Stored(String name, GgmlType type, byte[] bytes, long[] sizes) {}

    private DemoGguf(ModelDirectory demo, GgmlType matrices) {
        this.demo = demo;
        this.config = demo.config().text();
        this.matrices = matrices;
        TextWeights weights = demo.textWeights();
        matrix("token_embd.weight", weights.embedding());
        norm("output_norm.weight", weights.finalNorm());
        matrix("output.weight", weights.lmHead());
        MtpWeights mtp = weights.mtp().orElseThrow();
        int layers = config.layerCount();
        for (int layer = 0; layer < layers; layer++) {
            layer("blk." + layer + ".", weights.layer(layer));
            experts("blk." + layer + ".", weights, layer);
        }
        layer("blk." + layers + ".", mtp.layers().getFirst());
        experts("blk." + layers + ".", weights, layers);
        matrix("blk." + layers + ".nextn.eh_proj.weight", mtp.projection());
        norm("blk." + layers + ".nextn.enorm.weight", mtp.embeddingNorm());
        norm("blk." + layers + ".nextn.hnorm.weight", mtp.hiddenNorm());
        norm("blk." + layers + ".nextn.shared_head_norm.weight", mtp.finalNorm());
    }

    /// Writes one file.
    ///
    /// @param demo the model as its release has it
    /// @param matrices type of every matrix but the routers and gates: F32, BF16, F16, Q8_0 or Q4_K. Where rows are not whole
    ///     blocks of Q4_K, that matrix is Q8_0, as llama.cpp has it
    public static Path write(ModelDirectory demo, GgmlType matrices, Path file) throws IOException {
        DemoGguf model = new DemoGguf(demo, matrices);
        GgufBuilder builder = model.metadata(new GgufBuilder());
        model.tensors.forEach(tensor -> put(builder, tensor));
        return builder.write(file);
    }

    /// Writes the same model in two parts.
    ///
    /// @return the first part
    public static Path writeSplit(
            ModelDirectory demo, GgmlType matrices, Path directory, String name)
            throws IOException {
        DemoGguf model = new DemoGguf(demo, matrices);
        int half = model.tensors.size() / 2;
        GgufBuilder first = model.split(model.metadata(new GgufBuilder()), 0);
        GgufBuilder second = model.split(new GgufBuilder(), 1);
        model.tensors.subList(0, half).forEach(tensor -> put(first, tensor));
        model.tensors.subList(half, model.tensors.size()).forEach(tensor -> put(second, tensor));
        second.write(directory.resolve(name + "-00002-of-00002.gguf"));
        return first.write(directory.resolve(name + "-00001-of-00002.gguf"));
    }

    private GgufBuilder split(GgufBuilder builder, int number) {
        return builder.integer("split.no", GgufBuilder.U16, number)
                .integer("split.count", GgufBuilder.U16, 2)
                .integer("split.tensors.count", GgufBuilder.I32, tensors.size());
    }

    private static void put(GgufBuilder builder, Stored tensor) {
        builder.tensor(tensor.name, tensor.type.id(), tensor.bytes, tensor.sizes);
    }

    private GgufBuilder metadata(GgufBuilder builder) throws IOException {
        String p = "qwen35moe.";
        List<Integer> sections = config.rope().mropeSection();
        builder.string("general.architecture", "qwen35moe")
                .string("general.name", "Demo")
                .integer("general.sampling.top_k", GgufBuilder.I32, 20)
                .f32("general.sampling.top_p", 0.95f)
                .u32(p + "block_count", config.layerCount() + config.mtpLayers())
                .u32(p + "nextn_predict_layers", config.mtpLayers())
                .u32(p + "context_length", config.contextLength())
                .u32(p + "embedding_length", config.hiddenSize())
                .u32(
                        p + "full_attention_interval",
                        1 + config.layers().indexOf(LayerType.FULL_ATTENTION))
                .u32(p + "attention.head_count", config.attentionHeads())
                .u32(p + "attention.head_count_kv", config.keyValueHeads())
                .u32(p + "attention.key_length", config.headDim())
                .u32(p + "attention.value_length", config.headDim())
                .f32(p + "attention.layer_norm_rms_epsilon", config.rmsNormEps())
                .integers(
                        p + "rope.dimension_sections",
                        GgufBuilder.I32,
                        4,
                        sections.get(0),
                        sections.get(1),
                        sections.get(2),
                        0)
                .u32(p + "rope.dimension_count", config.rotaryDim())
                .f32(p + "rope.freq_base", (float) config.rope().theta())
                .u32(p + "expert_count", config.experts())
                .u32(p + "expert_used_count", config.expertsPerToken())
                .u32(p + "expert_feed_forward_length", config.moeIntermediateSize())
                .u32(p + "expert_shared_feed_forward_length", config.sharedExpertIntermediateSize())
                .u32(p + "ssm.conv_kernel", config.convKernel())
                .u32(p + "ssm.state_size", config.linearKeyHeadDim())
                .u32(p + "ssm.group_count", config.linearKeyHeads())
                .u32(p + "ssm.time_step_rank", config.linearValueHeads())
                .u32(p + "ssm.inner_size", config.linearValueDim())
                .string("tokenizer.chat_template", demo.chatTemplate())
                .u32(
                        "tokenizer.ggml.eos_token_id",
                        demo.generationConfig().eosTokenIds().iterator().next());
        return vocabulary(builder, demo.tokenizerFile());
    }

    /// Adds a `tokenizer.json` as a converter writes it, the table filled up to 2048 rows.
    public static GgufBuilder vocabulary(GgufBuilder builder, Path tokenizerJson)
            throws IOException {
        JsonNode json = new JsonMapper().readTree(tokenizerJson.toFile());
        String[] tokens = new String[2048];
        Arrays.setAll(tokens, id -> "[PAD" + id + "]");
        List<Integer> kinds = new ArrayList<>(Collections.nCopies(2048, UNUSED));
        for (Map.Entry<String, JsonNode> entry : json.get("model").get("vocab").properties()) {
            tokens[entry.getValue().intValue()] = entry.getKey();
            kinds.set(entry.getValue().intValue(), NORMAL);
        }
        for (JsonNode added : json.get("added_tokens")) {
            tokens[added.get("id").intValue()] = added.get("content").textValue();
            kinds.set(
                    added.get("id").intValue(),
                    added.get("special").booleanValue() ? CONTROL : USER_DEFINED);
        }
        List<String> merges = new ArrayList<>();
        for (JsonNode merge : json.get("model").get("merges")) {
            merges.add(merge.get(0).textValue() + " " + merge.get(1).textValue());
        }
        return builder.string("tokenizer.ggml.model", "gpt2")
                .string("tokenizer.ggml.pre", "qwen35")
                .strings("tokenizer.ggml.tokens", tokens)
                .integers(
                        "tokenizer.ggml.token_type",
                        GgufBuilder.I32,
                        4,
                        kinds.stream().mapToLong(Integer::longValue).toArray())
                .strings("tokenizer.ggml.merges", merges.toArray(String[]::new));
    }

    private void layer(String block, LayerWeights layer) {
        norm(block + "attn_norm.weight", layer.inputNorm());
        norm(block + "post_attention_norm.weight", layer.postMixerNorm());
        switch (layer.mixer()) {
            case MixerWeights.Attention attention -> {
                matrix(block + "attn_q.weight", attention.query());
                matrix(block + "attn_k.weight", attention.key());
                matrix(block + "attn_v.weight", attention.value());
                matrix(block + "attn_output.weight", attention.output());
                norm(block + "attn_q_norm.weight", attention.queryNorm());
                norm(block + "attn_k_norm.weight", attention.keyNorm());
            }
            case MixerWeights.DeltaNet deltaNet -> deltaNet(block, deltaNet);
        }
        plain(block + "ffn_gate_inp.weight", layer.router());
        plain(block + "ffn_gate_inp_shexp.weight", layer.sharedExpertGate());
        matrix(block + "ffn_gate_shexp.weight", layer.sharedExpert().gate());
        matrix(block + "ffn_up_shexp.weight", layer.sharedExpert().up());
        matrix(block + "ffn_down_shexp.weight", layer.sharedExpert().down());
    }

    private void deltaNet(String block, MixerWeights.DeltaNet mixer) {
        int hidden = config.hiddenSize();
        int head = config.linearValueHeadDim();
        int keys = 2 * config.linearKeyDim();
        int taps = config.convKernel();
        int heads = config.linearValueHeads();
        int width = config.linearValueDim();
        float[] qkv = tiled(mixer.queryKeyValue().floats(), keys * hidden, head * hidden);
        add(block + "attn_qkv.weight", matrices, qkv, hidden, config.convDim());
        float[] gate = tiled(mixer.gate().floats(), 0, head * hidden);
        add(block + "attn_gate.weight", matrices, gate, hidden, width);
        float[] decay = tiled(mixer.decay().floats(), 0, hidden);
        add(block + "ssm_alpha.weight", matrices, decay, hidden, heads);
        float[] beta = tiled(mixer.beta().floats(), 0, hidden);
        add(block + "ssm_beta.weight", matrices, beta, hidden, heads);
        float[] conv = tiled(mixer.conv().floats(), keys * taps, head * taps);
        add(block + "ssm_conv1d.weight", GgmlType.F32, conv, taps, config.convDim());
        float[] decayLog = tiled(mixer.decayLog().floats(), 0, 1);
        for (int i = 0; i < heads; i++) {
            decayLog[i] = (float) -Math.exp(decayLog[i]);
        }
        add(block + "ssm_a", GgmlType.F32, decayLog, heads);
        float[] bias = tiled(mixer.decayBias().floats(), 0, 1);
        add(block + "ssm_dt.bias", GgmlType.F32, bias, heads);
        add(block + "ssm_norm.weight", GgmlType.F32, mixer.norm().floats(), head);
        float[] output = mixer.output().floats();
        for (int row = 0; row < hidden; row++) {
            float[] one = Arrays.copyOfRange(output, row * width, (row + 1) * width);
            System.arraycopy(tiled(one, 0, head), 0, output, row * width, width);
        }
        add(block + "ssm_out.weight", matrices, output, width, hidden);
    }

    private void experts(String block, TextWeights weights, int layer) {
        int hidden = config.hiddenSize();
        int inner = config.moeIntermediateSize();
        IntFunction<ExpertWeights> expert = e -> weights.expert(layer, e);
        float[] gate = stacked(e -> expert.apply(e).gate());
        float[] up = stacked(e -> expert.apply(e).up());
        float[] down = stacked(e -> expert.apply(e).down());
        add(block + "ffn_gate_exps.weight", matrices, gate, hidden, inner, config.experts());
        add(block + "ffn_up_exps.weight", matrices, up, hidden, inner, config.experts());
        add(block + "ffn_down_exps.weight", matrices, down, inner, hidden, config.experts());
    }

    private float[] stacked(IntFunction<WeightMatrix> of) {
        int each = of.apply(0).rows() * of.apply(0).cols();
        float[] all = new float[each * config.experts()];
        for (int e = 0; e < config.experts(); e++) {
            of.apply(e).decodeRows(0, of.apply(e).rows(), all, e * each);
        }
        return all;
    }

    /// Stored head `i` is the release's head `(i mod keyHeads) * r + i / keyHeads`, in runs of `unit` after `kept` values.
    private float[] tiled(float[] values, int kept, int unit) {
        float[] result = values.clone();
        int keyHeads = config.linearKeyHeads();
        for (int i = 0; i < config.linearValueHeads(); i++) {
            int from = i % keyHeads * config.valueHeadsPerKeyHead() + i / keyHeads;
            System.arraycopy(values, kept + from * unit, result, kept + i * unit, unit);
        }
        return result;
    }

    private void matrix(String name, WeightMatrix matrix) {
        add(name, matrices, matrix.floats(), matrix.cols(), matrix.rows());
    }

    private void plain(String name, WeightMatrix matrix) {
        add(name, GgmlType.F32, matrix.floats(), matrix.cols(), matrix.rows());
    }

    private void norm(String name, Tensor norm) {
        float[] values = norm.floats();
        for (int i = 0; i < values.length; i++) {
            values[i] = 1 + values[i];
        }
        add(name, GgmlType.F32, values, values.length);
    }

    private void add(String name, GgmlType type, float[] values, long... sizes) {
        boolean fits = sizes[0] % type.blockElements() == 0;
        GgmlType stored = fits ? type : GgmlType.Q8_0;
        tensors.add(new Stored(name, stored, encoded(stored, values), sizes));
    }

    private static byte[] encoded(GgmlType type, float[] values) {
        ByteBuffer out =
                ByteBuffer.allocate((int) type.bytes(values.length)).order(ByteOrder.LITTLE_ENDIAN);
        switch (type) {
            case F32 -> out.asFloatBuffer().put(values);
            case BF16 -> {
                for (float value : values) {
                    out.putShort(DType.floatToBf16(value));
                }
            }
            case F16 -> {
                for (float value : values) {
                    out.putShort(Float.floatToFloat16(value));
                }
            }
            case Q8_0 -> {
                for (int block = 0; block < values.length; block += 32) {
                    float largest = 0;
                    for (int i = block; i < block + 32; i++) {
                        largest = Math.max(largest, Math.abs(values[i]));
                    }
                    out.putShort(Float.floatToFloat16(largest / 127));
                    for (int i = block; i < block + 32; i++) {
                        out.put((byte) Math.round(largest == 0 ? 0 : values[i] / largest * 127));
                    }
                }
            }
            case Q4_K -> {
                for (int block = 0; block < values.length; block += 256) {
                    putQ4K(Arrays.copyOfRange(values, block, block + 256), out);
                }
            }
            default -> throw new IllegalArgumentException("this writer has no " + type);
        }
        return out.array();
    }

    /// A block of eight runs of 32 numbers `d * scale * level - m * minimum`: levels of 4 bits, scales and minima of 6.
    private static void putQ4K(float[] values, ByteBuffer out) {
        float[] steps = new float[8];
        float[] depths = new float[8];
        float largestStep = 0;
        float largestDepth = 0;
        for (int run = 0; run < 8; run++) {
            float low = 0;
            float high = 0;
            for (int i = 32 * run; i < 32 * run + 32; i++) {
                low = Math.min(low, values[i]);
                high = Math.max(high, values[i]);
            }
            steps[run] = (high - low) / 15;
            depths[run] = -low;
            largestStep = Math.max(largestStep, steps[run]);
            largestDepth = Math.max(largestDepth, depths[run]);
        }
        short step = Float.floatToFloat16(largestStep / 63);
        short depth = Float.floatToFloat16(largestDepth / 63);
        int[] scales = new int[8];
        int[] minima = new int[8];
        for (int run = 0; run < 8; run++) {
            scales[run] = quotient(steps[run], Float.float16ToFloat(step), 63);
            minima[run] = quotient(depths[run], Float.float16ToFloat(depth), 63);
        }
        out.putShort(step).putShort(depth);
        for (int i = 0; i < 4; i++) {
            out.put((byte) (scales[i] | ((scales[i + 4] >> 4) << 6)));
        }
        for (int i = 0; i < 4; i++) {
            out.put((byte) (minima[i] | ((minima[i + 4] >> 4) << 6)));
        }
        for (int i = 4; i < 8; i++) {
            out.put((byte) ((scales[i] & 15) | ((minima[i] & 15) << 4)));
        }
        for (int run = 0; run < 8; run += 2) {
            for (int i = 0; i < 32; i++) {
                int levels = 0;
                for (int half = 0; half < 2; half++) {
                    float low = Float.float16ToFloat(depth) * minima[run + half];
                    float scale = Float.float16ToFloat(step) * scales[run + half];
                    float value = values[32 * (run + half) + i];
                    levels |= quotient(value + low, scale, 15) << (4 * half);
                }
                out.put((byte) levels);
            }
        }
    }

    /// The nearest of `0 .. largest`.
    private static int quotient(float value, float unit, int largest) {
        return unit == 0 ? 0 : Math.clamp(Math.round(value / unit), 0, largest);
    }
}
