package io.atoll.benchmarks.placement;

import io.atoll.cluster.placement.ExpertNode;
import io.atoll.cluster.placement.ExpertSizes;
import io.atoll.cluster.placement.Placement;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.stream.IntStream;

/// What the planner is compared with. Both give each node the same number of copies, as their rules do.
final class Baselines {
    private Baselines() {}

    /// Expert `e` goes to node `e mod n`, its further copies to the nodes after that. Memory to spare stays empty.
    static Placement inTurn(List<ExpertNode> nodes, ExpertSizes sizes, int replication) {
        List<List<List<String>>> layers = new ArrayList<>();
        for (int layer = 0; layer < sizes.layers(); layer++) {
            List<List<String>> experts = new ArrayList<>();
            for (int expert = 0; expert < sizes.experts(); expert++) {
                int first = expert;
                experts.add(
                        IntStream.range(0, replication)
                                .mapToObj(i -> nodes.get((first + i) % nodes.size()).name())
                                .toList());
            }
            layers.add(experts);
        }
        return new Placement(layers);
    }

    /// DeepSeek's expert parallelism load balancer, global policy (its published description, DeepSeek-V3 section 3.4.2 and the EPLB
    /// notes): each slot beyond one an expert goes to the expert with the most load a copy; then the copies, heaviest first, go to
    /// the node with the least load that has slots left. Nothing keeps two copies of an expert from one node; they count
    /// as one here, since a node reads an expert once.
    ///
    /// @param load `[layers][experts]`, what each expert was chosen
    /// @param slots copies of a layer on each node; all nodes together have one for each expert at least
    static Placement eplb(List<ExpertNode> nodes, double[][] load, int slots) {
        List<List<List<String>>> layers = new ArrayList<>();
        for (double[] layer : load) {
            layers.add(pack(nodes, layer, copies(layer, slots * nodes.size()), slots));
        }
        return new Placement(layers);
    }

    private static int[] copies(double[] load, int slots) {
        int[] copies = new int[load.length];
        Arrays.fill(copies, 1);
        for (int slot = load.length; slot < slots; slot++) {
            int most = 0;
            for (int expert = 1; expert < load.length; expert++) {
                if (load[expert] / copies[expert] > load[most] / copies[most]) {
                    most = expert;
                }
            }
            copies[most]++;
        }
        return copies;
    }

    private static List<List<String>> pack(
            List<ExpertNode> nodes, double[] load, int[] copies, int slots) {
        List<Integer> items = new ArrayList<>();
        for (int expert = 0; expert < load.length; expert++) {
            for (int copy = 0; copy < copies[expert]; copy++) {
                items.add(expert);
            }
        }
        items.sort(Comparator.comparingDouble(expert -> -load[expert] / copies[expert]));
        double[] sum = new double[nodes.size()];
        int[] used = new int[nodes.size()];
        List<List<String>> holders = new ArrayList<>();
        for (int expert = 0; expert < load.length; expert++) {
            holders.add(new ArrayList<>());
        }
        for (int expert : items) {
            int least = -1;
            for (int node = 0; node < nodes.size(); node++) {
                if (used[node] < slots && (least < 0 || sum[node] < sum[least])) {
                    least = node;
                }
            }
            used[least]++;
            sum[least] += load[expert] / copies[expert];
            String name = nodes.get(least).name();
            if (!holders.get(expert).contains(name)) {
                holders.get(expert).add(name);
            }
        }
        return holders;
    }
}
