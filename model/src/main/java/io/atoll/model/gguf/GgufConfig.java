package io.atoll.model.gguf;

import io.atoll.model.config.GenerationConfig;
import io.atoll.model.config.LayerType;
import io.atoll.model.config.RopeParameters;
import io.atoll.model.config.TextConfig;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.Set;

/// Reads the configuration of a `qwen35moe` model from a file's metadata.
///
/// Bounds are those of a release's `config.json`: an order of magnitude above the largest model of the family.
final class GgufConfig {
    private static final String PREFIX = GgufModel.ARCHITECTURE + ".";
    private static final String EOS = "tokenizer.ggml.eos_token_id";
    private static final int MAX_WIDTH = 1 << 18;
    private static final int MAX_LAYERS = 1024;
    private static final int MAX_HEADS = 4096;
    private static final int MAX_HEAD_DIM = 4096;
    private static final int MAX_EXPERTS = 1 << 16;
    private static final int MAX_POSITIONS = 1 << 26;
    private static final int MAX_VOCABULARY = 1 << 24;

    /// Tokens that end an answer whatever the file names as its one end token: files of this family name the end of a turn
    /// there, and mean the end of the text, too.
    private static final Set<String> END_TOKENS = Set.of("<|im_end|>", "<|endoftext|>");

    private final GgufMetadata metadata;

    private GgufConfig(GgufMetadata metadata) {
        this.metadata = metadata;
    }

    /// @throws GgufException if a key is missing, or its value is out of range or does not fit the others
    static TextConfig text(GgufFile file) {
        try {
            return new GgufConfig(file.metadata()).readText(file);
        } catch (IllegalArgumentException e) {
            throw new GgufException(
                    file.path(), "metadata", "is inconsistent: " + e.getMessage(), e);
        }
    }

    static GenerationConfig generation(GgufMetadata metadata, TextConfig config) {
        String prefix = "general.sampling.";
        return new GenerationConfig(
                new LinkedHashSet<>(config.eosTokenIds()),
                asWritten(metadata.number(prefix + "temp", 0, 100, 1)),
                asWritten(metadata.number(prefix + "top_p", 1e-9, 1, 1)),
                metadata.integer(prefix + "top_k", 0, Integer.MAX_VALUE, 0),
                true);
    }

    /// The decimal that a file's f32 stands for, so that a release's 0.95 is 0.95 here, too.
    private static double asWritten(double single) {
        return Double.parseDouble(Float.toString((float) single));
    }

    private TextConfig readText(GgufFile file) {
        int hidden = integer("embedding_length", MAX_WIDTH);
        int vocabulary = vocabulary(file.require("token_embd.weight"), hidden);
        int blocks = integer("block_count", MAX_LAYERS);
        int mtpLayers = metadata.integer(PREFIX + "nextn_predict_layers", 0, blocks - 1, 0);
        List<LayerType> layers = layers(blocks, blocks - mtpLayers);
        int headDim = integer("attention.key_length", MAX_HEAD_DIM);
        requireEqual("attention.value_length", headDim, "attention.key_length");
        int linearValueHeads = integer("ssm.time_step_rank", MAX_HEADS);
        int linearValueDim = integer("ssm.inner_size", MAX_WIDTH);
        if (linearValueDim % linearValueHeads != 0) {
            throw refused(
                    "ssm.inner_size",
                    "must be a multiple of ssm.time_step_rank = "
                            + linearValueHeads
                            + ", found "
                            + linearValueDim);
        }
        int experts = integer("expert_count", MAX_EXPERTS);
        int context = integer("context_length", MAX_POSITIONS);
        return new TextConfig(
                vocabulary,
                hidden,
                layers,
                heads("attention.head_count", layers),
                heads("attention.head_count_kv", layers),
                headDim,
                integer("ssm.group_count", MAX_HEADS),
                linearValueHeads,
                integer("ssm.state_size", MAX_HEAD_DIM),
                linearValueDim / linearValueHeads,
                integer("ssm.conv_kernel", 64),
                experts,
                integer("expert_used_count", experts),
                integer("expert_feed_forward_length", MAX_WIDTH),
                integer("expert_shared_feed_forward_length", MAX_WIDTH),
                (float) metadata.number(PREFIX + "attention.layer_norm_rms_epsilon", 1e-12, 1e-1),
                context,
                rope(headDim, context),
                mtpLayers,
                file.find("output.weight").isEmpty(),
                endTokens(vocabulary));
    }

    private int vocabulary(GgufTensor embedding, int hidden) {
        if (embedding.rank() != 2 || embedding.dim(0) > MAX_VOCABULARY) {
            throw new GgufException(
                    embedding.file(),
                    embedding.name(),
                    "expected a matrix of at most " + MAX_VOCABULARY + " rows, found " + embedding);
        }
        embedding.expectShape(embedding.dim(0), hidden);
        return (int) embedding.dim(0);
    }

    /// The mixers of the model's own layers. Newer files flag the recurrent ones, one flag a block; older ones give only the
    /// interval of full attention.
    private List<LayerType> layers(int blocks, int count) {
        List<LayerType> layers = new ArrayList<>(count);
        Optional<GgufArray> recurrent = metadata.findArray(PREFIX + "attention.recurrent_layers");
        if (recurrent.isPresent()) {
            int flags = recurrent.get().size();
            if (flags != blocks && flags != count) {
                throw refused(
                        "attention.recurrent_layers",
                        "must have a flag for each of " + blocks + " blocks, found " + flags);
            }
            for (int layer = 0; layer < count; layer++) {
                layers.add(
                        recurrent.get().integer(layer) != 0
                                ? LayerType.LINEAR_ATTENTION
                                : LayerType.FULL_ATTENTION);
            }
            return layers;
        }
        int interval = integer("full_attention_interval", MAX_LAYERS);
        for (int layer = 0; layer < count; layer++) {
            layers.add(
                    (layer + 1) % interval == 0
                            ? LayerType.FULL_ATTENTION
                            : LayerType.LINEAR_ATTENTION);
        }
        return layers;
    }

    /// A number of heads: one for all layers, or one for each, where only those of full-attention layers count.
    private int heads(String key, List<LayerType> layers) {
        if (metadata.type(PREFIX + key).equals(Optional.of(GgufValueType.ARRAY))) {
            GgufArray perLayer = metadata.array(PREFIX + key);
            if (perLayer.size() < layers.size()) {
                throw refused(
                        key,
                        "must have an entry for each of "
                                + layers.size()
                                + " layers, found "
                                + perLayer.size());
            }
            long common = 0;
            for (int layer = 0; layer < layers.size(); layer++) {
                long heads = perLayer.integer(layer);
                if (layers.get(layer) == LayerType.FULL_ATTENTION) {
                    if (heads < 1 || heads > MAX_HEADS || (common != 0 && heads != common)) {
                        throw refused(
                                key,
                                "must be the same in all full-attention layers and in [1, "
                                        + MAX_HEADS
                                        + "], found "
                                        + heads
                                        + " in layer "
                                        + layer);
                    }
                    common = heads;
                }
            }
            // A model without full attention has no such heads; one keeps the sizes valid.
            return (int) Math.max(common, 1);
        }
        return integer(key, MAX_HEADS);
    }

    private RopeParameters rope(int headDim, int context) {
        int rotaryDim = integer("rope.dimension_count", headDim);
        double partial = (double) rotaryDim / headDim;
        GgufArray sections = metadata.array(PREFIX + "rope.dimension_sections");
        if (sections.size() < 3 || (sections.size() > 3 && sections.integer(3) != 0)) {
            throw refused(
                    "rope.dimension_sections", "must be three sizes and a 0, found " + sections);
        }
        List<Integer> mrope = new ArrayList<>();
        for (int i = 0; i < 3; i++) {
            long size = sections.integer(i);
            if (size < 0 || size > headDim) {
                throw refused("rope.dimension_sections", "size is out of range: " + size);
            }
            mrope.add((int) size);
        }
        double theta = metadata.number(PREFIX + "rope.freq_base", 1.0001, 1e12);
        String scaling = metadata.findString(PREFIX + "rope.scaling.type").orElse("none");
        return switch (scaling) {
            case "none" -> RopeParameters.plain(theta, partial, mrope, context);
            case "yarn" -> {
                requireOne("rope.scaling.attn_factor");
                requireOne("rope.scaling.yarn_attn_factor");
                requireOne("rope.scaling.yarn_ext_factor");
                yield new RopeParameters(
                        RopeParameters.Type.YARN,
                        theta,
                        partial,
                        mrope,
                        true,
                        metadata.number(PREFIX + "rope.scaling.factor", 1, 1024),
                        metadata.integer(
                                PREFIX + "rope.scaling.original_context_length",
                                1,
                                MAX_POSITIONS,
                                context),
                        metadata.number(PREFIX + "rope.scaling.yarn_beta_fast", 1e-6, 1e6, 32),
                        metadata.number(PREFIX + "rope.scaling.yarn_beta_slow", 1e-6, 1e6, 1),
                        OptionalDouble.empty());
            }
            default ->
                    throw refused(
                            "rope.scaling.type",
                            "only none and yarn are supported, found \""
                                    + GgufMetadata.shorten(scaling)
                                    + "\"");
        };
    }

    /// The file's own end token first, then others that end an answer by their text.
    private List<Integer> endTokens(int vocabulary) {
        Set<Integer> ids = new LinkedHashSet<>();
        for (String key : List.of(EOS, "tokenizer.ggml.eot_token_id")) {
            if (metadata.contains(key)) {
                ids.add(metadata.integer(key, 0, vocabulary - 1));
            }
        }
        Optional<GgufArray> tokens = metadata.findArray("tokenizer.ggml.tokens");
        if (tokens.isPresent()) {
            List<String> texts = tokens.get().strings();
            // Control tokens stand at the end of a vocabulary.
            int found = 0;
            int last = Math.min(texts.size(), vocabulary) - 1;
            for (int id = last; id >= 0 && found < END_TOKENS.size(); id--) {
                if (END_TOKENS.contains(texts.get(id))) {
                    ids.add(id);
                    found++;
                }
            }
        }
        return List.copyOf(ids);
    }

    private int integer(String key, int max) {
        return metadata.integer(PREFIX + key, 1, max);
    }

    private void requireEqual(String key, int expected, String otherKey) {
        int found = integer(key, Integer.MAX_VALUE);
        if (found != expected) {
            throw refused(key, "must equal " + otherKey + " = " + expected + ", found " + found);
        }
    }

    /// Refuses a factor of YaRN that is set to anything but what releases of this family imply.
    private void requireOne(String key) {
        double found = metadata.number(PREFIX + key, -1e9, 1e9, 1);
        if (found != 1) {
            throw refused(key, "only 1 is supported, found " + found);
        }
    }

    private GgufException refused(String key, String message) {
        return new GgufException(metadata.file(), PREFIX + key, message);
    }
}
