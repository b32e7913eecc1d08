package io.atoll.cli.plan;

import io.atoll.cluster.placement.ExpertHeat;
import io.atoll.cluster.placement.ExpertNode;
import io.atoll.cluster.placement.ModelWork;
import io.atoll.cluster.placement.Placement;
import io.atoll.cluster.placement.PlacementGoal;
import io.atoll.cluster.placement.PlacementPlanner;
import io.atoll.cluster.placement.PlacementResult;
import io.atoll.cluster.placement.StepPrediction;
import io.atoll.cluster.placement.StepPrediction.Network;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/// A model on a set of machines.
///
/// @param attention the machine that runs the attention stack; its dense weights take from its memory
record ClusterPlan(
        ModelWork work,
        List<ExpertNode> nodes,
        ExpertNode attention,
        Network network,
        int replication,
        PlacementResult result) {
    /// Places the experts, all as often chosen as any other.
    static ClusterPlan of(
            ModelWork work,
            List<ExpertNode> nodes,
            String attention,
            Network network,
            int replication) {
        List<ExpertNode> forExperts = new ArrayList<>();
        for (ExpertNode node : nodes) {
            long dense = node.name().equals(attention) ? work.denseBytes() : 0;
            forExperts.add(
                    new ExpertNode(
                            node.name(),
                            Math.max(0, node.memoryBytes() - dense),
                            node.bytesPerSecond(),
                            node.rowsPerSecond(),
                            node.device()));
        }
        PlacementResult result =
                PlacementPlanner.plan(
                        forExperts,
                        work.experts(),
                        ExpertHeat.uniform(
                                work.experts().layers(),
                                work.experts().experts(),
                                work.expertsPerToken()),
                        PlacementGoal.DEFAULT.withReplication(replication),
                        Optional.empty());
        ExpertNode chosen =
                forExperts.stream()
                        .filter(node -> node.name().equals(attention))
                        .findFirst()
                        .orElseThrow();
        return new ClusterPlan(work, forExperts, chosen, network, replication, result);
    }

    /// The placement, if the experts fit.
    Optional<Placement> placement() {
        return result instanceof PlacementResult.Placed(Placement placement, int _)
                ? Optional.of(placement)
                : Optional.empty();
    }

    /// A step of as many sequences; empty if the experts do not fit.
    Optional<StepPrediction> step(int rows) {
        return placement()
                .map(placed -> StepPrediction.of(work, nodes, placed, attention, network, rows));
    }

    /// The same without a machine, with as many copies as the others have memory for.
    ClusterPlan without(String name, List<ExpertNode> machines) {
        List<ExpertNode> rest =
                machines.stream().filter(node -> !node.name().equals(name)).toList();
        int copies = Math.min(replication, rest.size());
        ClusterPlan plan = of(work, rest, attention.name(), network, copies);
        while (plan.placement().isEmpty() && copies > 1) {
            copies--;
            plan = of(work, rest, attention.name(), network, copies);
        }
        return plan;
    }

    /// The same with one machine more.
    ClusterPlan with(ExpertNode one, List<ExpertNode> machines) {
        List<ExpertNode> more = new ArrayList<>(machines);
        more.add(one);
        return of(work, more, attention.name(), network, replication);
    }
}
