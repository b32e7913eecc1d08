package io.atoll.model.grammar;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;

/// Finds the tokens that may come after a column by walking the vocabulary's tree and the automaton side by side.
///
/// Most of it depends only on the innermost rules, such as "inside a string", and is shared by all places where they stand alike: the
/// walk of the [Automaton#local] column. Only where a token goes on after such a rule has ended, as `",` does, the callers are asked.
///
/// Holds scratch arrays, so each thread has its own.
final class MaskWalk {
    private final Automaton automaton;
    private final TokenTrie trie;
    private final long maxSteps;
    private final Column[] path; // the column at each depth of the walk
    private final long[] allowed;
    private final long[] known;
    private long steps;

    MaskWalk(Automaton automaton, TokenTrie trie, GrammarLimits limits) {
        this.automaton = automaton;
        this.trie = trie;
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
        Map<Column, Ints> nodes = new IdentityHashMap<>();
        List<Column> order = new ArrayList<>();
        List<byte[]> paths = new ArrayList<>();
        Arrays.fill(allowed, 0);
        path[0] = column;
        int escapedUntil = 0;
        for (int node = 0; node < trie.nodes(); ) {
            int depth = trie.depth(node);
            Column here = automaton.step(path[depth - 1], trie.label(node));
            count(here);
            if (here == Column.DEAD) {
                node = trie.end(node);
                continue;
            }
            path[depth] = here;
            allow(node);
            if (here.escaped && node >= escapedUntil && trie.end(node) > node + 1) {
                escapedUntil = trie.end(node);
                Ints ofColumn = nodes.get(here);
                if (ofColumn == null) {
                    ofColumn = new Ints();
                    nodes.put(here, ofColumn);
                    order.add(here);
                    paths.add(path(node));
                }
                ofColumn.add(node);
            }
            node = here.hasItems() ? node + 1 : trie.end(node);
        }
        List<LocalMask.Escape> escapes = new ArrayList<>();
        for (int i = 0; i < order.size(); i++) {
            escapes.add(new LocalMask.Escape(paths.get(i), nodes.get(order.get(i)).toArray()));
        }
        LocalMask mask = new LocalMask(allowed, escapes);
        automaton.remember(column, mask);
        return mask;
    }

    private byte[] path(int node) {
        return Arrays.copyOf(trie.bytes(trie.token(trie.firstToken(node))), trie.depth(node));
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
            for (int node : escape.nodes()) {
                walkBelow(node, from, more);
            }
        }
        return more.toArray();
    }

    private void walkBelow(int top, Column from, Ints more) {
        path[trie.depth(top)] = from;
        for (int node = top + 1; node < trie.end(top); ) {
            int depth = trie.depth(node);
            Column here = automaton.step(path[depth - 1], trie.label(node));
            count(here);
            if (here == Column.DEAD) {
                node = trie.end(node);
                continue;
            }
            path[depth] = here;
            for (int i = trie.firstToken(node); i < trie.lastToken(node); i++) {
                int token = trie.token(i);
                if ((known[token >> 6] >> token & 1) == 0) {
                    more.add(token);
                }
            }
            node = here.hasItems() ? node + 1 : trie.end(node);
        }
    }

    private void allow(int node) {
        for (int i = trie.firstToken(node); i < trie.lastToken(node); i++) {
            int token = trie.token(i);
            allowed[token >> 6] |= 1L << token;
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
