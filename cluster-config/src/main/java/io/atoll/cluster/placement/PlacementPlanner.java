package io.atoll.cluster.placement;

import io.atoll.cluster.placement.PlacementResult.Placed;
import io.atoll.cluster.placement.PlacementResult.TooFewNodes;
import io.atoll.cluster.placement.PlacementResult.TooLittleMemory;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;

/// Decides which node holds which expert.
///
/// Each layer gets its part of every node's memory ([MemoryQuotas]) and is then planned for itself ([LayerPlanner]): what is in
/// place already stays, missing copies are added, memory to spare takes replicas of the hottest experts, and copies move while
/// that shortens the layer enough. The same input gives the same placement, whatever the order of the nodes.
public final class PlacementPlanner {
    private PlacementPlanner() {}

    /// Plans a placement, from `current` if there is one.
    ///
    /// @param nodes may lack some of `current`'s: those are gone
    /// @throws IllegalArgumentException if a name is there twice, or heat, sizes and `current` are of different models
    public static PlacementResult plan(
            List<ExpertNode> nodes,
            ExpertSizes sizes,
            ExpertHeat heat,
            PlacementGoal goal,
            Optional<Placement> current) {
        List<ExpertNode> sorted =
                nodes.stream().sorted(Comparator.comparing(ExpertNode::name)).toList();
        check(sorted, sizes, heat, current);
        if (sorted.size() < goal.replication()) {
            return new TooFewNodes(goal.replication(), sorted.size());
        }
        Optional<int[][]> quotas = MemoryQuotas.share(sorted, sizes, goal.replication());
        if (quotas.isEmpty()) {
            long had =
                    sorted.stream()
                            .mapToLong(node -> Math.min(node.memoryBytes(), sizes.totalBytes()))
                            .reduce(0, Math::addExact);
            return new TooLittleMemory(
                    Math.multiplyExact(sizes.totalBytes(), goal.replication()), had);
        }
        List<List<List<String>>> layers = new ArrayList<>();
        for (int layer = 0; layer < sizes.layers(); layer++) {
            layers.add(
                    new LayerPlanner(sorted, sizes, heat, goal, layer, quotas.get()[layer])
                            .plan(current));
        }
        Placement placement = new Placement(layers);
        int moved = current.map(placement::copiesAddedTo).orElse(copies(placement));
        return new Placed(placement, moved);
    }

    private static int copies(Placement placement) {
        int copies = 0;
        for (int layer = 0; layer < placement.layers(); layer++) {
            for (int expert = 0; expert < placement.experts(); expert++) {
                copies += placement.holders(layer, expert).size();
            }
        }
        return copies;
    }

    private static void check(
            List<ExpertNode> sorted,
            ExpertSizes sizes,
            ExpertHeat heat,
            Optional<Placement> current) {
        for (int i = 1; i < sorted.size(); i++) {
            if (sorted.get(i).name().equals(sorted.get(i - 1).name())) {
                throw new IllegalArgumentException("two nodes named " + sorted.get(i).name());
            }
        }
        if (heat.layers() != sizes.layers()) {
            throw new IllegalArgumentException(
                    "heat of " + heat.layers() + " layers for " + sizes.layers());
        }
        for (int layer = 0; layer < heat.layers(); layer++) {
            if (heat.experts(layer) != sizes.experts()) {
                throw new IllegalArgumentException(
                        "layer="
                                + layer
                                + ": heat of "
                                + heat.experts(layer)
                                + " experts for "
                                + sizes.experts());
            }
        }
        current.ifPresent(
                placement -> {
                    if (placement.layers() != sizes.layers()
                            || placement.experts() != sizes.experts()) {
                        throw new IllegalArgumentException(
                                "current placement of "
                                        + placement.layers()
                                        + " layers of "
                                        + placement.experts()
                                        + " experts for "
                                        + sizes.layers()
                                        + " of "
                                        + sizes.experts());
                    }
                });
    }
}
