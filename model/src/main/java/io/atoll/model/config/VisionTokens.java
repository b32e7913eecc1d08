package io.atoll.model.config;

/// The tokens that mark pictures in a prompt.
///
/// @param image stands for one embedding of a still picture
/// @param video stands for one embedding of a video's slice
/// @param start opens a run of either
/// @param end closes it
public record VisionTokens(int image, int video, int start, int end) {
    static VisionTokens read(JsonFields fields, int vocabSize) {
        return new VisionTokens(
                fields.integer("image_token_id", 0, vocabSize - 1),
                fields.integer("video_token_id", 0, vocabSize - 1),
                fields.integer("vision_start_token_id", 0, vocabSize - 1),
                fields.integer("vision_end_token_id", 0, vocabSize - 1));
    }
}
