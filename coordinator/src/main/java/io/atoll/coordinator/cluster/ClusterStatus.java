package io.atoll.coordinator.cluster;

import io.atoll.cluster.placement.ExpertShard;
import io.atoll.cluster.placement.Reconciler.Life;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Optional;

/// The cluster at one moment.
///
/// @param epoch of the coordinator; 0 if it has never led
/// @param standsByFor the coordinator that leads, in words; empty if it is this one, and nothing is known of workers otherwise
/// @param replication copies that each expert should have
/// @param layers of the model; 0 before the first worker has answered
/// @param experts of each layer
/// @param withoutCopy experts that no live worker holds
/// @param belowReplication experts with fewer copies on live workers than there should be
/// @param settled whether every worker holds what it should and nothing is under way
/// @param nodes in the order of the cluster file, then those that have joined
/// @param alarms what an operator should look at; empty if all is well
public record ClusterStatus(
        String clusterId,
        long epoch,
        Optional<String> standsByFor,
        int replication,
        int layers,
        int experts,
        int withoutCopy,
        int belowReplication,
        boolean settled,
        List<NodeStatus> nodes,
        List<String> alarms) {
    public ClusterStatus {
        nodes = List.copyOf(nodes);
        alarms = List.copyOf(alarms);
    }

    /// One expert worker.
    ///
    /// @param reason why it does not answer; empty if it does
    /// @param held what it holds, or held when it last answered
    /// @param wanted what it should hold
    /// @param soleCopies experts that only this one of the live workers holds
    /// @param heldBytes of its experts
    /// @param memoryBytes most that they may take
    /// @param bytesPerSecond that it reads of its memory; 0 if it has not measured that
    /// @param compute kernel class and threads, in words
    /// @param queued dispatches that wait
    /// @param started when its process started
    /// @param change what it is doing now
    public record NodeStatus(
            String name,
            String address,
            Life life,
            String reason,
            boolean cordoned,
            boolean draining,
            ExpertShard held,
            ExpertShard wanted,
            int soleCopies,
            long heldBytes,
            long memoryBytes,
            double bytesPerSecond,
            String compute,
            int queued,
            Optional<Instant> started,
            Optional<Change> change) {}

    /// A load or a release under way.
    ///
    /// @param kind `load` or `release`
    /// @param done experts so far
    /// @param since for how long
    public record Change(String kind, ExpertShard experts, int done, Duration since) {}
}
