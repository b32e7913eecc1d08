package io.atoll.model.grammar;

import io.atoll.model.grammar.Expression.Characters;
import io.atoll.model.grammar.Expression.Choice;
import io.atoll.model.grammar.Expression.Edge;
import io.atoll.model.grammar.Expression.Graph;
import io.atoll.model.grammar.Expression.Intersection;
import io.atoll.model.grammar.Expression.Repeat;
import io.atoll.model.grammar.Expression.Rule;
import io.atoll.model.grammar.Expression.Sequence;
import io.atoll.model.grammar.Expression.Text;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/// Lowers a [Grammar] to a [ByteNetwork], after Thompson's construction. Linear in the grammar with its repetitions written out, so
/// the limit on states bounds time and memory; nothing is made deterministic here.
final class NetworkBuilder {
    private static final String WHERE = "constraint";
    private static final int EDGES_PER_STATE = 8;

    private final int maxStates;
    private final int maxDepth;
    private final int window;
    private final Ints twins = new Ints(); // by state; see ByteNetwork#twin
    private final Ints byteFrom = new Ints();
    private final Ints byteRange = new Ints();
    private final Ints byteTo = new Ints();
    private final Ints callFrom = new Ints();
    private final Ints callRule = new Ints();
    private final Ints callTo = new Ints();
    private final Ints emptyFrom = new Ints();
    private final Ints emptyTo = new Ints();
    private int states;
    private int depth;

    private NetworkBuilder(int maxStates, int maxDepth, int window) {
        this.maxStates = maxStates;
        this.maxDepth = maxDepth;
        this.window = window;
    }

    /// @param window bytes of the longest token: how far one mask looks ahead
    /// @throws GrammarException if a limit is passed, or no text matches
    static ByteNetwork build(Grammar grammar, GrammarLimits limits, int window) {
        // A level of a schema or an expression takes several levels of the tree.
        NetworkBuilder builder = new NetworkBuilder(limits.states(), 16 * limits.depth(), window);
        int rules = grammar.rules().size();
        int[] starts = new int[rules];
        int[] ends = new int[rules];
        for (int rule = 0; rule < rules; rule++) {
            starts[rule] = builder.state();
            ends[rule] = builder.state();
            builder.lower(grammar.rules().get(rule), starts[rule], ends[rule]);
        }
        return new NetworkTrimmer(builder.raw(starts, ends))
                .network(grammar.start(), builder.twins.toArray());
    }

    private RawNetwork raw(int[] starts, int[] ends) {
        return new RawNetwork(
                states,
                starts,
                ends,
                new RawNetwork.EdgeList(byteFrom.toArray(), byteRange.toArray(), byteTo.toArray()),
                new RawNetwork.EdgeList(callFrom.toArray(), callRule.toArray(), callTo.toArray()),
                new RawNetwork.EdgeList(
                        emptyFrom.toArray(), new int[emptyFrom.size()], emptyTo.toArray()));
    }

    private int state() {
        if (states == maxStates) {
            throw GrammarException.limit(WHERE, "states", states + 1L, maxStates);
        }
        twins.add(states);
        return states++;
    }

    private void bytes(int from, int low, int high, int to) {
        byteFrom.add(from);
        byteRange.add(low << 8 | high);
        byteTo.add(to);
        checkEdges();
    }

    private void empty(int from, int to) {
        if (from != to) {
            emptyFrom.add(from);
            emptyTo.add(to);
            checkEdges();
        }
    }

    private void call(int from, int rule, int to) {
        callFrom.add(from);
        callRule.add(rule);
        callTo.add(to);
        checkEdges();
    }

    private void checkEdges() {
        long edges = (long) byteFrom.size() + emptyFrom.size() + callFrom.size();
        if (edges > (long) EDGES_PER_STATE * maxStates) {
            throw GrammarException.limit(
                    WHERE, "edges between states", edges, (long) EDGES_PER_STATE * maxStates);
        }
    }

    /// Adds ways from one state to the other for each text that the expression matches. Adds no edge into `from` and none out of
    /// `to`, so that neighbours can share both.
    private void lower(Expression expression, int from, int to) {
        if (++depth > maxDepth) {
            throw GrammarException.limit(WHERE, "nesting", depth, maxDepth);
        }
        switch (expression) {
            case Text(var text) -> text(text, from, to);
            case Characters(var set) -> characters(set, from, to);
            case Sequence(var parts) -> sequence(parts, from, to);
            case Choice(var options) -> options.forEach(option -> lower(option, from, to));
            case Repeat(var body, int min, int max) -> repeat(body, min, max, from, to);
            case Rule(int number) -> call(from, number, to);
            case Graph graph -> graph(graph, from, to);
            case Intersection(var parts) -> intersection(parts, from, to);
        }
        depth--;
    }

    private void text(String text, int from, int to) {
        byte[] utf8 = text.getBytes(StandardCharsets.UTF_8);
        if (utf8.length == 0) {
            empty(from, to);
            return;
        }
        int at = from;
        for (int i = 0; i < utf8.length; i++) {
            int next = i == utf8.length - 1 ? to : state();
            bytes(at, utf8[i] & 0xFF, utf8[i] & 0xFF, next);
            at = next;
        }
    }

    private void characters(CodePoints set, int from, int to) {
        // Sequences that end alike share their last states: (range, next state) gives the state
        // before it.
        Map<Long, Integer> shared = new HashMap<>();
        Map<Long, Boolean> leads = new HashMap<>();
        for (int i = 0; i < set.ranges(); i++) {
            Utf8Ranges.split(
                    set.first(i),
                    set.last(i),
                    (low, high, length) -> {
                        int next = to;
                        for (int b = length - 1; b > 0; b--) {
                            int range = low[b] << 8 | high[b];
                            int after = next;
                            next =
                                    shared.computeIfAbsent(
                                            (long) range << 32 | after,
                                            _ -> {
                                                int before = state();
                                                bytes(before, range >> 8, range & 0xFF, after);
                                                return before;
                                            });
                        }
                        int lead = low[0] << 8 | high[0];
                        if (leads.put((long) lead << 32 | next, true) == null) {
                            bytes(from, low[0], high[0], next);
                        }
                    });
        }
    }

    private void sequence(List<Expression> parts, int from, int to) {
        if (parts.isEmpty()) {
            empty(from, to);
            return;
        }
        int at = from;
        for (int i = 0; i < parts.size(); i++) {
            int next = i == parts.size() - 1 ? to : state();
            lower(parts.get(i), at, next);
            at = next;
        }
    }

    private void repeat(Expression body, int min, int max, int from, int to) {
        int at = from;
        int firstCopy = states;
        for (int i = 0; i < min; i++) {
            int copy = states;
            int next = max == min && i == min - 1 ? to : state();
            lower(body, at, next);
            pairTwins(firstCopy, copy, min - i - 1);
            at = next;
        }
        if (max == Expression.UNBOUNDED) {
            int loop = state();
            empty(at, loop);
            int again = state();
            lower(body, loop, again);
            empty(again, loop);
            empty(loop, to);
            return;
        }
        firstCopy = states;
        for (int i = min; i < max; i++) {
            empty(at, to);
            int copy = states;
            int next = i == max - 1 ? to : state();
            lower(body, at, next);
            pairTwins(firstCopy, copy, max - i - 1);
            at = next;
        }
        if (max == 0) {
            empty(from, to);
        }
    }

    /// Makes the states of a repetition's latest copy twins of those of its first, if more copies follow than a token can pass.
    private void pairTwins(int firstCopy, int copy, int copiesLeft) {
        if (copiesLeft > window) {
            for (int state = copy; state < states; state++) {
                twins.set(state, twins.get(firstCopy + state - copy));
            }
        }
    }

    private void graph(Graph graph, int from, int to) {
        int[] nodes = new int[graph.nodes()];
        for (int i = 0; i < nodes.length; i++) {
            nodes[i] = state();
        }
        empty(from, nodes[0]);
        empty(nodes[nodes.length - 1], to);
        for (Edge edge : graph.edges()) {
            lower(edge.passedBy(), nodes[edge.from()], nodes[edge.to()]);
        }
    }

    private void intersection(List<Expression> parts, int from, int to) {
        RawNetwork common = alone(parts.get(0));
        for (Expression part : parts.subList(1, parts.size())) {
            common = RawNetwork.product(common, alone(part), maxStates);
        }
        int base = states;
        for (int i = 0; i < common.states(); i++) {
            state();
        }
        RawNetwork.EdgeList byteEdges = common.bytes();
        for (int i = 0; i < byteEdges.from().length; i++) {
            int range = byteEdges.label()[i];
            bytes(base + byteEdges.from()[i], range >> 8, range & 0xFF, base + byteEdges.to()[i]);
        }
        RawNetwork.EdgeList emptyEdges = common.empty();
        for (int i = 0; i < emptyEdges.from().length; i++) {
            empty(base + emptyEdges.from()[i], base + emptyEdges.to()[i]);
        }
        empty(from, base + common.starts()[0]);
        empty(base + common.ends()[0], to);
    }

    private RawNetwork alone(Expression part) {
        NetworkBuilder builder = new NetworkBuilder(maxStates, maxDepth - depth, window);
        int start = builder.state();
        int end = builder.state();
        builder.lower(part, start, end);
        if (builder.callFrom.size() > 0) {
            throw new IllegalArgumentException("an intersection must not refer to rules: " + part);
        }
        return builder.raw(new int[] {start}, new int[] {end});
    }
}
