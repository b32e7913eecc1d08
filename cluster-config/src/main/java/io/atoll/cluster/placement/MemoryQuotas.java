package io.atoll.cluster.placement;

import java.util.List;
import java.util.Optional;

/// Shares out each node's memory among the layers, as evenly as whole experts allow: layers run one after the other, so each
/// wants its part of every machine. Once the quotas stand, layers are planned independently.
final class MemoryQuotas {
    private MemoryQuotas() {}

    /// Copies that each node may hold of each layer, `[layers][nodes]`.
    ///
    /// @return nothing if a layer does not get `replication` copies of every expert on different nodes
    static Optional<int[][]> share(List<ExpertNode> nodes, ExpertSizes sizes, int replication) {
        int[][] quotas = new int[sizes.layers()][nodes.size()];
        long[] copies = new long[sizes.layers()];
        for (int node = 0; node < nodes.size(); node++) {
            long memory = nodes.get(node).memoryBytes();
            double fraction = Math.min(1, (double) memory / sizes.totalBytes());
            long free = memory;
            for (int layer = 0; layer < sizes.layers(); layer++) {
                long bytes = sizes.expertBytes().get(layer);
                int quota = (int) Math.min((long) (fraction * sizes.experts()), free / bytes);
                quotas[layer][node] = quota;
                copies[layer] += quota;
                free -= quota * bytes;
            }
            giveTheRest(quotas, copies, node, free, sizes);
        }
        for (long layer : copies) {
            if (layer < (long) replication * sizes.experts()) {
                return Optional.empty();
            }
        }
        return Optional.of(quotas);
    }

    /// Single copies to the layers that have the fewest so far, which evens out what rounding took. A layer gets at most one more
    /// of a node.
    private static void giveTheRest(
            int[][] quotas, long[] copies, int node, long free, ExpertSizes sizes) {
        boolean[] given = new boolean[sizes.layers()];
        long left = free;
        while (true) {
            int poorest = -1;
            for (int layer = 0; layer < sizes.layers(); layer++) {
                boolean fits =
                        !given[layer]
                                && quotas[layer][node] < sizes.experts()
                                && sizes.expertBytes().get(layer) <= left;
                if (fits && (poorest < 0 || copies[layer] < copies[poorest])) {
                    poorest = layer;
                }
            }
            if (poorest < 0) {
                return;
            }
            given[poorest] = true;
            quotas[poorest][node]++;
            copies[poorest]++;
            left -= sizes.expertBytes().get(poorest);
        }
    }
}
