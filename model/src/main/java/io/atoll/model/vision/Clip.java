package io.atoll.model.vision;

import java.math.BigDecimal;
import java.math.RoundingMode;
import java.util.List;

/// A clip, ready for the tower, and when its slices were.
///
/// @param patches with a slice for every two sampled frames
/// @param seconds of each slice: the mean time of its first and last frame
public record Clip(Patches patches, List<Double> seconds) {
    public Clip {
        seconds = List.copyOf(seconds);
        if (seconds.size() != patches.grid().slices()) {
            throw new IllegalArgumentException(
                    seconds.size() + " times for " + patches.grid().slices() + " slices");
        }
    }

    /// What stands before a slice in the prompt: `<1.5 seconds>`, one decimal of the number's exact binary value, ties to even.
    public String timestamp(int slice) {
        return timestamp(seconds.get(slice));
    }

    public static String timestamp(double seconds) {
        return "<"
                + new BigDecimal(seconds).setScale(1, RoundingMode.HALF_EVEN).toPlainString()
                + " seconds>";
    }
}
