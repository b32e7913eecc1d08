package io.atoll.benchmarks.placement;

import io.atoll.benchmarks.placement.RoutingTrace.Observed;
import io.atoll.cluster.placement.ExpertNode;
import io.atoll.cluster.placement.ExpertSizes;
import io.atoll.cluster.placement.Placement;
import io.atoll.cluster.placement.PlacementGoal;
import io.atoll.cluster.placement.PlacementPlanner;
import io.atoll.cluster.placement.PlacementResult;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;

/// How long the experts of a step take under the placements of different rules, over what perfect sharing would take, and how many
/// copies move when the routing shifts. It is simulated: weights read over the nodes' speed, and no network.
///
/// Optional argument: the seed (default 1).
public final class PlacementComparison {
    private static final int LAYERS = 4;
    private static final int EXPERTS = 256;
    private static final int PER_ROW = 8;
    private static final long EXPERT_BYTES = 1_769_472; // 35B in Q4_K (model spec K)
    private static final int OBSERVED_ROWS = 2000;
    private static final int STEPS = 50;
    private static final int SHIFTS = 5;
    private static final double SHIFTED = 0.1;
    private static final int[] BATCHES = {1, 8, 32};
    private static final List<String> RULES =
            List.of("in turn", "EPLB", "Atoll", "Atoll, pairs known");

    private PlacementComparison() {}

    /// @param memory of each node, in copies of the model
    private record Cluster(String name, double[] gigabytesPerSecond, double[] memory) {
        List<ExpertNode> nodes(ExpertSizes sizes) {
            List<ExpertNode> nodes = new ArrayList<>();
            for (int i = 0; i < memory.length; i++) {
                nodes.add(
                        ExpertNode.cpu(
                                "n" + i,
                                (long) (memory[i] * sizes.totalBytes()),
                                1e9 * gigabytesPerSecond[i]));
            }
            return nodes;
        }

        double bytesPerSecond() {
            double sum = 0;
            for (double rate : gigabytesPerSecond) {
                sum += 1e9 * rate;
            }
            return sum;
        }
    }

    public static void main(String[] arguments) {
        long seed = arguments.length > 0 ? Long.parseLong(arguments[0]) : 1;
        double[] four = {40, 40, 40, 40};
        double[] uneven = {80, 40, 40, 20};
        List<Cluster> clusters =
                List.of(
                        new Cluster("4 equal, no spare", four, new double[] {.25, .25, .25, .25}),
                        new Cluster(
                                "4 equal, 25 % spare",
                                four, new double[] {.3125, .3125, .3125, .3125}),
                        new Cluster("80, 40, 40, 20 GB/s", uneven, new double[] {.5, .3, .3, .25}));
        System.out.printf(
                "%-22s %5s %-20s %9s %9s %9s %9s %8s%n",
                "nodes", "skew", "rule", "batch 1", "batch 8", "batch 32", "moves", "ms");
        for (Cluster cluster : clusters) {
            for (double skew : new double[] {0.5, 1}) {
                for (int rule = 0; rule < RULES.size(); rule++) {
                    compare(cluster, skew, rule, seed);
                }
            }
        }
    }

    private static void compare(Cluster cluster, double skew, int rule, long seed) {
        ExpertSizes sizes = ExpertSizes.uniform(LAYERS, EXPERTS, EXPERT_BYTES);
        List<ExpertNode> nodes = cluster.nodes(sizes);
        RoutingTrace trace = new RoutingTrace(seed, LAYERS, EXPERTS, PER_ROW, skew);
        Optional<Placement> placement = Optional.empty();
        double[] ratio = new double[BATCHES.length];
        int moves = 0;
        long nanos = 0;
        for (int round = 0; round <= SHIFTS; round++) {
            Observed observed = trace.observe(OBSERVED_ROWS);
            long start = System.nanoTime();
            Placement next = place(rule, nodes, sizes, observed, placement);
            nanos += System.nanoTime() - start;
            moves += placement.map(next::copiesAddedTo).orElse(0);
            placement = Optional.of(next);
            for (int i = 0; i < BATCHES.length; i++) {
                ratio[i] +=
                        overPerfect(next, cluster, nodes, sizes, trace, BATCHES[i]) / (SHIFTS + 1);
            }
            trace.shift(SHIFTED);
        }
        System.out.printf(
                Locale.ROOT,
                "%-22s %5.1f %-20s %9.2f %9.2f %9.2f %9.0f %8.0f%n",
                cluster.name,
                skew,
                RULES.get(rule),
                ratio[0],
                ratio[1],
                ratio[2],
                (double) moves / SHIFTS,
                nanos / 1e6 / (SHIFTS + 1));
    }

    private static Placement place(
            int rule,
            List<ExpertNode> nodes,
            ExpertSizes sizes,
            Observed observed,
            Optional<Placement> current) {
        if (rule == 0) {
            return Baselines.inTurn(nodes, sizes, 1);
        }
        if (rule == 1) {
            long least = nodes.stream().mapToLong(ExpertNode::memoryBytes).min().orElseThrow();
            int slots = (int) (least / (EXPERT_BYTES * LAYERS));
            return Baselines.eplb(nodes, observed.chosen(), slots);
        }
        PlacementResult result =
                PlacementPlanner.plan(
                        nodes, sizes, observed.heat(rule == 3), PlacementGoal.DEFAULT, current);
        return switch (result) {
            case PlacementResult.Placed(var placement, _) -> placement;
            case PlacementResult.TooFewNodes refused -> throw refused(refused);
            case PlacementResult.TooLittleMemory refused -> throw refused(refused);
        };
    }

    private static IllegalStateException refused(PlacementResult result) {
        return new IllegalStateException(result.toString());
    }

    /// Time of the slowest node over that of all nodes sharing the bytes perfectly; mean over steps and layers.
    private static double overPerfect(
            Placement placement,
            Cluster cluster,
            List<ExpertNode> nodes,
            ExpertSizes sizes,
            RoutingTrace trace,
            int rows) {
        double taken = 0;
        double perfect = 0;
        for (int step = 0; step < STEPS; step++) {
            for (int layer = 0; layer < LAYERS; layer++) {
                int[] touched = trace.step(layer, rows);
                taken += placement.layerSeconds(nodes, sizes, layer, touched);
                perfect += (double) touched.length * EXPERT_BYTES / cluster.bytesPerSecond();
            }
        }
        return taken / perfect;
    }
}
