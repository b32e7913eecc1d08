package io.atoll.coordinator.cluster;

import java.time.Duration;
import java.util.List;

/// What a coordinator knows of its cluster from the start.
///
/// @param clusterId must be the workers' own
/// @param epoch of this coordinator; workers refuse one that is below the highest they have heard
/// @param workers all expert workers
/// @param expertsPerToken that each row chooses of a layer
/// @param replication copies that each expert should have
/// @param poll how often workers are asked
/// @param goneAfter a worker that has not answered for this long is given up: its copies are made elsewhere. What has no other copy
///     is loaded elsewhere at once
public record ClusterSettings(
        String clusterId,
        long epoch,
        List<WorkerAddress> workers,
        int expertsPerToken,
        int replication,
        Duration poll,
        Duration goneAfter) {
    public static final Duration DEFAULT_POLL = Duration.ofMillis(500);

    public ClusterSettings {
        workers = List.copyOf(workers);
        if (replication <= 0) {
            throw new IllegalArgumentException("replication must be positive: " + replication);
        }
        if (!poll.isPositive() || goneAfter.isNegative()) {
            throw new IllegalArgumentException(
                    "poll must be positive and goneAfter not negative: " + poll + ", " + goneAfter);
        }
    }

    /// Where an expert worker is.
    public record WorkerAddress(String name, String host, int port) {
        @Override
        public String toString() {
            return host + ":" + port;
        }
    }
}
