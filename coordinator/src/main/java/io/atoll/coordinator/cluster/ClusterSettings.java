package io.atoll.coordinator.cluster;

import io.grpc.ChannelCredentials;
import io.grpc.InsecureChannelCredentials;
import java.time.Duration;
import java.util.List;

/// What a coordinator knows of its cluster from the start.
///
/// @param clusterId must be the workers' own
/// @param workers the expert workers that the cluster file lists
/// @param expertsPerToken that each row chooses of a layer
/// @param replication copies that each expert should have
/// @param poll how often workers are asked
/// @param goneAfter a worker that has not answered for this long is given up: its copies are made elsewhere. What has no other copy
///     is loaded elsewhere at once
/// @param credentials of this coordinator, as workers want them
/// @param members who joins, and which coordinator leads
/// @param table where it is kept what workers should hold
public record ClusterSettings(
        String clusterId,
        List<WorkerAddress> workers,
        int expertsPerToken,
        int replication,
        Duration poll,
        Duration goneAfter,
        ChannelCredentials credentials,
        ClusterMembers members,
        PlacementTable table) {
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

    /// A cluster that nobody joins, in the clear, of which nothing outlives its only coordinator.
    public static ClusterSettings alone(
            String clusterId,
            List<WorkerAddress> workers,
            int expertsPerToken,
            int replication,
            Duration poll,
            Duration goneAfter) {
        return new ClusterSettings(
                clusterId,
                workers,
                expertsPerToken,
                replication,
                poll,
                goneAfter,
                InsecureChannelCredentials.create(),
                ClusterMembers.none(),
                PlacementTable.inMemory());
    }

    /// Where an expert worker is.
    public record WorkerAddress(String name, String host, int port) {
        @Override
        public String toString() {
            return host + ":" + port;
        }
    }
}
