package io.atoll.model.config;

import com.fasterxml.jackson.core.JacksonException;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.List;

/// Writes configurations as the files of a release: what [ModelConfig#read] and [GenerationConfig#read] make the same records of.
public final class ConfigWriter {
    private static final JsonMapper MAPPER = JsonMapper.builder().build();

    private ConfigWriter() {}

    /// A `config.json` of a text model. A vision tower is left out.
    public static byte[] config(TextConfig text) {
        ObjectNode json = MAPPER.createObjectNode();
        json.putArray("architectures").add(ModelConfig.TEXT_ONLY);
        json.put("model_type", "qwen3_5_moe_text");
        json.put("hidden_act", "silu");
        json.put("vocab_size", text.vocabSize());
        json.put("hidden_size", text.hiddenSize());
        json.put("num_hidden_layers", text.layerCount());
        text.layers()
                .forEach(
                        layer ->
                                json.withArray("layer_types")
                                        .add(
                                                switch (layer) {
                                                    case LINEAR_ATTENTION -> "linear_attention";
                                                    case FULL_ATTENTION -> "full_attention";
                                                }));
        json.put("num_attention_heads", text.attentionHeads());
        json.put("num_key_value_heads", text.keyValueHeads());
        json.put("head_dim", text.headDim());
        json.put("linear_num_key_heads", text.linearKeyHeads());
        json.put("linear_num_value_heads", text.linearValueHeads());
        json.put("linear_key_head_dim", text.linearKeyHeadDim());
        json.put("linear_value_head_dim", text.linearValueHeadDim());
        json.put("linear_conv_kernel_dim", text.convKernel());
        json.put("num_experts", text.experts());
        json.put("num_experts_per_tok", text.expertsPerToken());
        json.put("moe_intermediate_size", text.moeIntermediateSize());
        json.put("shared_expert_intermediate_size", text.sharedExpertIntermediateSize());
        json.put("rms_norm_eps", text.rmsNormEps());
        json.put("max_position_embeddings", text.maxPositionEmbeddings());
        put(json.putObject("rope_parameters"), text.rope());
        json.put("mtp_num_hidden_layers", text.mtpLayers());
        json.put("tie_word_embeddings", text.tieWordEmbeddings());
        integers(json, "eos_token_id", text.eosTokenIds());
        return bytes(json);
    }

    private static void put(ObjectNode json, RopeParameters rope) {
        json.put("rope_theta", rope.theta());
        json.put("partial_rotary_factor", rope.partialRotaryFactor());
        integers(json, "mrope_section", rope.mropeSection());
        json.put("mrope_interleaved", rope.interleaved());
        switch (rope.type()) {
            case DEFAULT -> json.put("rope_type", "default");
            case YARN -> {
                json.put("rope_type", "yarn");
                json.put("factor", rope.factor());
                json.put("original_max_position_embeddings", rope.originalMaxPositions());
                json.put("beta_fast", rope.betaFast());
                json.put("beta_slow", rope.betaSlow());
                rope.attentionFactorOverride()
                        .ifPresent(factor -> json.put("attention_factor", factor));
            }
        }
    }

    /// A `generation_config.json`.
    public static byte[] generation(GenerationConfig generation) {
        ObjectNode json = MAPPER.createObjectNode();
        integers(json, "eos_token_id", generation.eosTokenIds().stream().sorted().toList());
        json.put("temperature", generation.temperature());
        json.put("top_p", generation.topP());
        json.put("top_k", generation.topK());
        json.put("do_sample", generation.doSample());
        return bytes(json);
    }

    private static void integers(ObjectNode json, String name, List<Integer> values) {
        values.forEach(value -> json.withArray(name).add(value));
    }

    private static byte[] bytes(ObjectNode json) {
        try {
            return MAPPER.writerWithDefaultPrettyPrinter().writeValueAsBytes(json);
        } catch (JacksonException e) {
            throw new IllegalStateException("a tree does not print", e);
        }
    }
}
