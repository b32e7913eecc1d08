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
import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.List;

/// The slow twin: decides by the meaning of each expression, with fixed points over all rules and positions for recursion, whether
/// some bytes are a text of a grammar, or the beginning of one. Shares no code with the automaton.
final class SlowMatcher {
    private final Grammar grammar;
    private final boolean[] productive; // by rule
    private byte[] text;
    private BitSet[][] ends; // by rule and position: where a match can end
    private boolean[][]
            begins; // by rule and position: whether the rest is the beginning of a match

    SlowMatcher(Grammar grammar) {
        this.grammar = grammar;
        productive = new boolean[grammar.rules().size()];
        for (boolean changed = true; changed; ) {
            changed = false;
            for (int rule = 0; rule < productive.length; rule++) {
                if (!productive[rule] && productive(grammar.rules().get(rule))) {
                    productive[rule] = true;
                    changed = true;
                }
            }
        }
    }

    boolean matchesSomething() {
        return productive[grammar.start()];
    }

    boolean matches(byte[] bytes) {
        solve(bytes);
        return ends[grammar.start()][0].get(bytes.length);
    }

    boolean isBeginning(byte[] bytes) {
        solve(bytes);
        return begins[grammar.start()][0];
    }

    private void solve(byte[] bytes) {
        text = bytes;
        int rules = productive.length;
        ends = new BitSet[rules][text.length + 1];
        begins = new boolean[rules][text.length + 1];
        for (BitSet[] row : ends) {
            Arrays.setAll(row, _ -> new BitSet());
        }
        for (boolean changed = true; changed; ) {
            changed = false;
            for (int rule = 0; rule < rules; rule++) {
                for (int from = 0; from <= text.length; from++) {
                    Expression body = grammar.rules().get(rule);
                    BitSet found = ends(body, from);
                    boolean begun = productive[rule] && begins(body, from);
                    changed |= !found.equals(ends[rule][from]) || begun != begins[rule][from];
                    ends[rule][from] = found;
                    begins[rule][from] = begun;
                }
            }
        }
    }

    private boolean productive(Expression expression) {
        return switch (expression) {
            case Text _ -> true;
            case Characters(var set) -> !set.isEmpty();
            case Sequence(var parts) -> parts.stream().allMatch(this::productive);
            case Choice(var options) -> options.stream().anyMatch(this::productive);
            case Repeat(var body, int min, int _) -> min == 0 || productive(body);
            case Rule(int rule) -> productive[rule];
            case Graph graph -> leadsToEnd(graph).get(0);
            case Intersection _ -> throw new IllegalArgumentException("not by meaning");
        };
    }

    private BitSet leadsToEnd(Graph graph) {
        BitSet live = new BitSet();
        live.set(graph.nodes() - 1);
        for (int round = 0; round < graph.nodes(); round++) {
            for (Edge edge : graph.edges()) {
                if (live.get(edge.to()) && productive(edge.passedBy())) {
                    live.set(edge.from());
                }
            }
        }
        return live;
    }

    private BitSet ends(Expression expression, int from) {
        BitSet result = new BitSet();
        switch (expression) {
            case Text(var content) -> {
                byte[] utf8 = content.getBytes(StandardCharsets.UTF_8);
                if (startsWith(utf8, from)) {
                    result.set(from + utf8.length);
                }
            }
            case Characters(var set) -> {
                for (byte[] utf8 : all(set)) {
                    if (startsWith(utf8, from)) {
                        result.set(from + utf8.length);
                    }
                }
            }
            case Sequence(var parts) -> {
                BitSet at = new BitSet();
                at.set(from);
                for (Expression part : parts) {
                    at = ends(part, at);
                }
                result.or(at);
            }
            case Choice(var options) -> options.forEach(option -> result.or(ends(option, from)));
            case Repeat(var body, int min, int max) -> {
                BitSet at = new BitSet();
                at.set(from);
                for (int count = 0; count <= rounds(min, max); count++) {
                    if (count >= min) {
                        result.or(at);
                    }
                    at = ends(body, at);
                }
            }
            case Rule(int rule) -> result.or(ends[rule][from]);
            case Graph graph -> result.or(reached(graph, from)[graph.nodes() - 1]);
            case Intersection(var parts) -> {
                result.or(ends(parts.get(0), from));
                parts.forEach(part -> result.and(ends(part, from)));
            }
        }
        return result;
    }

    private BitSet ends(Expression part, BitSet from) {
        BitSet next = new BitSet();
        from.stream().forEach(at -> next.or(ends(part, at)));
        return next;
    }

    /// Where each node can be reached.
    private BitSet[] reached(Graph graph, int from) {
        BitSet[] reached = new BitSet[graph.nodes()];
        Arrays.setAll(reached, _ -> new BitSet());
        reached[0].set(from);
        for (boolean changed = true; changed; ) {
            changed = false;
            for (Edge edge : graph.edges()) {
                BitSet before = (BitSet) reached[edge.to()].clone();
                reached[edge.to()].or(ends(edge.passedBy(), reached[edge.from()]));
                changed |= !before.equals(reached[edge.to()]);
            }
        }
        return reached;
    }

    private int rounds(int min, int max) {
        int enough = min + text.length + 1;
        return max == Expression.UNBOUNDED ? enough : Math.min(max, enough);
    }

    private boolean begins(Expression expression, int from) {
        if (!productive(expression)) {
            return false;
        }
        return switch (expression) {
            case Text(var content) -> isPrefixOf(content.getBytes(StandardCharsets.UTF_8), from);
            case Characters(var set) -> all(set).stream().anyMatch(utf8 -> isPrefixOf(utf8, from));
            case Sequence(var parts) -> {
                BitSet at = new BitSet();
                at.set(from);
                boolean begun = parts.isEmpty() && from == text.length;
                for (Expression part : parts) {
                    begun |= at.stream().anyMatch(i -> begins(part, i));
                    at = ends(part, at);
                }
                yield begun;
            }
            case Choice(var options) -> options.stream().anyMatch(option -> begins(option, from));
            case Repeat(var body, int min, int max) -> {
                BitSet at = new BitSet();
                at.set(from);
                boolean begun = false;
                for (int count = 0; count <= rounds(min, max); count++) {
                    begun |= count >= min && at.get(text.length);
                    boolean more = max == Expression.UNBOUNDED || count < max;
                    begun |= more && at.stream().anyMatch(i -> begins(body, i));
                    at = ends(body, at);
                }
                yield begun;
            }
            case Rule(int rule) -> begins[rule][from];
            case Graph graph -> {
                BitSet live = leadsToEnd(graph);
                BitSet[] reached = reached(graph, from);
                yield reached[graph.nodes() - 1].get(text.length)
                        || graph.edges().stream()
                                .anyMatch(
                                        edge ->
                                                live.get(edge.to())
                                                        && reached[edge.from()].stream()
                                                                .anyMatch(
                                                                        i ->
                                                                                begins(
                                                                                        edge
                                                                                                .passedBy(),
                                                                                        i)));
            }
            case Intersection _ -> throw new IllegalArgumentException("not by meaning");
        };
    }

    private boolean startsWith(byte[] content, int from) {
        return from + content.length <= text.length
                && Arrays.equals(text, from, from + content.length, content, 0, content.length);
    }

    /// Whether the text from here on is the beginning of the content, or all of it.
    private boolean isPrefixOf(byte[] content, int from) {
        int rest = text.length - from;
        return rest <= content.length && Arrays.equals(text, from, text.length, content, 0, rest);
    }

    private static List<byte[]> all(CodePoints set) {
        List<byte[]> all = new ArrayList<>();
        for (int i = 0; i < set.ranges(); i++) {
            for (int c = set.first(i); c <= set.last(i); c++) {
                all.add(Character.toString(c).getBytes(StandardCharsets.UTF_8));
            }
        }
        return all;
    }
}
