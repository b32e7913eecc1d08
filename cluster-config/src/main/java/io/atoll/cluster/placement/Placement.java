package io.atoll.cluster.placement;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Set;

/// Which nodes hold each expert of each layer: a non-empty list, the preferred one first. Immutable.
public final class Placement {
    private final List<List<List<String>>> holders; // [layers][experts] -> names

    /// @param holders `[layers][experts]`, the names of the nodes; copied
    /// @throws IllegalArgumentException if an expert is nowhere, or twice on a node, or layers differ in size
    public Placement(List<List<List<String>>> holders) {
        List<List<List<String>>> copy = new ArrayList<>();
        for (List<List<String>> layer : holders) {
            if (layer.size() != holders.getFirst().size()) {
                throw new IllegalArgumentException(
                        "layer="
                                + copy.size()
                                + " has "
                                + layer.size()
                                + " experts, layer 0 "
                                + holders.getFirst().size());
            }
            List<List<String>> experts = new ArrayList<>();
            for (List<String> names : layer) {
                if (names.isEmpty() || new HashSet<>(names).size() != names.size()) {
                    throw new IllegalArgumentException(
                            "layer="
                                    + copy.size()
                                    + " expert="
                                    + experts.size()
                                    + ": not a list of different nodes: "
                                    + names);
                }
                experts.add(List.copyOf(names));
            }
            copy.add(List.copyOf(experts));
        }
        this.holders = List.copyOf(copy);
    }

    public int layers() {
        return holders.size();
    }

    public int experts() {
        return holders.isEmpty() ? 0 : holders.getFirst().size();
    }

    /// The nodes that hold an expert, the preferred one first.
    public List<String> holders(int layer, int expert) {
        return holders.get(layer).get(expert);
    }

    /// What one node holds.
    public ExpertShard shard(String node) {
        List<ExpertShard.LayerRange> ranges = new ArrayList<>();
        for (int layer = 0; layer < layers(); layer++) {
            for (int expert = 0; expert < experts(); expert++) {
                if (holders(layer, expert).contains(node)) {
                    ranges.add(new ExpertShard.LayerRange(layer, expert, expert));
                }
            }
        }
        return ExpertShard.of(layers(), experts(), ranges);
    }

    /// Bytes of experts on a node.
    public long bytes(String node, ExpertSizes sizes) {
        return sizes.bytes(shard(node));
    }

    /// Copies that are here and were not in `before`: what has to travel. A change of order moves nothing.
    public int copiesAddedTo(Placement before) {
        int added = 0;
        for (int layer = 0; layer < layers(); layer++) {
            for (int expert = 0; expert < experts(); expert++) {
                Set<String> had = Set.copyOf(before.holders(layer, expert));
                added +=
                        (int) holders(layer, expert).stream().filter(n -> !had.contains(n)).count();
            }
        }
        return added;
    }

    /// Seconds that the experts of one layer take in a step that needs `touched`: each is read once by one of its holders, those
    /// with the fewest holders first, by the one that is done soonest then; the last node to finish counts.
    ///
    /// @param nodes all of this placement's
    /// @param touched distinct experts
    public double layerSeconds(
            List<ExpertNode> nodes, ExpertSizes sizes, int layer, int[] touched) {
        double[] busy = new double[nodes.size()];
        List<String> names = nodes.stream().map(ExpertNode::name).toList();
        Integer[] order = Arrays.stream(touched).boxed().toArray(Integer[]::new);
        Arrays.sort(
                order,
                (a, b) -> Integer.compare(holders(layer, a).size(), holders(layer, b).size()));
        for (int expert : order) {
            int best = -1;
            double soonest = Double.MAX_VALUE;
            for (String holder : holders(layer, expert)) {
                int node = names.indexOf(holder);
                double end =
                        busy[node] + nodes.get(node).seconds(sizes.expertBytes().get(layer), 1, 1);
                if (end < soonest) {
                    soonest = end;
                    best = node;
                }
            }
            busy[best] = soonest;
        }
        return Arrays.stream(busy).max().orElse(0);
    }

    @Override
    public boolean equals(Object other) {
        return other instanceof Placement placement && placement.holders.equals(holders);
    }

    @Override
    public int hashCode() {
        return holders.hashCode();
    }
}
