package io.atoll.model.config;

import java.nio.file.Path;
import java.util.List;
import java.util.Optional;

/// What `config.json` says of a model: a text model and, in most releases, a vision tower.
///
/// @param architecture the class name in the file: with a vision part, or text only
/// @param text sizes of the text model
/// @param vision sizes of the vision tower, where there is one
/// @param visionTokens tokens that mark pictures, where there is a vision tower
public record ModelConfig(
        String architecture,
        TextConfig text,
        Optional<VisionConfig> vision,
        Optional<VisionTokens> visionTokens) {

    private static final String WITH_VISION = "Qwen3_5MoeForConditionalGeneration";
    static final String TEXT_ONLY = "Qwen3_5MoeForCausalLM";

    public ModelConfig {
        if (vision.isPresent() != visionTokens.isPresent()) {
            throw new IllegalArgumentException(
                    "vision and visionTokens come together: " + vision + " " + visionTokens);
        }
    }

    /// Whether the LM head is the embedding table.
    public boolean tieWordEmbeddings() {
        return text.tieWordEmbeddings();
    }

    /// The same model with another text configuration, for example one with YaRN.
    public ModelConfig withText(TextConfig other) {
        return new ModelConfig(architecture, other, vision, visionTokens);
    }

    /// A model without a vision tower.
    public static ModelConfig textOnly(TextConfig text) {
        return new ModelConfig(TEXT_ONLY, text, Optional.empty(), Optional.empty());
    }

    /// Reads a `config.json`.
    ///
    /// @throws ConfigException if the file is missing or damaged, or the model is not one this program computes
    public static ModelConfig read(Path file) {
        JsonFields fields = JsonFields.read(file);
        List<String> architectures = fields.strings("architectures");
        String architecture = architectures.size() == 1 ? architectures.getFirst() : "";
        return switch (architecture) {
            case WITH_VISION -> readWithVision(fields);
            case TEXT_ONLY ->
                    new ModelConfig(
                            TEXT_ONLY,
                            TextConfig.read(fields, fields.bool("tie_word_embeddings", false)),
                            Optional.empty(),
                            Optional.empty());
            default ->
                    throw fields.refused(
                            "architectures",
                            "only ["
                                    + WITH_VISION
                                    + "] and ["
                                    + TEXT_ONLY
                                    + "] are supported, found "
                                    + architectures);
        };
    }

    private static ModelConfig readWithVision(JsonFields fields) {
        fields.mustBe("model_type", "qwen3_5_moe");
        JsonFields textFields = fields.object("text_config");
        // The top level decides where both levels speak, as in the reference implementation.
        boolean tied =
                fields.bool("tie_word_embeddings", textFields.bool("tie_word_embeddings", false));
        TextConfig text = TextConfig.read(textFields, tied);
        Optional<VisionConfig> vision =
                fields.optionalObject("vision_config")
                        .map(object -> VisionConfig.read(object, text.hiddenSize()));
        return new ModelConfig(
                WITH_VISION,
                text,
                vision,
                vision.map(_ -> VisionTokens.read(fields, text.vocabSize())));
    }
}
