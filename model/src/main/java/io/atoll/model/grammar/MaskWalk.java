package io.atoll.model.grammar;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.IdentityHashMap;
import java.util.List;

/// Finds the tokens that may come after a column by walking the vocabulary's trees and the automaton side by side.
///
/// Most of it depends only on the innermost rules, such as "inside a string", and is shared by all places where they stand alike: the
/// walk of the [Automaton#local] column. Only where a token goes on after such a rule has ended, as `",` does, the callers are asked.
///
/// Holds scratch arrays, so each thread has its own.
final class MaskWalk {
    private final Automaton automaton;
    private final TokenTrie trie;
    private final FreeRuns runs;
    private final long maxSteps;
    private final Column[] path; // the column at each depth of the walk
    private final long[] allowed;
    private final long[] known;
    private long steps;

    MaskWalk(Automaton automaton, TokenTrie trie, GrammarLimits limits) {
        this.automaton = automaton;
        this.trie = trie;
        runs = new FreeRuns(automaton);
        maxSteps = limits.maskSteps();
        path = new Column[trie.longest() + 1];
        allowed = new long[trie.maskWords()];
        known = new long[trie.maskWords()];
    }

    /// The tokens whose bytes lead from the column to one from which a whole text can be reached.
    ///
    /// @throws GrammarException if it takes more steps than the limit
    TokenMask mask(Column column) {
        TokenMask remembered = column.mask;
        if (remembered != null) {
            return remembered;
        }
        steps = 0;
        LocalMask base = localMask(automaton.local(column));
        TokenMask mask = new TokenMask(base, more(column, base));
        automaton.remember(column, mask);
        return mask;
    }

    private LocalMask localMask(Column column) {
        LocalMask remembered = column.localMask;
        if (remembered != null) {
            return remembered;
        }
        Arrays.fill(allowed, 0);
        List<LocalMask.Escape> escapes = new ArrayList<>();
        for (int i = 0; i < trie.parts().size(); i++) {
            TokenTrie.Part part = trie.parts().get(i);
            boolean free =
                    part.run().isPresent()
                            && runs.allow(column, part.run().get(), part.mostCharacters());
            if (free) {
                for (int word = 0; word < allowed.length; word++) {
                    allowed[word] |= part.all()[word];
                }
            } else {
                walk(column, i, escapes);
            }
        }
        LocalMask mask = new LocalMask(allowed, escapes);
        automaton.remember(column, mask);
        return mask;
    }

    private void walk(Column column, int part, List<LocalMask.Escape> escapes) {
        TokenTree tree = trie.parts().get(part).tree();
        IdentityHashMap<Column, Ints> nodes = new IdentityHashMap<>();
        List<Column> order = new ArrayList<>();
        path[0] = column;
        int escapedUntil = 0;
        for (int node = 0; node < tree.nodes(); ) {
            int depth = tree.depth(node);
            Column here = automaton.step(path[depth - 1], tree.label(node));
            count(here);
            if (here == Column.DEAD) {
                node = tree.end(node);
                continue;
            }
            path[depth] = here;
            for (int i = tree.firstToken(node); i < tree.lastToken(node); i++) {
                int token = tree.token(i);
                allowed[token >> 6] |= 1L << token;
            }
            if (here.isEscaped() && node >= escapedUntil && tree.end(node) > node + 1) {
                escapedUntil = tree.end(node);
                if (!nodes.containsKey(here)) {
                    nodes.put(here, new Ints());
                    order.add(here);
                }
                nodes.get(here).add(node);
            }
            node = here.hasItems() ? node + 1 : tree.end(node);
        }
        for (Column escaped : order) {
            int[] places = nodes.get(escaped).toArray();
            escapes.add(new LocalMask.Escape(part, tree.path(places[0]), places));
        }
    }

    /// Tokens that the callers allow beyond the local mask.
    private int[] more(Column column, LocalMask base) {
        if (base.escapes().isEmpty()) {
            return new int[0];
        }
        base.copyTo(known);
        Ints more = new Ints();
        for (LocalMask.Escape escape : base.escapes()) {
            Column from = automaton.step(column, escape.path(), 0);
            TokenTree tree = trie.parts().get(escape.tree()).tree();
            for (int node : escape.nodes()) {
                walkBelow(tree, node, from, more);
            }
        }
        return more.toArray();
    }

    private void walkBelow(TokenTree tree, int top, Column from, Ints more) {
        path[tree.depth(top)] = from;
        for (int node = top + 1; node < tree.end(top); ) {
            int depth = tree.depth(node);
            Column here = automaton.step(path[depth - 1], tree.label(node));
            count(here);
            if (here == Column.DEAD) {
                node = tree.end(node);
                continue;
            }
            path[depth] = here;
            for (int i = tree.firstToken(node); i < tree.lastToken(node); i++) {
                int token = tree.token(i);
                if ((known[token >> 6] >> token & 1) == 0) {
                    more.add(token);
                }
            }
            node = here.hasItems() ? node + 1 : tree.end(node);
        }
    }

    /// Steps are counted whether they are remembered or not, so that the limit does not depend on it.
    private void count(Column column) {
        steps += 1 + column.states.length;
        if (steps > maxSteps) {
            throw GrammarException.limit("constraint", "steps of one mask", steps, maxSteps);
        }
    }
}
