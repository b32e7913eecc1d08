package io.atoll.model.vision;

import java.util.ArrayList;
import java.util.List;

/// Which frames of a video the model sees, and when they were (model specification G.1 and G.3).
public final class FrameSampling {
    /// Taken for a video's frames a second where nobody knows them.
    public static final double UNKNOWN_FPS = 24;

    private static final double SAMPLED_PER_SECOND = 2;
    private static final int MIN_FRAMES = 4;
    private static final int MAX_FRAMES = 768;

    private FrameSampling() {}

    /// Frames to take, two a second and evenly spread, so that a decoder needs to keep no others.
    ///
    /// @param total frames of the video
    /// @param framesPerSecond of the video; [#UNKNOWN_FPS] where it is not known
    public static int[] indices(int total, double framesPerSecond) {
        if (total <= 0 || !(framesPerSecond > 0) || Double.isInfinite(framesPerSecond)) {
            throw new VisionException(
                    "no video: " + total + " frames at " + framesPerSecond + " a second");
        }
        int wanted = (int) (total / framesPerSecond * SAMPLED_PER_SECOND);
        int count = Math.min(Math.clamp(wanted, MIN_FRAMES, MAX_FRAMES), total);
        int[] indices = new int[count];
        double step = count > 1 ? (double) (total - 1) / (count - 1) : 0;
        for (int i = 0; i < count; i++) {
            indices[i] = i == count - 1 && count > 1 ? total - 1 : (int) Math.rint(i * step);
        }
        return indices;
    }

    /// The mean time, in seconds, of the first and the last frame of each slice. The last frame is repeated where a slice lacks one.
    public static List<Double> sliceSeconds(
            int[] indices, double framesPerSecond, int temporalPatchSize) {
        List<Double> seconds = new ArrayList<>();
        for (int first = 0; first < indices.length; first += temporalPatchSize) {
            int last = Math.min(first + temporalPatchSize, indices.length) - 1;
            seconds.add((indices[first] / framesPerSecond + indices[last] / framesPerSecond) / 2);
        }
        return seconds;
    }
}
