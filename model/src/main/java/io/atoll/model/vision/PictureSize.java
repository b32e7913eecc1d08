package io.atoll.model.vision;

import io.atoll.model.config.PixelLimits;

/// The size that a picture is brought to, and how it is found (model specification G.1).
///
/// @param height rows
/// @param width pixels of a row
public record PictureSize(int height, int width) {
    private static final double MAX_ASPECT_RATIO = 200;

    /// The size for a still picture: sides are multiples of `factor`, near the picture's own, and the area is within the limits.
    ///
    /// @param factor pixels of the side of a square that becomes one embedding
    /// @throws VisionException if one side is more than 200 times the other
    public static PictureSize ofPicture(int height, int width, int factor, PixelLimits limits) {
        checkAspectRatio(height, width);
        long roundedHeight = nearest(height, factor);
        long roundedWidth = nearest(width, factor);
        long area = roundedHeight * roundedWidth;
        if (area > limits.max()) {
            return shrunk(height, width, factor, Math.sqrt(pixels(height, width) / limits.max()));
        }
        if (area < limits.min()) {
            return grown(height, width, factor, Math.sqrt(limits.min() / pixels(height, width)));
        }
        return new PictureSize((int) roundedHeight, (int) roundedWidth);
    }

    /// The size for every frame of a clip: as for a picture, but the limits are on the volume of all sampled frames.
    ///
    /// @param frames sampled frames
    /// @param temporalFactor frames of a slice
    /// @throws VisionException if there are fewer frames than one slice has, or one side is more than 200 times the other
    public static PictureSize ofClip(
            int frames, int height, int width, int factor, int temporalFactor, PixelLimits limits) {
        if (frames < temporalFactor) {
            throw new VisionException(
                    "a clip needs at least " + temporalFactor + " frames, found " + frames);
        }
        checkSides(height, width);
        int tall = height;
        int wide = width;
        if (Math.min(height, width) < factor) {
            double scale = Math.max((double) factor / height, (double) factor / width);
            tall = (int) (height * scale);
            wide = (int) (width * scale);
        }
        checkAspectRatio(tall, wide);
        long roundedHeight = nearest(tall, factor);
        long roundedWidth = nearest(wide, factor);
        long roundedFrames = nearest(frames, temporalFactor);
        double volume = frames * pixels(tall, wide);
        long rounded = roundedFrames * roundedHeight * roundedWidth;
        if (rounded > limits.max()) {
            return shrunk(tall, wide, factor, Math.sqrt(volume / limits.max()));
        }
        if (rounded < limits.min()) {
            return grown(tall, wide, factor, Math.sqrt(limits.min() / volume));
        }
        return new PictureSize((int) roundedHeight, (int) roundedWidth);
    }

    private static PictureSize shrunk(int height, int width, int factor, double by) {
        return new PictureSize(
                Math.max(factor, (int) Math.floor(height / by / factor) * factor),
                Math.max(factor, (int) Math.floor(width / by / factor) * factor));
    }

    private static PictureSize grown(int height, int width, int factor, double by) {
        return new PictureSize(
                (int) Math.ceil(height * by / factor) * factor,
                (int) Math.ceil(width * by / factor) * factor);
    }

    /// The nearest multiple, of two the even one.
    private static long nearest(int side, int factor) {
        return (long) Math.rint((double) side / factor) * factor;
    }

    private static double pixels(int height, int width) {
        return (double) height * width;
    }

    private static void checkSides(int height, int width) {
        if (height <= 0 || width <= 0) {
            throw new IllegalArgumentException("sides must be positive: " + height + ", " + width);
        }
    }

    private static void checkAspectRatio(int height, int width) {
        checkSides(height, width);
        double ratio = (double) Math.max(height, width) / Math.min(height, width);
        if (ratio > MAX_ASPECT_RATIO) {
            throw new VisionException(
                    "one side may be at most 200 times the other, found "
                            + width
                            + " x "
                            + height
                            + " pixels");
        }
    }
}
