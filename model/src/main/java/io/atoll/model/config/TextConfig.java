package io.atoll.model.config;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;

/// Sizes of the text model.
///
/// @param vocabSize rows of the embedding table; the last ones may be padding that is no token
/// @param hiddenSize width of the residual stream
/// @param layers the mixer of each decoder layer, first to last
/// @param attentionHeads query heads of a full-attention layer
/// @param keyValueHeads key and value heads of a full-attention layer, each shared by a run of query heads
/// @param headDim width of a full-attention head
/// @param linearKeyHeads key (and query) heads of a Gated DeltaNet layer
/// @param linearValueHeads value heads of a Gated DeltaNet layer, each run of them shares a key head
/// @param linearKeyHeadDim width of a Gated DeltaNet key
/// @param linearValueHeadDim width of a Gated DeltaNet value
/// @param convKernel taps of the causal convolution before the delta rule
/// @param experts routed experts of a layer
/// @param expertsPerToken experts the router picks for a row
/// @param moeIntermediateSize inner width of a routed expert
/// @param sharedExpertIntermediateSize inner width of the shared expert
/// @param rmsNormEps added to the mean square in every RMS norm
/// @param maxPositionEmbeddings context length the file gives
/// @param rope how positions turn queries and keys
/// @param mtpLayers decoder layers of the multi-token prediction module; 0 if there is none
/// @param tieWordEmbeddings whether the LM head is the embedding table
/// @param eosTokenIds end-of-sequence ids of this file; generation stops at those of [GenerationConfig]
public record TextConfig(
        int vocabSize,
        int hiddenSize,
        List<LayerType> layers,
        int attentionHeads,
        int keyValueHeads,
        int headDim,
        int linearKeyHeads,
        int linearValueHeads,
        int linearKeyHeadDim,
        int linearValueHeadDim,
        int convKernel,
        int experts,
        int expertsPerToken,
        int moeIntermediateSize,
        int sharedExpertIntermediateSize,
        float rmsNormEps,
        int maxPositionEmbeddings,
        RopeParameters rope,
        int mtpLayers,
        boolean tieWordEmbeddings,
        List<Integer> eosTokenIds) {

    // Bounds are an order of magnitude and more above the largest model of the family, and small
    // enough that no product of
    // two of them overflows an int.
    static final int MAX_POSITIONS = 1 << 26;
    static final int MAX_VOCABULARY = 1 << 24;
    private static final int MAX_WIDTH = 1 << 18;
    private static final int MAX_LAYERS = 1024;
    private static final int MAX_HEADS = 4096;
    private static final int MAX_HEAD_DIM = 4096;
    private static final int MAX_EXPERTS = 1 << 16;

    public TextConfig {
        layers = List.copyOf(layers);
        eosTokenIds = List.copyOf(eosTokenIds);
        requirePositive("vocabSize", vocabSize);
        requirePositive("hiddenSize", hiddenSize);
        requirePositive("layers", layers.size());
        requireMultiple("attentionHeads", attentionHeads, "keyValueHeads", keyValueHeads);
        requirePositive("headDim", headDim);
        requireMultiple("linearValueHeads", linearValueHeads, "linearKeyHeads", linearKeyHeads);
        requirePositive("linearKeyHeadDim", linearKeyHeadDim);
        requirePositive("linearValueHeadDim", linearValueHeadDim);
        requirePositive("convKernel", convKernel);
        requirePositive("expertsPerToken", expertsPerToken);
        if (expertsPerToken > experts) {
            throw new IllegalArgumentException(
                    "expertsPerToken must not exceed experts: "
                            + expertsPerToken
                            + " of "
                            + experts);
        }
        requirePositive("moeIntermediateSize", moeIntermediateSize);
        requirePositive("sharedExpertIntermediateSize", sharedExpertIntermediateSize);
        requirePositive("maxPositionEmbeddings", maxPositionEmbeddings);
        if (!(rmsNormEps > 0)) {
            throw new IllegalArgumentException("rmsNormEps must be positive: " + rmsNormEps);
        }
        if (mtpLayers < 0) {
            throw new IllegalArgumentException("mtpLayers must not be negative: " + mtpLayers);
        }
        int rotaryDim = (int) (headDim * rope.partialRotaryFactor());
        if (2 * rope.mropeSection().stream().mapToInt(Integer::intValue).sum() != rotaryDim) {
            throw new IllegalArgumentException(
                    "mropeSection must add up to half of the rotary dimensions: "
                            + rope.mropeSection()
                            + " of "
                            + rotaryDim);
        }
    }

    /// Decoder layers, without the multi-token prediction module's.
    public int layerCount() {
        return layers.size();
    }

    /// Dimensions of a full-attention head that turn with the position.
    public int rotaryDim() {
        return (int) (headDim * rope.partialRotaryFactor());
    }

    /// Width of all queries, and of all keys, of a Gated DeltaNet layer.
    public int linearKeyDim() {
        return linearKeyHeads * linearKeyHeadDim;
    }

    /// Width of all values of a Gated DeltaNet layer.
    public int linearValueDim() {
        return linearValueHeads * linearValueHeadDim;
    }

    /// Channels of the causal convolution: queries, keys, values.
    public int convDim() {
        return 2 * linearKeyDim() + linearValueDim();
    }

    /// Query heads that share a key and value head.
    public int queryHeadsPerKeyValueHead() {
        return attentionHeads / keyValueHeads;
    }

    /// Value heads that share a key head of a Gated DeltaNet layer.
    public int valueHeadsPerKeyHead() {
        return linearValueHeads / linearKeyHeads;
    }

    /// Positions a sequence may use: the file's, or more where YaRN stretches them further.
    public int contextLength() {
        return Math.max(maxPositionEmbeddings, rope.stretchedMaxPositions());
    }

    /// The same model with other rotary parameters, for example [RopeParameters#withYarn].
    public TextConfig withRope(RopeParameters other) {
        return new TextConfig(
                vocabSize,
                hiddenSize,
                layers,
                attentionHeads,
                keyValueHeads,
                headDim,
                linearKeyHeads,
                linearValueHeads,
                linearKeyHeadDim,
                linearValueHeadDim,
                convKernel,
                experts,
                expertsPerToken,
                moeIntermediateSize,
                sharedExpertIntermediateSize,
                rmsNormEps,
                maxPositionEmbeddings,
                other,
                mtpLayers,
                tieWordEmbeddings,
                eosTokenIds);
    }

    /// Reads the text fields, wherever they stand in the file.
    ///
    /// @param tied what the top level says about tied embeddings, or this level's own value
    static TextConfig read(JsonFields fields, boolean tied) {
        fields.mustBe("model_type", "qwen3_5_moe_text");
        fields.mustBe("hidden_act", "silu");
        fields.mustBe("attention_bias", false);
        fields.mustBe("attn_output_gate", true);
        // Absent means true: the model always divides the chosen weights by their sum.
        fields.mustBe("norm_topk_prob", true);
        fields.mustBe("mtp_use_dedicated_embeddings", false);
        fields.mustBeEmpty("mlp_only_layers");
        if (fields.has("decoder_sparse_step")) {
            fields.integer("decoder_sparse_step", 1, 1);
        }

        int vocabulary = fields.integer("vocab_size", 1, MAX_VOCABULARY);
        int headDim = fields.integer("head_dim", 2, MAX_HEAD_DIM);
        int maxPositions = fields.integer("max_position_embeddings", 1, MAX_POSITIONS);
        int keyValueHeads = fields.integer("num_key_value_heads", 1, MAX_HEADS);
        int linearKeyHeads = fields.integer("linear_num_key_heads", 1, MAX_HEADS);
        int experts = fields.integer("num_experts", 1, MAX_EXPERTS);
        return new TextConfig(
                vocabulary,
                fields.integer("hidden_size", 1, MAX_WIDTH),
                layers(fields),
                multiple(fields, "num_attention_heads", "num_key_value_heads", keyValueHeads),
                keyValueHeads,
                headDim,
                linearKeyHeads,
                multiple(fields, "linear_num_value_heads", "linear_num_key_heads", linearKeyHeads),
                fields.integer("linear_key_head_dim", 1, MAX_HEAD_DIM),
                fields.integer("linear_value_head_dim", 1, MAX_HEAD_DIM),
                fields.integer("linear_conv_kernel_dim", 1, 64),
                experts,
                fields.integer("num_experts_per_tok", 1, experts),
                fields.integer("moe_intermediate_size", 1, MAX_WIDTH),
                fields.integer("shared_expert_intermediate_size", 1, MAX_WIDTH),
                (float) fields.number("rms_norm_eps", 1e-12, 1e-1),
                maxPositions,
                RopeParameters.read(fields, headDim, maxPositions),
                fields.integer("mtp_num_hidden_layers", 0, MAX_LAYERS, 0),
                tied,
                fields.integerOrIntegers("eos_token_id", 0, vocabulary - 1));
    }

    private static List<LayerType> layers(JsonFields fields) {
        int count = fields.integer("num_hidden_layers", 1, MAX_LAYERS);
        if (!fields.has("layer_types")) {
            int interval = fields.integer("full_attention_interval", 1, MAX_LAYERS);
            List<LayerType> layers =
                    new ArrayList<>(Collections.nCopies(count, LayerType.LINEAR_ATTENTION));
            for (int i = interval - 1; i < count; i += interval) {
                layers.set(i, LayerType.FULL_ATTENTION);
            }
            return layers;
        }
        List<String> names = fields.strings("layer_types");
        if (names.size() != count) {
            throw fields.refused(
                    "layer_types",
                    "must have num_hidden_layers = " + count + " entries, found " + names.size());
        }
        List<LayerType> layers = new ArrayList<>(count);
        for (String name : names) {
            layers.add(
                    switch (name) {
                        case "linear_attention" -> LayerType.LINEAR_ATTENTION;
                        case "full_attention" -> LayerType.FULL_ATTENTION;
                        default ->
                                throw fields.refused(
                                        "layer_types",
                                        "only linear_attention and full_attention are supported,"
                                                + " found \""
                                                + name
                                                + "\"");
                    });
        }
        return layers;
    }

    private static int multiple(JsonFields fields, String field, String divisorField, int divisor) {
        int value = fields.integer(field, 1, MAX_HEADS);
        if (value % divisor != 0) {
            throw fields.refused(
                    field,
                    "must be a multiple of " + divisorField + " = " + divisor + ", found " + value);
        }
        return value;
    }

    private static void requirePositive(String name, int value) {
        if (value <= 0) {
            throw new IllegalArgumentException(name + " must be positive: " + value);
        }
    }

    private static void requireMultiple(String name, int value, String divisorName, int divisor) {
        requirePositive(name, value);
        requirePositive(divisorName, divisor);
        if (value % divisor != 0) {
            throw new IllegalArgumentException(
                    name
                            + " must be a multiple of "
                            + divisorName
                            + ": "
                            + value
                            + " and "
                            + divisor);
        }
    }
}
