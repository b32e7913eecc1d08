package io.atoll.coordinator.scheduler;

/// Learns what a row costs, to know how many prompt rows fit into a time.
///
/// Steps of few rows say little of what one more costs, since the weights are read once for all of them; they are not
/// counted.
final class StepTime {
    /// Rows from which on a step is counted.
    private static final int COUNTED_ROWS = 16;

    /// Rows that are taken while nothing is known.
    private static final int FIRST_ROWS = 64;

    /// Weight of the last step.
    private static final double LAST = 0.3;

    private double nanosPerRow; // 0 while nothing is known

    void completed(int rows, long nanos) {
        if (rows < COUNTED_ROWS || nanos <= 0) {
            return;
        }
        double last = (double) nanos / rows;
        nanosPerRow = nanosPerRow == 0 ? last : nanosPerRow + LAST * (last - nanosPerRow);
    }

    /// How many rows take so long. At least [#COUNTED_ROWS]: fewer would hardly be cheaper, and a prompt has to move on.
    int rowsIn(long nanos) {
        if (nanosPerRow == 0) {
            return FIRST_ROWS;
        }
        return Math.clamp((long) (nanos / nanosPerRow), COUNTED_ROWS, Integer.MAX_VALUE);
    }
}
