package io.atoll.cluster.placement;

import io.atoll.cluster.placement.ExpertShard.LayerRange;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/// Says what nodes have to load and may release, so that they come to hold what they should, and every expert keeps its copies
/// while nodes fail, leave and return.
///
/// It is pure and remembers nothing: asked again after each change, it goes on from what is held then. The order makes a change
/// safe: a copy is released only when enough others are *held*, not only planned, so loads come first and a failure between
/// leaves a copy too many, never one too few.
public final class Reconciler {
    private Reconciler() {}

    /// What is known of a node's life.
    public enum Life {
        /// It answers.
        LIVE,
        /// It does not answer and may be back soon: its copies count, but not as the only ones.
        AWAY,
        /// It is given up.
        GONE
    }

    /// One node.
    ///
    /// @param name unique
    /// @param reached whether everybody who sends rows has a stream to it; until then its copies let no other one go
    /// @param takesNew whether copies may be put on it that nobody asked for
    /// @param leaves whether all that it holds should be elsewhere
    /// @param held what it holds, or held when it last answered
    /// @param wanted what it should hold
    /// @param memoryBytes most that its experts may take
    public record Node(
            String name,
            Life life,
            boolean reached,
            boolean takesNew,
            boolean leaves,
            ExpertShard held,
            ExpertShard wanted,
            long memoryBytes) {}

    /// What is to be done.
    ///
    /// @param loads by node; in no order among nodes
    /// @param releases by node, of copies that are too many now
    /// @param homeless experts that lack a copy for which no node has room
    public record Plan(
            Map<String, ExpertShard> loads, Map<String, ExpertShard> releases, int homeless) {
        /// Nothing to do, and nothing that could not be done.
        public boolean isSettled() {
            return loads.isEmpty() && releases.isEmpty() && homeless == 0;
        }
    }

    /// Makes the plan.
    ///
    /// @param nodes all there are, at least one, of one model
    /// @param replication copies that each expert should have, as far as there are nodes for them
    public static Plan plan(List<Node> nodes, int replication, ExpertSizes sizes) {
        return new Planning(nodes, replication, sizes).plan();
    }

    /// The work of one call. Arrays are by node.
    private static final class Planning {
        private final List<Node> nodes;
        private final ExpertSizes sizes;
        private final int copies;
        private final long[] bytes; // held and to be loaded
        private final List<List<LayerRange>> loads = new ArrayList<>();
        private final List<List<LayerRange>> releases = new ArrayList<>();
        private int homeless;

        Planning(List<Node> nodes, int replication, ExpertSizes sizes) {
            this.nodes = nodes.stream().sorted(Comparator.comparing(Node::name)).toList();
            this.sizes = sizes;
            long staying = nodes.stream().filter(n -> n.life != Life.GONE && !n.leaves).count();
            copies = (int) Math.max(1, Math.min(replication, staying));
            bytes = new long[nodes.size()];
            for (int i = 0; i < bytes.length; i++) {
                bytes[i] = sizes.bytes(this.nodes.get(i).held);
                loads.add(new ArrayList<>());
                releases.add(new ArrayList<>());
            }
        }

        Plan plan() {
            for (int layer = 0; layer < sizes.layers(); layer++) {
                for (int expert = 0; expert < sizes.experts(); expert++) {
                    load(layer, expert);
                    release(layer, expert);
                }
            }
            return new Plan(shards(loads), shards(releases), homeless);
        }

        private void load(int layer, int expert) {
            int live = 0;
            int counted = 0;
            boolean failed = false;
            for (int i = 0; i < nodes.size(); i++) {
                Node node = nodes.get(i);
                if (node.leaves || node.life == Life.GONE) {
                    continue;
                }
                boolean has = node.held.holds(layer, expert);
                if (node.life == Life.LIVE && !has && node.wanted.holds(layer, expert)) {
                    has = put(i, layer, expert);
                    failed |= !has;
                }
                if (has) {
                    counted++;
                    live += node.life == Life.LIVE ? 1 : 0;
                }
            }
            // A node that leaves serves until its copies are elsewhere, but does not count.
            int missing = live == 0 ? Math.max(1, copies - counted) : copies - counted;
            for (int i = 0; i < missing; i++) {
                int target = emptiest(layer, expert);
                if (target < 0) {
                    failed = true;
                    break;
                }
                put(target, layer, expert);
            }
            homeless += failed ? 1 : 0;
        }

        private boolean put(int node, int layer, int expert) {
            long size = sizes.expertBytes().get(layer);
            if (bytes[node] + size > nodes.get(node).memoryBytes) {
                return false;
            }
            bytes[node] += size;
            loads.get(node).add(new LayerRange(layer, expert, expert));
            return true;
        }

        /// The node with the largest part of its memory free that could take one more copy, or -1.
        private int emptiest(int layer, int expert) {
            int best = -1;
            double most = -1;
            for (int i = 0; i < nodes.size(); i++) {
                Node node = nodes.get(i);
                double free =
                        1 - (double) (bytes[i] + sizes.expertBytes().get(layer)) / node.memoryBytes;
                if (node.life == Life.LIVE
                        && node.takesNew
                        && !node.leaves
                        && !node.held.holds(layer, expert)
                        && !isLoaded(i, layer, expert)
                        && free >= 0
                        && free > most) {
                    most = free;
                    best = i;
                }
            }
            return best;
        }

        private boolean isLoaded(int node, int layer, int expert) {
            List<LayerRange> planned = loads.get(node);
            return !planned.isEmpty()
                    && planned.getLast().equals(new LayerRange(layer, expert, expert));
        }

        /// Copies that nobody asked for, and those of nodes that leave, go once enough others are there.
        private void release(int layer, int expert) {
            int staying = 0;
            for (Node node : nodes) {
                if (node.life == Life.LIVE
                        && node.reached
                        && !node.leaves
                        && node.held.holds(layer, expert)) {
                    staying++;
                }
            }
            for (int i = nodes.size() - 1; i >= 0; i--) {
                Node node = nodes.get(i);
                if (node.life != Life.LIVE || !node.held.holds(layer, expert)) {
                    continue;
                }
                if (node.leaves) {
                    if (staying >= copies) {
                        releases.get(i).add(new LayerRange(layer, expert, expert));
                    }
                } else if (!node.wanted.holds(layer, expert)
                        && staying - (node.reached ? 1 : 0) >= copies) {
                    staying -= node.reached ? 1 : 0;
                    releases.get(i).add(new LayerRange(layer, expert, expert));
                }
            }
        }

        private Map<String, ExpertShard> shards(List<List<LayerRange>> byNode) {
            Map<String, ExpertShard> shards = new HashMap<>();
            for (int i = 0; i < nodes.size(); i++) {
                if (!byNode.get(i).isEmpty()) {
                    shards.put(
                            nodes.get(i).name,
                            ExpertShard.of(sizes.layers(), sizes.experts(), byNode.get(i)));
                }
            }
            return Map.copyOf(shards);
        }
    }
}
