package io.atoll.model.config;

import java.nio.file.Files;
import java.nio.file.Path;

/// Between which numbers of pixels a still picture, or all sampled frames of a clip together, are brought.
///
/// @param min fewest pixels
/// @param max most pixels
public record PixelLimits(long min, long max) {
    /// What releases say of still pictures.
    public static final PixelLimits PICTURE = new PixelLimits(65_536, 16_777_216);

    /// What releases say of clips.
    public static final PixelLimits CLIP = new PixelLimits(4_096, 25_165_824);

    private static final double HALF = 0.5;

    public PixelLimits {
        if (min <= 0 || max < min) {
            throw new IllegalArgumentException("need 0 < min <= max: " + min + ", " + max);
        }
    }

    /// Reads a `preprocessor_config.json` or `video_preprocessor_config.json`.
    ///
    /// @param vision what the file must agree with
    /// @param absent what holds where there is no such file
    /// @throws ConfigException if the file is damaged, or asks for what this program does not do to pictures
    public static PixelLimits read(Path file, VisionConfig vision, PixelLimits absent) {
        if (!Files.exists(file)) {
            return absent;
        }
        JsonFields fields = JsonFields.read(file);
        mustEqual(fields, "patch_size", vision.patchSize());
        mustEqual(fields, "temporal_patch_size", vision.temporalPatchSize());
        mustEqual(fields, "merge_size", vision.spatialMergeSize());
        for (String field : new String[] {"image_mean", "image_std"}) {
            if (fields.has(field) && !fields.numbers(field).stream().allMatch(x -> x == HALF)) {
                throw fields.refused(
                        field, "only 0.5 is supported, found " + fields.numbers(field));
            }
        }
        if (!fields.has("size")) {
            return absent;
        }
        JsonFields size = fields.object("size");
        int min = size.integer("shortest_edge", 1, Integer.MAX_VALUE);
        int max = size.integer("longest_edge", 1, Integer.MAX_VALUE);
        if (max < min) {
            throw size.refused(
                    "longest_edge", "must not be below shortest_edge = " + min + ", found " + max);
        }
        return new PixelLimits(min, max);
    }

    private static void mustEqual(JsonFields fields, String field, int wanted) {
        int found = fields.integer(field, 1, 1 << 16, wanted);
        if (found != wanted) {
            throw fields.refused(
                    field,
                    "must be what config.json says of the vision tower, "
                            + wanted
                            + ", found "
                            + found);
        }
    }
}
