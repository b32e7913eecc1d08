package io.atoll.model.config;

/// Sizes of the vision tower.
///
/// @param depth blocks
/// @param hiddenSize width of a patch inside the tower
/// @param intermediateSize inner width of a block's MLP
/// @param heads attention heads of a block
/// @param inChannels colour channels
/// @param patchSize pixels of a patch's side
/// @param spatialMergeSize patches of the side of a square that becomes one embedding
/// @param temporalPatchSize frames of a patch
/// @param positionEmbeddings rows of the learned position table, a square number
/// @param outHiddenSize width of an embedding, equal to the text model's hidden size
public record VisionConfig(
        int depth,
        int hiddenSize,
        int intermediateSize,
        int heads,
        int inChannels,
        int patchSize,
        int spatialMergeSize,
        int temporalPatchSize,
        int positionEmbeddings,
        int outHiddenSize) {

    public VisionConfig {
        int[] sizes = {
            depth,
            hiddenSize,
            intermediateSize,
            heads,
            inChannels,
            patchSize,
            spatialMergeSize,
            temporalPatchSize,
            positionEmbeddings,
            outHiddenSize
        };
        for (int size : sizes) {
            if (size <= 0) {
                throw new IllegalArgumentException(
                        "sizes of the vision tower must be positive: " + size);
            }
        }
        if (hiddenSize % heads != 0 || hiddenSize / heads % 4 != 0) {
            throw new IllegalArgumentException(
                    "hiddenSize must give each head a multiple of 4: "
                            + hiddenSize
                            + " for "
                            + heads
                            + " heads");
        }
        if (side(positionEmbeddings) * side(positionEmbeddings) != positionEmbeddings) {
            throw new IllegalArgumentException(
                    "positionEmbeddings must be a square number: " + positionEmbeddings);
        }
    }

    /// Width of an attention head.
    public int headDim() {
        return hiddenSize / heads;
    }

    /// Values of one patch: channels, frames, rows, columns.
    public int patchValues() {
        return inChannels * temporalPatchSize * patchSize * patchSize;
    }

    /// Rows, and columns, of the learned position table.
    public int positionGridSide() {
        return side(positionEmbeddings);
    }

    static VisionConfig read(JsonFields fields, int textHiddenSize) {
        fields.mustBe("hidden_act", "gelu_pytorch_tanh");
        fields.mustBeEmpty("deepstack_visual_indexes");
        int hidden = fields.integer("hidden_size", 4, 1 << 16);
        int heads = fields.integer("num_heads", 1, 1024);
        if (hidden % heads != 0 || hidden / heads % 4 != 0) {
            throw fields.refused(
                    "num_heads",
                    "must give each head a multiple of 4 of hidden_size = "
                            + hidden
                            + ", found "
                            + heads);
        }
        int positions = fields.integer("num_position_embeddings", 1, 1 << 20);
        if (side(positions) * side(positions) != positions) {
            throw fields.refused(
                    "num_position_embeddings", "must be a square number, found " + positions);
        }
        int out = fields.integer("out_hidden_size", 1, 1 << 18);
        if (out != textHiddenSize) {
            throw fields.refused(
                    "out_hidden_size",
                    "must equal the text model's hidden_size = "
                            + textHiddenSize
                            + ", found "
                            + out);
        }
        return new VisionConfig(
                fields.integer("depth", 1, 1024),
                hidden,
                fields.integer("intermediate_size", 1, 1 << 18),
                heads,
                fields.integer("in_channels", 1, 16),
                fields.integer("patch_size", 1, 256),
                fields.integer("spatial_merge_size", 1, 16),
                fields.integer("temporal_patch_size", 1, 16),
                positions,
                out);
    }

    private static int side(int square) {
        return (int) Math.round(Math.sqrt(square));
    }
}
