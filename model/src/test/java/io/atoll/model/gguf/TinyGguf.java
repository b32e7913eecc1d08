package io.atoll.model.gguf;

import io.atoll.model.checkpoint.DType;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Random;

/// A random model of two layers in a release's names and order, and the GGUF file that llama.cpp's converter makes of it.
///
/// Sizes: hidden 8, two key heads and six value heads of width 4, one full-attention layer with two query heads of width 8,
/// three experts of width 2, a shared expert of width 4, eleven tokens.
final class TinyGguf {
    static final int HIDDEN = 8;
    static final int KEY_HEADS = 2;
    static final int VALUE_HEADS = 6;
    static final int HEAD = 4;
    static final int KERNEL = 3;
    static final int EXPERTS = 3;
    static final int INNER = 2;
    static final int SHARED = 4;
    static final int VOCABULARY = 11;
    static final int ATTENTION_HEAD = 8;
    static final String TEXT = "model.language_model.";

    /// Every weight by its release's name; all are what BF16 can hold.
    final Map<String, float[]> release = new LinkedHashMap<>();

    /// Their shapes.
    final Map<String, long[]> shapes = new LinkedHashMap<>();

    private final Random random;
    private final boolean mergedExperts;
    private final boolean flatSharedGate;
    private final boolean mtp;

    TinyGguf(Random random, boolean mergedExperts, boolean flatSharedGate, boolean mtp) {
        this.random = random;
        this.mergedExperts = mergedExperts;
        this.flatSharedGate = flatSharedGate;
        this.mtp = mtp;
        weight(TEXT + "embed_tokens.weight", VOCABULARY, HIDDEN);
        weight(TEXT + "norm.weight", HIDDEN);
        weight("lm_head.weight", VOCABULARY, HIDDEN);
        deltaNet(TEXT + "layers.0.");
        attention(TEXT + "layers.1.");
        if (mtp) {
            weight("mtp.fc.weight", HIDDEN, 2 * HIDDEN);
            weight("mtp.pre_fc_norm_embedding.weight", HIDDEN);
            weight("mtp.pre_fc_norm_hidden.weight", HIDDEN);
            weight("mtp.norm.weight", HIDDEN);
            attention("mtp.layers.0.");
        }
    }

    private void deltaNet(String layer) {
        String mixer = layer + "linear_attn.";
        int channels = 2 * KEY_HEADS * HEAD + VALUE_HEADS * HEAD;
        weight(mixer + "in_proj_qkv.weight", channels, HIDDEN);
        weight(mixer + "in_proj_z.weight", VALUE_HEADS * HEAD, HIDDEN);
        weight(mixer + "in_proj_a.weight", VALUE_HEADS, HIDDEN);
        weight(mixer + "in_proj_b.weight", VALUE_HEADS, HIDDEN);
        weight(mixer + "conv1d.weight", channels, 1, KERNEL);
        weight(mixer + "A_log", VALUE_HEADS);
        weight(mixer + "dt_bias", VALUE_HEADS);
        weight(mixer + "norm.weight", HEAD);
        weight(mixer + "out_proj.weight", HIDDEN, VALUE_HEADS * HEAD);
        moe(layer);
    }

    private void attention(String layer) {
        String mixer = layer + "self_attn.";
        weight(mixer + "q_proj.weight", 2 * 2 * ATTENTION_HEAD, HIDDEN);
        weight(mixer + "k_proj.weight", ATTENTION_HEAD, HIDDEN);
        weight(mixer + "v_proj.weight", ATTENTION_HEAD, HIDDEN);
        weight(mixer + "o_proj.weight", HIDDEN, 2 * ATTENTION_HEAD);
        weight(mixer + "q_norm.weight", ATTENTION_HEAD);
        weight(mixer + "k_norm.weight", ATTENTION_HEAD);
        moe(layer);
    }

    private void moe(String layer) {
        weight(layer + "input_layernorm.weight", HIDDEN);
        weight(layer + "post_attention_layernorm.weight", HIDDEN);
        weight(layer + "mlp.gate.weight", EXPERTS, HIDDEN);
        for (int expert = 0; expert < EXPERTS; expert++) {
            weight(layer + "mlp.experts." + expert + ".gate_proj.weight", INNER, HIDDEN);
            weight(layer + "mlp.experts." + expert + ".up_proj.weight", INNER, HIDDEN);
            weight(layer + "mlp.experts." + expert + ".down_proj.weight", HIDDEN, INNER);
        }
        weight(layer + "mlp.shared_expert.gate_proj.weight", SHARED, HIDDEN);
        weight(layer + "mlp.shared_expert.up_proj.weight", SHARED, HIDDEN);
        weight(layer + "mlp.shared_expert.down_proj.weight", HIDDEN, SHARED);
        weight(layer + "mlp.shared_expert_gate.weight", 1, HIDDEN);
    }

    private void weight(String name, long... shape) {
        int size = 1;
        for (long dimension : shape) {
            size *= (int) dimension;
        }
        float[] values = new float[size];
        for (int i = 0; i < size; i++) {
            values[i] = DType.bf16ToFloat(DType.floatToBf16((float) random.nextGaussian()));
        }
        release.put(name, values);
        shapes.put(name, shape);
    }

    /// The metadata that every such file has; a test may add to it.
    GgufBuilder metadata() {
        String p = "qwen35moe.";
        GgufBuilder builder =
                new GgufBuilder()
                        .string("general.architecture", "qwen35moe")
                        .u32(p + "block_count", mtp ? 3 : 2)
                        .u32(p + "context_length", 64)
                        .u32(p + "embedding_length", HIDDEN)
                        .u32(p + "attention.head_count", 2)
                        .u32(p + "attention.head_count_kv", 1)
                        .u32(p + "attention.key_length", ATTENTION_HEAD)
                        .u32(p + "attention.value_length", ATTENTION_HEAD)
                        .f32(p + "attention.layer_norm_rms_epsilon", 1e-6f)
                        .integers(p + "rope.dimension_sections", GgufBuilder.I32, 4, 1, 1, 0, 0)
                        .u32(p + "rope.dimension_count", 4)
                        .f32(p + "rope.freq_base", 10_000_000f)
                        .u32(p + "expert_count", EXPERTS)
                        .u32(p + "expert_used_count", 2)
                        .u32(p + "expert_feed_forward_length", INNER)
                        .u32(p + "expert_shared_feed_forward_length", SHARED)
                        .u32(p + "ssm.conv_kernel", KERNEL)
                        .u32(p + "ssm.state_size", HEAD)
                        .u32(p + "ssm.group_count", KEY_HEADS)
                        .u32(p + "ssm.time_step_rank", VALUE_HEADS)
                        .u32(p + "ssm.inner_size", VALUE_HEADS * HEAD);
        return mtp ? builder.u32(p + "nextn_predict_layers", 1) : builder;
    }

    /// Adds the tensors, as the converter writes them.
    GgufBuilder tensors(GgufBuilder out) {
        put(out, "token_embd.weight", TEXT + "embed_tokens.weight");
        norm(out, "output_norm.weight", TEXT + "norm.weight");
        put(out, "output.weight", "lm_head.weight");
        putDeltaNet(out, "blk.0.", TEXT + "layers.0.");
        putAttention(out, "blk.1.", TEXT + "layers.1.");
        if (mtp) {
            putAttention(out, "blk.2.", "mtp.layers.0.");
            put(out, "blk.2.nextn.eh_proj.weight", "mtp.fc.weight");
            norm(out, "blk.2.nextn.enorm.weight", "mtp.pre_fc_norm_embedding.weight");
            norm(out, "blk.2.nextn.hnorm.weight", "mtp.pre_fc_norm_hidden.weight");
            norm(out, "blk.2.nextn.shared_head_norm.weight", "mtp.norm.weight");
        }
        return out;
    }

    private void putDeltaNet(GgufBuilder out, String block, String layer) {
        String mixer = layer + "linear_attn.";
        int keys = 2 * KEY_HEADS * HEAD;
        int channels = keys + VALUE_HEADS * HEAD;
        float[] qkv = release.get(mixer + "in_proj_qkv.weight");
        out.f32Tensor(
                block + "attn_qkv.weight",
                tiled(qkv, keys * HIDDEN, HEAD * HIDDEN),
                HIDDEN,
                channels);
        out.f32Tensor(
                block + "attn_gate.weight",
                tiled(release.get(mixer + "in_proj_z.weight"), 0, HEAD * HIDDEN),
                HIDDEN,
                VALUE_HEADS * HEAD);
        out.f32Tensor(
                block + "ssm_alpha.weight",
                tiled(release.get(mixer + "in_proj_a.weight"), 0, HIDDEN),
                HIDDEN,
                VALUE_HEADS);
        out.f32Tensor(
                block + "ssm_beta.weight",
                tiled(release.get(mixer + "in_proj_b.weight"), 0, HIDDEN),
                HIDDEN,
                VALUE_HEADS);
        out.f32Tensor(
                block + "ssm_conv1d.weight",
                tiled(release.get(mixer + "conv1d.weight"), keys * KERNEL, HEAD * KERNEL),
                KERNEL,
                channels);
        float[] decay = tiled(release.get(mixer + "A_log"), 0, 1);
        for (int i = 0; i < decay.length; i++) {
            decay[i] = (float) -Math.exp(decay[i]);
        }
        out.f32Tensor(block + "ssm_a", decay, VALUE_HEADS);
        float[] bias = tiled(release.get(mixer + "dt_bias"), 0, 1);
        out.f32Tensor(block + "ssm_dt.bias", bias, VALUE_HEADS);
        put(out, block + "ssm_norm.weight", mixer + "norm.weight");
        float[] output = release.get(mixer + "out_proj.weight").clone();
        int width = VALUE_HEADS * HEAD;
        for (int row = 0; row < HIDDEN; row++) {
            float[] one = Arrays.copyOfRange(output, row * width, (row + 1) * width);
            System.arraycopy(tiled(one, 0, HEAD), 0, output, row * width, width);
        }
        out.f32Tensor(block + "ssm_out.weight", output, width, HIDDEN);
        putMoe(out, block, layer);
    }

    private void putAttention(GgufBuilder out, String block, String layer) {
        String mixer = layer + "self_attn.";
        put(out, block + "attn_q.weight", mixer + "q_proj.weight");
        put(out, block + "attn_k.weight", mixer + "k_proj.weight");
        put(out, block + "attn_v.weight", mixer + "v_proj.weight");
        put(out, block + "attn_output.weight", mixer + "o_proj.weight");
        norm(out, block + "attn_q_norm.weight", mixer + "q_norm.weight");
        norm(out, block + "attn_k_norm.weight", mixer + "k_norm.weight");
        putMoe(out, block, layer);
    }

    private void putMoe(GgufBuilder out, String block, String layer) {
        norm(out, block + "attn_norm.weight", layer + "input_layernorm.weight");
        norm(out, block + "post_attention_norm.weight", layer + "post_attention_layernorm.weight");
        put(out, block + "ffn_gate_inp.weight", layer + "mlp.gate.weight");
        float[] gate = experts(layer, "gate_proj");
        float[] up = experts(layer, "up_proj");
        int each = INNER * HIDDEN;
        if (mergedExperts) {
            float[] both = new float[2 * gate.length];
            for (int expert = 0; expert < EXPERTS; expert++) {
                System.arraycopy(gate, expert * each, both, 2 * expert * each, each);
                System.arraycopy(up, expert * each, both, (2 * expert + 1) * each, each);
            }
            out.f32Tensor(block + "ffn_gate_up_exps.weight", both, HIDDEN, 2 * INNER, EXPERTS);
        } else {
            out.f32Tensor(block + "ffn_gate_exps.weight", gate, HIDDEN, INNER, EXPERTS);
            out.f32Tensor(block + "ffn_up_exps.weight", up, HIDDEN, INNER, EXPERTS);
        }
        float[] down = experts(layer, "down_proj");
        out.f32Tensor(block + "ffn_down_exps.weight", down, INNER, HIDDEN, EXPERTS);
        for (String part : new String[] {"gate", "up", "down"}) {
            put(
                    out,
                    block + "ffn_" + part + "_shexp.weight",
                    layer + "mlp.shared_expert." + part + "_proj.weight");
        }
        float[] sharedGate = release.get(layer + "mlp.shared_expert_gate.weight");
        long[] sizes = flatSharedGate ? new long[] {HIDDEN} : new long[] {HIDDEN, 1};
        out.f32Tensor(block + "ffn_gate_inp_shexp.weight", sharedGate, sizes);
    }

    private float[] experts(String layer, String projection) {
        float[] all = new float[EXPERTS * INNER * HIDDEN];
        for (int expert = 0; expert < EXPERTS; expert++) {
            float[] one =
                    release.get(layer + "mlp.experts." + expert + "." + projection + ".weight");
            System.arraycopy(one, 0, all, expert * one.length, one.length);
        }
        return all;
    }

    private void put(GgufBuilder out, String name, String from) {
        long[] shape = shapes.get(from);
        long[] sizes = new long[shape.length];
        for (int i = 0; i < sizes.length; i++) {
            sizes[i] = shape[shape.length - 1 - i];
        }
        out.f32Tensor(name, release.get(from), sizes);
    }

    private void norm(GgufBuilder out, String name, String from) {
        float[] values = release.get(from).clone();
        for (int i = 0; i < values.length; i++) {
            values[i] = 1 + values[i];
        }
        out.f32Tensor(name, values, values.length);
    }

    /// Stored head `i` is the release's head `(i mod keyHeads) * r + i / keyHeads`, in runs of `unit` after `kept` values.
    private static float[] tiled(float[] values, int kept, int unit) {
        float[] result = values.clone();
        int perKeyHead = VALUE_HEADS / KEY_HEADS;
        for (int i = 0; i < VALUE_HEADS; i++) {
            int from = i % KEY_HEADS * perKeyHead + i / KEY_HEADS;
            System.arraycopy(values, kept + from * unit, result, kept + i * unit, unit);
        }
        return result;
    }
}
