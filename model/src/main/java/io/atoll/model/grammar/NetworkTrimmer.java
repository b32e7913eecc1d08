package io.atoll.model.grammar;

import io.atoll.model.grammar.ByteNetwork.Edges;
import io.atoll.model.grammar.RawNetwork.EdgeList;
import io.atoll.model.grammar.RawNetwork.Grouped;
import java.util.Arrays;

/// Turns a [RawNetwork] into a [ByteNetwork]: finds which rules match the empty text, and drops edges to states from which the rule's
/// end cannot be reached.
final class NetworkTrimmer {
    private final RawNetwork raw;
    private final int[] ruleStartedBy; // [states]: the rule that starts here, or -1
    private final Grouped callsOfRule;

    NetworkTrimmer(RawNetwork raw) {
        this.raw = raw;
        ruleStartedBy = new int[raw.states()];
        Arrays.fill(ruleStartedBy, -1);
        for (int rule = 0; rule < raw.starts().length; rule++) {
            ruleStartedBy[raw.starts()[rule]] = rule;
        }
        callsOfRule = raw.calls().grouped(raw.starts().length, raw.calls().label());
    }

    /// @param twins see [ByteNetwork#twin]
    ByteNetwork network(int startRule, int[] twins) {
        boolean[] matchesEmpty = reaching(false);
        boolean[] live = reaching(true);
        if (!live[raw.starts()[startRule]]) {
            throw new GrammarException(
                    GrammarException.Kind.UNSATISFIABLE, "constraint", "no text satisfies it");
        }
        boolean[] nullable = new boolean[raw.starts().length];
        for (int rule = 0; rule < nullable.length; rule++) {
            nullable[rule] = matchesEmpty[raw.starts()[rule]];
        }
        boolean[] end = new boolean[raw.states()];
        for (int state : raw.ends()) {
            end[state] = true;
        }
        return new ByteNetwork(
                startRule,
                raw.starts(),
                nullable,
                end,
                twins,
                kept(raw.bytes(), live, false),
                kept(raw.calls(), live, true),
                kept(raw.empty(), live, false));
    }

    /// States from which the rule's end can be reached, with the help of byte edges or without.
    private boolean[] reaching(boolean overBytes) {
        Grouped bytesInto = raw.bytes().grouped(raw.states(), raw.bytes().to());
        Grouped emptyInto = raw.empty().grouped(raw.states(), raw.empty().to());
        Grouped callsInto = raw.calls().grouped(raw.states(), raw.calls().to());
        boolean[] reached = new boolean[raw.states()];
        Ints work = new Ints();
        for (int state : raw.ends()) {
            reach(state, reached, work);
        }
        while (work.size() > 0) {
            int state = work.removeLast();
            for (int i = emptyInto.first()[state]; i < emptyInto.first()[state + 1]; i++) {
                reach(raw.empty().from()[emptyInto.order()[i]], reached, work);
            }
            for (int i = bytesInto.first()[state];
                    overBytes && i < bytesInto.first()[state + 1];
                    i++) {
                reach(raw.bytes().from()[bytesInto.order()[i]], reached, work);
            }
            for (int i = callsInto.first()[state]; i < callsInto.first()[state + 1]; i++) {
                int call = callsInto.order()[i];
                if (reached[raw.starts()[raw.calls().label()[call]]]) {
                    reach(raw.calls().from()[call], reached, work);
                }
            }
            int rule = ruleStartedBy[state];
            if (rule >= 0) {
                for (int i = callsOfRule.first()[rule]; i < callsOfRule.first()[rule + 1]; i++) {
                    int call = callsOfRule.order()[i];
                    if (reached[raw.calls().to()[call]]) {
                        reach(raw.calls().from()[call], reached, work);
                    }
                }
            }
        }
        return reached;
    }

    private static void reach(int state, boolean[] reached, Ints work) {
        if (!reached[state]) {
            reached[state] = true;
            work.add(state);
        }
    }

    private Edges kept(EdgeList edges, boolean[] live, boolean calls) {
        Grouped bySource = edges.grouped(raw.states(), edges.from());
        int[] from = new int[raw.states() + 1];
        Ints labels = new Ints();
        Ints targets = new Ints();
        for (int state = 0; state < raw.states(); state++) {
            from[state] = targets.size();
            for (int i = bySource.first()[state]; i < bySource.first()[state + 1]; i++) {
                int edge = bySource.order()[i];
                boolean passable = !calls || live[raw.starts()[edges.label()[edge]]];
                if (live[edges.to()[edge]] && passable) {
                    labels.add(edges.label()[edge]);
                    targets.add(edges.to()[edge]);
                }
            }
        }
        from[raw.states()] = targets.size();
        return new Edges(from, labels.toArray(), targets.toArray());
    }
}
