package io.atoll.model.synthetic;

import io.atoll.model.gguf.GgufWriter;
import io.atoll.model.quant.GgmlType;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.SplittableRandom;
import java.util.function.LongConsumer;
import java.util.function.ToDoubleFunction;
import java.util.random.RandomGenerator;

/// A GGUF file of architecture `qwen35moe` with random weights and the type mix that llama.cpp's quantiser makes of this
/// family when asked for Q4_K_M.
///
/// The mix: Q4_K; Q6_K for the output table and, in the layers that get more bits ([#moreBits]), for what makes values of
/// attention or Gated DeltaNet (`attn_v`, `attn_qkv`) and for the down projections; F32 for routers, gates of shared experts,
/// convolutions and vectors.
///
/// Weights are scaled so that a row of size one stays of that size in every projection, and the embedding's rows have it, too:
/// the residual stream then grows by some fraction a layer. Router logits have a deviation of [#ROUTER_DEVIATION], so
/// different rows choose different experts, and one choice is not as good as another.
public final class SyntheticModel {
    private static final String PREFIX = "qwen35moe.";
    private static final String TEMPLATE = "chat_template.jinja";
    private static final int FILE_TYPE_Q4_K_M = 15;
    private static final int QUANTIZATION_VERSION = 2;
    private static final float ROPE_THETA = 1e7f;
    private static final float RMS_EPSILON = 1e-6f;

    private static final double ROUTER_DEVIATION = 1.5;
    private static final double LOGIT_DEVIATION = 2;
    private static final double DECAY_DEVIATION = 0.5;
    private static final double CONV_DEVIATION = 0.5;

    private final SyntheticShape shape;
    private final RandomGenerator random;
    private final GgufWriter out = new GgufWriter();

    /// @param seed of the weights
    public SyntheticModel(SyntheticShape shape, long seed) {
        this.shape = shape;
        this.random = new SplittableRandom(seed);
        metadata();
        new SyntheticVocabulary(shape.vocabulary()).writeTo(out);
        int hidden = shape.hidden();
        matrix("token_embd.weight", GgmlType.Q4_K, 1, shape.vocabulary(), hidden);
        for (int layer = 0; layer < shape.layers(); layer++) {
            layer("blk." + layer + ".", layer);
        }
        vector("output_norm.weight", 0.9, 1.1, hidden);
        double logits = LOGIT_DEVIATION / Math.sqrt(hidden);
        matrix("output.weight", GgmlType.Q6_K, logits, shape.vocabulary(), hidden);
    }

    /// Bytes that the file takes.
    public long fileBytes() {
        return out.fileBytes();
    }

    /// Writes the file, once; one that is there is replaced.
    ///
    /// @param written is told the bytes written so far, every few megabytes
    public void write(Path file, LongConsumer written) throws IOException {
        out.write(file, written);
    }

    /// Whether llama.cpp's Q4_K_M gives the better type to a layer: the first and the last eighth, and every third between.
    static boolean moreBits(int layer, int layers) {
        int eighth = layers / 8;
        return layer < eighth || layer >= 7 * layers / 8 || (layer - eighth) % 3 == 2;
    }

    private void metadata() {
        boolean[] recurrent = new boolean[shape.layers()];
        for (int layer = 0; layer < recurrent.length; layer++) {
            recurrent[layer] = !shape.isAttention(layer);
        }
        out.string("general.architecture", "qwen35moe")
                .string("general.type", "model")
                .string("general.name", "synthetic " + shape.name() + "-" + shape.layers() + "l")
                .u32("general.file_type", FILE_TYPE_Q4_K_M)
                .u32("general.quantization_version", QUANTIZATION_VERSION)
                .u32(PREFIX + "block_count", shape.layers())
                .u32(PREFIX + "context_length", shape.contextLength())
                .u32(PREFIX + "embedding_length", shape.hidden())
                .u32(PREFIX + "attention.head_count", shape.attentionHeads())
                .u32(PREFIX + "attention.head_count_kv", shape.keyValueHeads())
                .u32(PREFIX + "attention.key_length", shape.headDim())
                .u32(PREFIX + "attention.value_length", shape.headDim())
                .f32(PREFIX + "attention.layer_norm_rms_epsilon", RMS_EPSILON)
                .bools(PREFIX + "attention.recurrent_layers", recurrent)
                .u32(PREFIX + "full_attention_interval", shape.attentionInterval())
                .u32(PREFIX + "rope.dimension_count", shape.rotaryDim())
                .integers(PREFIX + "rope.dimension_sections", mropeSections())
                .f32(PREFIX + "rope.freq_base", ROPE_THETA)
                .u32(PREFIX + "expert_count", shape.experts())
                .u32(PREFIX + "expert_used_count", shape.expertsPerToken())
                .u32(PREFIX + "expert_feed_forward_length", shape.expertInner())
                .u32(PREFIX + "expert_shared_feed_forward_length", shape.expertInner())
                .u32(PREFIX + "ssm.conv_kernel", SyntheticShape.CONV_KERNEL)
                .u32(PREFIX + "ssm.state_size", shape.linearHeadDim())
                .u32(PREFIX + "ssm.group_count", shape.linearKeyHeads())
                .u32(PREFIX + "ssm.time_step_rank", shape.linearValueHeads())
                .u32(PREFIX + "ssm.inner_size", shape.linearValueDim())
                .string("tokenizer.chat_template", chatTemplate());
    }

    /// How the frequencies of a head are shared among a token's three positions, and a 0: 11, 11 and 10 of 32.
    private int[] mropeSections() {
        int frequencies = shape.rotaryDim() / 2;
        int height = (frequencies + 1) / 3;
        int width = frequencies / 3;
        return new int[] {frequencies - height - width, height, width, 0};
    }

    private static String chatTemplate() {
        try (InputStream template = SyntheticModel.class.getResourceAsStream(TEMPLATE)) {
            if (template == null) {
                throw new IllegalStateException("the build lacks " + TEMPLATE);
            }
            return new String(template.readAllBytes(), StandardCharsets.UTF_8);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private void layer(String block, int layer) {
        int hidden = shape.hidden();
        GgmlType better = moreBits(layer, shape.layers()) ? GgmlType.Q6_K : GgmlType.Q4_K;
        vector(block + "attn_norm.weight", 0.9, 1.1, hidden);
        if (shape.isAttention(layer)) {
            attention(block, better);
        } else {
            deltaNet(block, better);
        }
        vector(block + "post_attention_norm.weight", 0.9, 1.1, hidden);
        experts(block, better);
    }

    private void attention(String block, GgmlType better) {
        int hidden = shape.hidden();
        int width = shape.attentionHeads() * shape.headDim();
        int keys = shape.keyValueHeads() * shape.headDim();
        projection(block + "attn_q.weight", GgmlType.Q4_K, 2L * width, hidden);
        projection(block + "attn_k.weight", GgmlType.Q4_K, keys, hidden);
        projection(block + "attn_v.weight", better, keys, hidden);
        projection(block + "attn_output.weight", GgmlType.Q4_K, hidden, width);
        vector(block + "attn_q_norm.weight", 0.9, 1.1, shape.headDim());
        vector(block + "attn_k_norm.weight", 0.9, 1.1, shape.headDim());
    }

    /// Decays are drawn as such layers are initialised: `A` uniform in 1..16, and a time step between 0.001 and 0.1 on a
    /// logarithmic scale.
    private void deltaNet(String block, GgmlType better) {
        int hidden = shape.hidden();
        int heads = shape.linearValueHeads();
        projection(block + "attn_qkv.weight", better, shape.convDim(), hidden);
        projection(block + "attn_gate.weight", GgmlType.Q4_K, shape.linearValueDim(), hidden);
        double decay = DECAY_DEVIATION / Math.sqrt(hidden);
        matrix(block + "ssm_alpha.weight", GgmlType.Q4_K, decay, heads, hidden);
        projection(block + "ssm_beta.weight", GgmlType.Q4_K, heads, hidden);
        normal(
                block + "ssm_conv1d.weight",
                CONV_DEVIATION,
                shape.convDim(),
                SyntheticShape.CONV_KERNEL);
        vector(block + "ssm_a", -16, -1, heads);
        floats(block + "ssm_dt.bias", SyntheticModel::decayBias, heads);
        vector(block + "ssm_norm.weight", 0.9, 1.1, shape.linearHeadDim());
        projection(block + "ssm_out.weight", GgmlType.Q4_K, hidden, shape.linearValueDim());
    }

    private void experts(String block, GgmlType better) {
        int hidden = shape.hidden();
        int inner = shape.expertInner();
        int experts = shape.experts();
        normal(
                block + "ffn_gate_inp.weight",
                ROUTER_DEVIATION / Math.sqrt(hidden),
                experts,
                hidden);
        projection(block + "ffn_gate_exps.weight", GgmlType.Q4_K, experts, inner, hidden);
        projection(block + "ffn_up_exps.weight", GgmlType.Q4_K, experts, inner, hidden);
        projection(block + "ffn_down_exps.weight", better, experts, hidden, inner);
        normal(block + "ffn_gate_inp_shexp.weight", 1 / Math.sqrt(hidden), hidden);
        projection(block + "ffn_gate_shexp.weight", GgmlType.Q4_K, inner, hidden);
        projection(block + "ffn_up_shexp.weight", GgmlType.Q4_K, inner, hidden);
        projection(block + "ffn_down_shexp.weight", better, hidden, inner);
    }

    /// A matrix, or several of the same size, whose product with a row of size one has that size again.
    private void projection(String name, GgmlType type, long... sizes) {
        matrix(name, type, 1 / Math.sqrt((double) sizes[sizes.length - 1]), sizes);
    }

    private void matrix(String name, GgmlType type, double deviation, long... sizes) {
        long seed = random.nextLong();
        RandomBlocks blocks =
                type == GgmlType.Q6_K
                        ? RandomBlocks.q6k(deviation, seed)
                        : RandomBlocks.q4k(deviation, seed);
        out.tensor(name, type, blocks, sizes);
    }

    private void vector(String name, double low, double high, long size) {
        floats(name, source -> source.nextDouble(low, high), size);
    }

    private void normal(String name, double deviation, long... sizes) {
        floats(name, source -> deviation * source.nextGaussian(), sizes);
    }

    /// A number whose softplus is a time step.
    private static double decayBias(RandomGenerator source) {
        double step = Math.exp(source.nextDouble(Math.log(0.001), Math.log(0.1)));
        return Math.log(Math.expm1(step));
    }

    /// Numbers that are drawn when they are written.
    private void floats(String name, ToDoubleFunction<RandomGenerator> draw, long... sizes) {
        RandomGenerator source = new SplittableRandom(random.nextLong());
        GgufWriter.Contents contents =
                (target, bytes) -> {
                    FloatBuffer values =
                            ByteBuffer.wrap(target, 0, bytes)
                                    .order(ByteOrder.LITTLE_ENDIAN)
                                    .asFloatBuffer();
                    while (values.hasRemaining()) {
                        values.put((float) draw.applyAsDouble(source));
                    }
                };
        out.tensor(name, GgmlType.F32, contents, sizes);
    }
}
