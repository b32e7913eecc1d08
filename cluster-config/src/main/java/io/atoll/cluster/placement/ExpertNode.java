package io.atoll.cluster.placement;

/// A machine that can hold experts, as it was measured.
///
/// @param name unique among the nodes
/// @param memoryBytes for packed experts, and nothing else
/// @param bytesPerSecond of expert weights while it computes one row each: the lesser of the memory's bandwidth and the kernels' speed
/// @param rowsPerSecond rows times experts that its kernels compute when weights are read for many rows; decides for a GPU, and for a
///     CPU whose experts have so many rows that reading is not what takes the time
/// @param device what its load is counted in
public record ExpertNode(
        String name, long memoryBytes, double bytesPerSecond, double rowsPerSecond, Device device) {
    /// What a node's time follows.
    public enum Device {
        /// Reading weights: each distinct expert of a step costs its bytes once.
        CPU,
        /// Rows: weights are read so fast that what is computed with them counts.
        GPU
    }

    public ExpertNode {
        if (name.isBlank()) {
            throw new IllegalArgumentException("a node needs a name");
        }
        if (memoryBytes < 0) {
            throw new IllegalArgumentException(
                    "memory of " + name + " is negative: " + memoryBytes);
        }
        positive(name, "bytesPerSecond", bytesPerSecond);
        positive(name, "rowsPerSecond", rowsPerSecond);
    }

    /// A node that computes on its processors, where rows beside the first of an expert are nearly free.
    public static ExpertNode cpu(String name, long memoryBytes, double bytesPerSecond) {
        return new ExpertNode(name, memoryBytes, bytesPerSecond, Double.MAX_VALUE, Device.CPU);
    }

    /// Seconds of a step that an expert costs if this node alone holds it.
    ///
    /// @param bytes of the expert
    /// @param touched probability that a step needs it
    /// @param rows of a step that choose it, on average
    double seconds(long bytes, double touched, double rows) {
        return switch (device) {
            case CPU -> Math.max(touched * bytes / bytesPerSecond, rows / rowsPerSecond);
            case GPU -> rows / rowsPerSecond;
        };
    }

    private static void positive(String name, String what, double value) {
        if (!(value > 0) || Double.isInfinite(value)) {
            throw new IllegalArgumentException(
                    what + " of " + name + " must be positive: " + value);
        }
    }
}
