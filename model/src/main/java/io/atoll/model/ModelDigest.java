package io.atoll.model;

import io.atoll.model.checkpoint.Checkpoint;
import io.atoll.model.checkpoint.Tensor;
import io.atoll.model.checkpoint.TensorNames;
import io.atoll.model.config.QuantizationConfig;
import io.atoll.model.config.RopeParameters;
import io.atoll.model.config.TextConfig;
import io.atoll.model.gguf.GgufFile;
import io.atoll.model.gguf.GgufTensor;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.Optional;
import java.util.TreeMap;

/// Computes [ModelDirectory#modelDigest()].
///
/// Fields are written one a line, `name=value`, so that the digest depends on values only, not on how a record
/// prints.
final class ModelDigest {
    private static final int SAMPLE_BYTES = 64;

    private final MessageDigest sha256;

    private ModelDigest() {
        try {
            sha256 = MessageDigest.getInstance("SHA-256");
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("every Java platform has SHA-256", e);
        }
    }

    /// Of a release; what it says of its quantisation counts, because it changes what the tensors mean.
    static String of(
            TextConfig config, Optional<QuantizationConfig> quantization, Checkpoint checkpoint) {
        ModelDigest digest = new ModelDigest();
        digest.add(config);
        quantization.ifPresent(digest::add);
        for (String name : checkpoint.names()) {
            if (!TensorNames.isVision(name)) {
                Tensor tensor = checkpoint.require(name);
                digest.add(name, tensor.dtype(), tensor.shape(), tensor.data());
            }
        }
        return digest.hex();
    }

    /// Of a GGUF file, in one part or several.
    static String of(TextConfig config, GgufFile file) {
        ModelDigest digest = new ModelDigest();
        digest.add(config);
        for (GgufTensor tensor : new TreeMap<>(file.tensors()).values()) {
            digest.add(tensor.name(), tensor.type(), tensor.shape(), tensor.data());
        }
        return digest.hex();
    }

    private String hex() {
        return HexFormat.of().formatHex(sha256.digest());
    }

    private void add(TextConfig config) {
        line("vocab_size", config.vocabSize());
        line("hidden_size", config.hiddenSize());
        line("layer_types", config.layers());
        line("num_attention_heads", config.attentionHeads());
        line("num_key_value_heads", config.keyValueHeads());
        line("head_dim", config.headDim());
        line("linear_num_key_heads", config.linearKeyHeads());
        line("linear_num_value_heads", config.linearValueHeads());
        line("linear_key_head_dim", config.linearKeyHeadDim());
        line("linear_value_head_dim", config.linearValueHeadDim());
        line("linear_conv_kernel_dim", config.convKernel());
        line("num_experts", config.experts());
        line("num_experts_per_tok", config.expertsPerToken());
        line("moe_intermediate_size", config.moeIntermediateSize());
        line("shared_expert_intermediate_size", config.sharedExpertIntermediateSize());
        line("rms_norm_eps", config.rmsNormEps());
        line("max_position_embeddings", config.maxPositionEmbeddings());
        RopeParameters rope = config.rope();
        line("rope_type", rope.type());
        line("rope_theta", rope.theta());
        line("partial_rotary_factor", rope.partialRotaryFactor());
        line("mrope_section", rope.mropeSection());
        line("factor", rope.factor());
        line("original_max_position_embeddings", rope.originalMaxPositions());
        line("beta_fast", rope.betaFast());
        line("beta_slow", rope.betaSlow());
        line("attention_factor", rope.attentionFactor());
        line("mtp_num_hidden_layers", config.mtpLayers());
        line("tie_word_embeddings", config.tieWordEmbeddings());
    }

    private void add(QuantizationConfig quantization) {
        line("quant_method", quantization.method());
        line("bits", quantization.bits());
        line("group_size", quantization.groupSize());
        line("block_rows", quantization.blockRows());
        line("block_cols", quantization.blockCols());
        line("whole_zeros", quantization.wholeZeros());
    }

    private void add(String name, Object type, long[] shape, MemorySegment data) {
        line("tensor", name);
        line("dtype", type);
        line("shape", Arrays.toString(shape));
        long bytes = data.byteSize();
        int sample = (int) Math.min(SAMPLE_BYTES, bytes);
        long last = bytes - sample;
        for (long at : new long[] {0, last / 2, last}) {
            byte[] copy = new byte[sample];
            MemorySegment.copy(data, at, MemorySegment.ofArray(copy), 0, sample);
            sha256.update(copy);
        }
    }

    private void line(String name, Object value) {
        sha256.update((name + "=" + value + "\n").getBytes(StandardCharsets.UTF_8));
    }
}
