package io.atoll.coordinator.cluster;

import io.atoll.coordinator.cluster.ClusterSettings.WorkerAddress;
import java.io.IOException;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/// Who is in the cluster besides those that its file lists, and whether this coordinator has the say.
public interface ClusterMembers {
    /// One process of the cluster.
    ///
    /// @param role `coordinator`, `attention-worker` or `expert-worker`
    /// @param name unique among those of its role
    /// @param address where others reach it
    /// @param started when its process started
    /// @param leads whether it is the coordinator that has the say
    /// @param labels what its operator says of it
    record Node(
            String role,
            String name,
            String address,
            Instant started,
            boolean leads,
            Map<String, String> labels) {}

    /// Every process that has joined, in the order in which they did.
    List<Node> nodes();

    /// Expert workers that have joined. One that the cluster file lists as well may be elsewhere now, and is.
    List<WorkerAddress> expertWorkers();

    /// Whether this coordinator looks after the workers.
    boolean isLeading();

    /// Whom this coordinator stands by for, in words; empty if there is nobody.
    Optional<String> leader();

    /// For a coordinator that begins to lead: higher than that of every one before.
    ///
    /// @throws IOException if too few members are there to say
    long nextEpoch() throws IOException;

    /// Has something done after each change. It must not block.
    void onChange(Runnable listener);

    /// A cluster of what its file lists and one coordinator.
    static ClusterMembers none() {
        return new ClusterMembers() {
            @Override
            public List<Node> nodes() {
                return List.of();
            }

            @Override
            public List<WorkerAddress> expertWorkers() {
                return List.of();
            }

            @Override
            public boolean isLeading() {
                return true;
            }

            @Override
            public Optional<String> leader() {
                return Optional.empty();
            }

            @Override
            public long nextEpoch() {
                return System.currentTimeMillis(); // one that starts later has the last word
            }

            @Override
            public void onChange(Runnable listener) {
                // nothing ever changes
            }
        };
    }
}
