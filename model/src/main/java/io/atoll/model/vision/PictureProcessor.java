package io.atoll.model.vision;

import io.atoll.model.config.PixelLimits;
import io.atoll.model.config.VisionConfig;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/// Turns pixels into patches as the published processor does (model specification G.1). Safe for use by several threads.
///
/// @param config of the tower
/// @param pictures limits on the pixels of a still picture
/// @param clips limits on the pixels of all sampled frames of a clip together
public record PictureProcessor(VisionConfig config, PixelLimits pictures, PixelLimits clips) {
    private static final int CHANNELS = 3;

    /// With the limits that a release's directory names, or those of releases where it has no such files.
    ///
    /// @throws io.atoll.model.config.ConfigException if they are damaged, or not of this tower
    public static PictureProcessor read(Path directory, VisionConfig config) {
        return new PictureProcessor(
                config,
                PixelLimits.read(
                        directory.resolve("preprocessor_config.json"), config, PixelLimits.PICTURE),
                PixelLimits.read(
                        directory.resolve("video_preprocessor_config.json"),
                        config,
                        PixelLimits.CLIP));
    }

    /// Pixels of the side of a square that becomes one embedding.
    private int factor() {
        return config.patchSize() * config.spatialMergeSize();
    }

    /// Resizes and cuts a still picture.
    ///
    /// @throws VisionException if one side is more than 200 times the other
    public Patches picture(RgbPicture picture) {
        PictureSize size =
                PictureSize.ofPicture(picture.height(), picture.width(), factor(), pictures);
        return cut(List.of(BicubicResize.resize(picture, size)), 1);
    }

    /// Resizes and cuts a clip.
    ///
    /// @param frames those of [FrameSampling#indices], all of one size
    /// @param indices which frames of the video they are
    /// @param framesPerSecond of the video
    /// @throws VisionException if there are fewer than two frames, they differ in size, or one side is more than 200 times the
    ///     other
    public Clip clip(List<RgbPicture> frames, int[] indices, double framesPerSecond) {
        if (frames.size() != indices.length) {
            throw new IllegalArgumentException(
                    frames.size() + " frames with " + indices.length + " indices");
        }
        if (frames.isEmpty()) {
            throw new VisionException("a clip has no frames");
        }
        RgbPicture first = frames.getFirst();
        PictureSize size =
                PictureSize.ofClip(
                        frames.size(),
                        first.height(),
                        first.width(),
                        factor(),
                        config.temporalPatchSize(),
                        clips);
        List<RgbPicture> resized = new ArrayList<>();
        for (RgbPicture frame : frames) {
            if (frame.width() != first.width() || frame.height() != first.height()) {
                throw new VisionException(
                        "frame "
                                + resized.size()
                                + " has "
                                + frame.width()
                                + " x "
                                + frame.height()
                                + " pixels, the first "
                                + first.width()
                                + " x "
                                + first.height());
            }
            resized.add(BicubicResize.resize(frame, size));
        }
        while (resized.size() % config.temporalPatchSize() != 0) {
            resized.add(resized.getLast());
        }
        return new Clip(
                cut(resized, config.temporalPatchSize()),
                FrameSampling.sliceSeconds(indices, framesPerSecond, config.temporalPatchSize()));
    }

    private PatchGrid grid(int slices, PictureSize size) {
        return new PatchGrid(
                slices,
                size.height() / config.patchSize(),
                size.width() / config.patchSize(),
                config.spatialMergeSize());
    }

    /// Lays out frames of equal size patch by patch.
    private Patches cut(List<RgbPicture> frames, int perPatch) {
        RgbPicture any = frames.getFirst();
        PatchGrid grid = grid(frames.size() / perPatch, new PictureSize(any.height(), any.width()));
        int side = config.patchSize();
        byte[] levels =
                new byte[Math.multiplyExact(grid.patches(), CHANNELS * perPatch * side * side)];
        int at = 0;
        for (int patch = 0; patch < grid.patches(); patch++) {
            int slice = patch / grid.slicePatches();
            int top = grid.row(patch % grid.slicePatches()) * side;
            int left = grid.col(patch % grid.slicePatches()) * side;
            for (int channel = 0; channel < CHANNELS; channel++) {
                for (int i = 0; i < perPatch; i++) {
                    byte[] rgb = frames.get(slice * perPatch + i).rgb();
                    for (int y = top; y < top + side; y++) {
                        int from = (y * any.width() + left) * CHANNELS + channel;
                        for (int x = 0; x < side; x++) {
                            levels[at++] = rgb[from + x * CHANNELS];
                        }
                    }
                }
            }
        }
        return new Patches(grid, perPatch, levels);
    }
}
