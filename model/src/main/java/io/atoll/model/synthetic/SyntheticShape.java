package io.atoll.model.synthetic;

import java.util.Locale;
import java.util.Optional;

/// Sizes of a synthetic model. Common to the family, and so not here: four taps of the convolution, full attention in every
/// fourth layer, and a rotary part of a quarter of the head (model spec A.2).
///
/// @param name of the release whose sizes these are
/// @param layers decoder layers
/// @param hidden width of the residual stream
/// @param vocabulary rows of the embedding table; the last [SyntheticVocabulary#FILL] of them are no tokens
/// @param attentionHeads query heads of a full-attention layer
/// @param keyValueHeads key and value heads of a full-attention layer
/// @param headDim width of a full-attention head
/// @param linearKeyHeads key heads of a Gated DeltaNet layer
/// @param linearValueHeads value heads of a Gated DeltaNet layer
/// @param linearHeadDim width of its keys and values
/// @param experts routed experts of a layer
/// @param expertsPerToken experts the router picks for a row
/// @param expertInner inner width of an expert, also of the shared one
/// @param contextLength tokens the metadata gives
public record SyntheticShape(
        String name,
        int layers,
        int hidden,
        int vocabulary,
        int attentionHeads,
        int keyValueHeads,
        int headDim,
        int linearKeyHeads,
        int linearValueHeads,
        int linearHeadDim,
        int experts,
        int expertsPerToken,
        int expertInner,
        int contextLength) {
    /// Layers from one with full attention to the next, in a model of that many or more.
    private static final int ATTENTION_INTERVAL = 4;

    /// Taps of the convolution before the delta rule.
    public static final int CONV_KERNEL = 4;

    /// Columns of the blocks that matrices are stored in; every matrix has whole ones.
    private static final int BLOCK = 256;

    private static final int MAX_LAYERS = 1024;
    private static final int MAX_EXPERTS = 1 << 16;

    public SyntheticShape {
        inRange("layers", layers, 1, MAX_LAYERS);
        inRange("experts", experts, expertsPerToken, MAX_EXPERTS);
        inRange("experts per token", expertsPerToken, 1, MAX_EXPERTS);
        inRange(
                "vocabulary",
                vocabulary,
                SyntheticVocabulary.MIN_ROWS,
                SyntheticVocabulary.MAX_ROWS);
        wholeBlocks("hidden size", hidden);
        wholeBlocks("inner width of experts", expertInner);
        wholeBlocks("width of attention", (long) attentionHeads * headDim);
        wholeBlocks("width of Gated DeltaNet", (long) linearValueHeads * linearHeadDim);
        multiple("query heads", attentionHeads, keyValueHeads);
        multiple("value heads", linearValueHeads, linearKeyHeads);
        multiple("head width", headDim, 8);
        inRange("context length", contextLength, 1, 1 << 26);
    }

    /// The sizes of a release: `35b`, `122b` or `397b`.
    public static Optional<SyntheticShape> named(String name) {
        String lower = name.toLowerCase(Locale.ROOT);
        return switch (lower) {
            case "35b" -> Optional.of(release(lower, 40, 2048, 16, 32, 256, 8, 512));
            case "122b" -> Optional.of(release(lower, 48, 3072, 32, 64, 256, 8, 1024));
            case "397b" -> Optional.of(release(lower, 60, 4096, 32, 64, 512, 10, 1024));
            default -> Optional.empty();
        };
    }

    private static SyntheticShape release(
            String name,
            int layers,
            int hidden,
            int attentionHeads,
            int linearValueHeads,
            int experts,
            int expertsPerToken,
            int expertInner) {
        return new SyntheticShape(
                name,
                layers,
                hidden,
                248_320,
                attentionHeads,
                2,
                256,
                16,
                linearValueHeads,
                128,
                experts,
                expertsPerToken,
                expertInner,
                262_144);
    }

    /// The same with other numbers of layers, vocabulary rows and experts.
    ///
    /// @throws IllegalArgumentException if one is out of range; the message names it
    public SyntheticShape cut(int otherLayers, int otherVocabulary, int otherExperts) {
        return new SyntheticShape(
                name,
                otherLayers,
                hidden,
                otherVocabulary,
                attentionHeads,
                keyValueHeads,
                headDim,
                linearKeyHeads,
                linearValueHeads,
                linearHeadDim,
                otherExperts,
                expertsPerToken,
                expertInner,
                contextLength);
    }

    /// Layers from one with full attention to the next. A model of fewer than four layers ends with one, too: llama.cpp refuses a
    /// model without any.
    int attentionInterval() {
        return Math.min(ATTENTION_INTERVAL, layers);
    }

    /// Whether a layer has full attention; the others have Gated DeltaNet.
    boolean isAttention(int layer) {
        return (layer + 1) % attentionInterval() == 0;
    }

    /// Dimensions of a head that positions turn.
    int rotaryDim() {
        return headDim / 4;
    }

    int linearKeyDim() {
        return linearKeyHeads * linearHeadDim;
    }

    int linearValueDim() {
        return linearValueHeads * linearHeadDim;
    }

    /// Channels of the convolution: queries, keys and values.
    int convDim() {
        return 2 * linearKeyDim() + linearValueDim();
    }

    private static void inRange(String what, int value, int min, int max) {
        if (value < min || value > max) {
            throw new IllegalArgumentException(
                    what + " must be in [" + min + ", " + max + "]: " + value);
        }
    }

    private static void wholeBlocks(String what, long value) {
        if (value <= 0 || value % BLOCK != 0) {
            throw new IllegalArgumentException(
                    what + " must be a multiple of " + BLOCK + ": " + value);
        }
    }

    private static void multiple(String what, int value, int of) {
        if (of <= 0 || value <= 0 || value % of != 0) {
            throw new IllegalArgumentException(what + " must be a multiple of " + of + ": " + value);
        }
    }
}
