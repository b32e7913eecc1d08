package io.atoll.coordinator.cluster;

import io.atoll.cluster.placement.ExpertHeat;
import io.atoll.cluster.placement.ExpertNode;
import io.atoll.cluster.placement.ExpertShard;
import io.atoll.cluster.placement.ExpertSizes;
import io.atoll.cluster.placement.Placement;
import io.atoll.cluster.placement.PlacementGoal;
import io.atoll.cluster.placement.PlacementPlanner;
import io.atoll.cluster.placement.PlacementResult;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/// What a rebalance comes to.
///
/// @param copies that have to be loaded
/// @param bytes of them
/// @param now what each worker should hold, by name
/// @param then what it should hold afterwards
/// @param applied whether it is under way
public record Rebalance(
        int copies,
        long bytes,
        Map<String, ExpertShard> now,
        Map<String, ExpertShard> then,
        boolean applied) {
    /// Of workers that have not measured themselves; only ratios matter.
    private static final double SAME_SPEED = 1e9;

    public Rebalance {
        now = Map.copyOf(now);
        then = Map.copyOf(then);
    }

    /// Plans by heat, from what is wanted now.
    static Rebalance plan(
            List<WorkerRecord> workers,
            ExpertSizes sizes,
            ExpertHeat heat,
            int replication,
            boolean applied)
            throws RefusedException {
        Map<String, ExpertShard> now = new HashMap<>();
        List<ExpertNode> nodes = new ArrayList<>();
        boolean measured = workers.stream().allMatch(worker -> worker.bytesPerSecond() > 0);
        for (WorkerRecord worker : workers) {
            now.put(worker.name(), worker.wanted);
            nodes.add(
                    ExpertNode.cpu(
                            worker.name(),
                            worker.memoryBytes(),
                            measured ? worker.bytesPerSecond() : SAME_SPEED));
        }
        PlacementResult result =
                PlacementPlanner.plan(
                        nodes,
                        sizes,
                        heat,
                        PlacementGoal.DEFAULT.withReplication(
                                Math.min(replication, workers.size())),
                        current(now, sizes));
        if (!(result instanceof PlacementResult.Placed(Placement placement, int _))) {
            throw new RefusedException("no placement: " + result);
        }
        Map<String, ExpertShard> then = new HashMap<>();
        int copies = 0;
        long bytes = 0;
        for (WorkerRecord worker : workers) {
            ExpertShard shard = placement.shard(worker.name());
            then.put(worker.name(), shard);
            ExpertShard missing = shard.without(worker.held);
            copies += missing.size();
            bytes += sizes.bytes(missing);
        }
        return new Rebalance(copies, bytes, now, then, applied);
    }

    /// The placement that is wanted, if it has every expert.
    private static Optional<Placement> current(Map<String, ExpertShard> wanted, ExpertSizes sizes) {
        List<String> names = wanted.keySet().stream().sorted().toList();
        List<List<List<String>>> layers = new ArrayList<>();
        for (int layer = 0; layer < sizes.layers(); layer++) {
            List<List<String>> experts = new ArrayList<>();
            for (int expert = 0; expert < sizes.experts(); expert++) {
                List<String> holders = new ArrayList<>();
                for (String name : names) {
                    if (wanted.get(name).holds(layer, expert)) {
                        holders.add(name);
                    }
                }
                if (holders.isEmpty()) {
                    return Optional.empty();
                }
                experts.add(holders);
            }
            layers.add(experts);
        }
        return Optional.of(new Placement(layers));
    }

    @Override
    public String toString() {
        return copies + " copies to load, " + bytes + " bytes";
    }
}
