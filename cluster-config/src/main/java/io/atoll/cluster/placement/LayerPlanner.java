package io.atoll.cluster.placement;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.Comparator;
import java.util.Deque;
import java.util.List;
import java.util.Optional;
import java.util.stream.IntStream;

/// Plans one layer within the quotas of its nodes; used once.
///
/// An expert on several nodes is read by one of them a step, by each as often as it is faster than the others: its holders share
/// its cost so that each spends the same time on it. A node's load is the sum of those times, and of what experts that fire
/// together add when they share a node. The layer ends with its most loaded node, so that load is what goes down.
final class LayerPlanner {
    /// Experts of the most loaded node that are tried: those that cost it most.
    private static final int TRIED = 8;

    /// Ends the improvement of a layer, if nothing else does.
    private static final int MAX_STEPS = 64;

    private final List<ExpertNode> nodes;
    private final ExpertHeat heat;
    private final int layer;
    private final int experts;
    private final int replication;
    private final double moveGain;
    private final int[] quota; // [nodes]
    private final double[] readSeconds; // [nodes], of one expert for certain
    private final double[][] seconds; // [nodes][experts], if that node alone held it
    private final boolean[][] holds; // [nodes][experts]
    private final int[] held; // [nodes]
    private final int[] copies; // [experts]
    private final double[] load; // [nodes]
    private final int[] hottestFirst;

    LayerPlanner(
            List<ExpertNode> nodes,
            ExpertSizes sizes,
            ExpertHeat heat,
            PlacementGoal goal,
            int layer,
            int[] quota) {
        this.nodes = nodes;
        this.heat = heat;
        this.layer = layer;
        this.quota = quota;
        experts = sizes.experts();
        replication = goal.replication();
        moveGain = goal.moveGain();
        readSeconds = new double[nodes.size()];
        seconds = new double[nodes.size()][experts];
        holds = new boolean[nodes.size()][experts];
        held = new int[nodes.size()];
        copies = new int[experts];
        load = new double[nodes.size()];
        long bytes = sizes.expertBytes().get(layer);
        for (int node = 0; node < nodes.size(); node++) {
            readSeconds[node] = nodes.get(node).seconds(bytes, 1, 1);
            for (int expert = 0; expert < experts; expert++) {
                seconds[node][expert] =
                        nodes.get(node)
                                .seconds(
                                        bytes,
                                        heat.touched(layer, expert, goal.stepRows()),
                                        heat.chosen(layer, expert) * goal.stepRows());
            }
        }
        hottestFirst =
                IntStream.range(0, experts)
                        .boxed()
                        .sorted(Comparator.comparingDouble(expert -> -heat.chosen(layer, expert)))
                        .mapToInt(Integer::intValue)
                        .toArray();
    }

    /// The holders of each expert.
    List<List<String>> plan(Optional<Placement> current) {
        current.ifPresent(this::keep);
        addMissing();
        fillSpare();
        improve(current.isPresent() ? moveGain : 0);
        return holders();
    }

    /// Takes over what is in place. A node over its quota gives up experts that have the most copies, the coldest of them first.
    private void keep(Placement current) {
        for (int expert = 0; expert < experts; expert++) {
            for (int node = 0; node < nodes.size(); node++) {
                if (current.holders(layer, expert).contains(nodes.get(node).name())) {
                    add(node, expert);
                }
            }
        }
        for (int node = 0; node < nodes.size(); node++) {
            while (held[node] > quota[node]) {
                int most = -1;
                for (int i = experts - 1; i >= 0; i--) {
                    int expert = hottestFirst[i];
                    if (holds[node][expert] && (most < 0 || copies[expert] > copies[most])) {
                        most = expert;
                    }
                }
                remove(node, most);
            }
        }
    }

    /// Gives every expert its copies, the hottest first, each to the node that is least loaded with it.
    private void addMissing() {
        for (int expert : hottestFirst) {
            while (copies[expert] < replication) {
                int node = leastLoadedWithRoom(expert);
                if (node >= 0) {
                    add(node, expert);
                } else {
                    makeRoom(expert);
                }
            }
        }
    }

    /// The node with room for the expert on which it costs least, or -1.
    private int leastLoadedWithRoom(int expert) {
        int best = -1;
        double least = Double.MAX_VALUE;
        for (int node = 0; node < nodes.size(); node++) {
            if (!holds[node][expert] && held[node] < quota[node]) {
                double after = load[node] + seconds[node][expert] + company(node, expert);
                if (after < least) {
                    least = after;
                    best = node;
                }
            }
        }
        return best;
    }

    /// Adds a copy of an expert where every node without it is full: the shortest chain of experts, each taking the place of the
    /// next, to a node with room or to a copy that replication does not ask for (an augmenting path, Ford and Fulkerson). The quotas
    /// admit a placement, so there is one.
    private void makeRoom(int wanted) {
        int[] reachedBy = new int[nodes.size()]; // the expert that would come to a node
        int[] leaves = new int[experts]; // the node that an expert would leave
        Arrays.fill(reachedBy, -1);
        Arrays.fill(leaves, -1);
        Deque<Integer> waiting = new ArrayDeque<>(List.of(wanted));
        while (!waiting.isEmpty()) {
            int coming = waiting.remove();
            for (int node = 0; node < nodes.size(); node++) {
                if (holds[node][coming] || reachedBy[node] >= 0) {
                    continue;
                }
                reachedBy[node] = coming;
                if (held[node] < quota[node]) {
                    shift(node, wanted, reachedBy, leaves);
                    return;
                }
                for (int i = experts - 1; i >= 0; i--) {
                    int going = hottestFirst[i];
                    if (holds[node][going] && copies[going] > replication) {
                        remove(node, going);
                        shift(node, wanted, reachedBy, leaves);
                        return;
                    }
                    if (holds[node][going] && leaves[going] < 0 && going != wanted) {
                        leaves[going] = node;
                        waiting.add(going);
                    }
                }
            }
        }
        throw new IllegalStateException("no room for layer=" + layer + " expert=" + wanted);
    }

    private void shift(int last, int wanted, int[] reachedBy, int[] leaves) {
        int node = last;
        while (reachedBy[node] != wanted) {
            int expert = reachedBy[node];
            remove(leaves[expert], expert);
            add(node, expert);
            node = leaves[expert];
        }
        add(node, wanted);
    }

    /// Fills the quotas: always one more copy of the expert that costs each of its holders most.
    private void fillSpare() {
        int hottest = mostCostlyWithRoom();
        while (hottest >= 0) {
            add(leastLoadedWithRoom(hottest), hottest);
            hottest = mostCostlyWithRoom();
        }
    }

    private int mostCostlyWithRoom() {
        int most = -1;
        for (int expert : hottestFirst) {
            boolean more = most < 0 || share(expert) > share(most);
            if (more && leastLoadedWithRoom(expert) >= 0) {
                most = expert;
            }
        }
        return most;
    }

    /// Changes copies of the most loaded node while that shortens the layer by `gain` of it for each copy that moves.
    private void improve(double gain) {
        for (int step = 0; step < MAX_STEPS; step++) {
            double before = longest();
            Change best = new Change(-1, -1, -1, -1, false, before);
            for (Change change : changes()) {
                apply(change);
                double after = longest() + gain * before * (change.swap ? 2 : 1);
                undo(change);
                if (after < best.after * (1 - 1e-9)) { // more than rounding
                    best = change.withAfter(after);
                }
            }
            if (best.from < 0) {
                return;
            }
            apply(best);
        }
    }

    /// Node `to` drops `other` for a copy of `expert`; in a swap, `from` takes `other` and drops `expert`.
    private record Change(int from, int expert, int to, int other, boolean swap, double after) {
        Change withAfter(double seconds) {
            return new Change(from, expert, to, other, swap, seconds);
        }
    }

    private List<Change> changes() {
        int from = 0;
        for (int node = 1; node < nodes.size(); node++) {
            from = load[node] > load[from] ? node : from;
        }
        int busiest = from;
        List<Change> changes = new ArrayList<>();
        IntStream.range(0, experts)
                .filter(expert -> holds[busiest][expert])
                .boxed()
                .sorted(
                        Comparator.comparingDouble(
                                expert -> -(share(expert) + company(busiest, expert))))
                .limit(TRIED)
                .forEach(expert -> addChanges(changes, busiest, expert));
        return changes;
    }

    private void addChanges(List<Change> changes, int from, int expert) {
        for (int to = 0; to < nodes.size(); to++) {
            if (!holds[to][expert]) {
                addChanges(changes, from, expert, to);
            }
        }
    }

    private void addChanges(List<Change> changes, int from, int expert, int to) {
        for (int other = 0; other < experts; other++) {
            if (holds[to][other] && copies[other] > replication) {
                changes.add(new Change(from, expert, to, other, false, 0));
            }
            if (holds[to][other] && !holds[from][other]) {
                changes.add(new Change(from, expert, to, other, true, 0));
            }
        }
    }

    private void apply(Change change) {
        remove(change.to, change.other);
        add(change.to, change.expert);
        if (change.swap) {
            remove(change.from, change.expert);
            add(change.from, change.other);
        }
    }

    private void undo(Change change) {
        if (change.swap) {
            remove(change.from, change.other);
            add(change.from, change.expert);
        }
        remove(change.to, change.expert);
        add(change.to, change.other);
    }

    private double longest() {
        return Arrays.stream(load).max().orElse(0);
    }

    private void add(int node, int expert) {
        double before = share(expert);
        load[node] += company(node, expert);
        holds[node][expert] = true;
        held[node]++;
        copies[expert]++;
        load[node] += before;
        addToHolders(expert, share(expert) - before);
    }

    private void remove(int node, int expert) {
        double before = share(expert);
        holds[node][expert] = false;
        held[node]--;
        copies[expert]--;
        load[node] -= before + company(node, expert);
        addToHolders(expert, share(expert) - before);
    }

    private void addToHolders(int expert, double change) {
        for (int node = 0; node < nodes.size(); node++) {
            if (holds[node][expert]) {
                load[node] += change;
            }
        }
    }

    /// What an expert costs each of its holders; 0 if it has none.
    private double share(int expert) {
        double rate = 0;
        for (int node = 0; node < nodes.size(); node++) {
            if (holds[node][expert]) {
                rate += 1 / seconds[node][expert];
            }
        }
        return rate == 0 ? 0 : 1 / rate;
    }

    /// What experts of the node cost more because this one fires with them.
    private double company(int node, int expert) {
        double together = 0;
        if (heat.knowsPairs()) {
            for (int other = 0; other < experts; other++) {
                if (holds[node][other] && other != expert) {
                    together += heat.together(layer, expert, other);
                }
            }
        }
        return together * readSeconds[node];
    }

    /// Names, the preferred first: first places are dealt out so that they alone balance the layer, to experts without a choice
    /// before the others.
    private List<List<String>> holders() {
        double[] first = new double[nodes.size()];
        List<List<String>> names = new ArrayList<>(Collections.nCopies(experts, List.of()));
        List<Integer> leastChoiceFirst =
                Arrays.stream(hottestFirst)
                        .boxed()
                        .sorted(Comparator.comparingInt(expert -> copies[expert]))
                        .toList();
        for (int expert : leastChoiceFirst) {
            List<Integer> order = new ArrayList<>();
            for (int node = 0; node < nodes.size(); node++) {
                if (holds[node][expert]) {
                    order.add(node);
                }
            }
            order.sort(Comparator.comparingDouble(node -> first[node] + seconds[node][expert]));
            first[order.getFirst()] += seconds[order.getFirst()][expert];
            names.set(expert, order.stream().map(node -> nodes.get(node).name()).toList());
        }
        return names;
    }
}
