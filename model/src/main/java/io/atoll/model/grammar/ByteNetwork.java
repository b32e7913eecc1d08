package io.atoll.model.grammar;

import java.util.Arrays;
import java.util.BitSet;

/// A grammar as a recursive transition network over bytes: each rule is a small nondeterministic automaton whose edges are passed by
/// a byte of a range, by a match of another rule, or freely. Every state is on a way from its rule's start to its end, so a text that
/// has reached any state can be continued to a match. Immutable.
final class ByteNetwork {
    private final int[] ruleStarts;
    private final boolean[] nullable;
    private final boolean[] end;
    private final boolean[] tail;
    private final int[] twins;
    private final int startRule;
    private final Edges bytes;
    private final Edges calls;
    private final Edges empty;
    private final byte[] classOf = new byte[256];
    private final int classes;

    /// Edges of one kind, grouped by the state they leave.
    ///
    /// @param from `[states + 1]`: the edges of state `s` are `from[s]` to `from[s + 1] - 1`
    /// @param label a byte range as `low << 8 | high`, or the number of a rule
    record Edges(int[] from, int[] label, int[] target) {}

    ByteNetwork(
            int startRule,
            int[] ruleStarts,
            boolean[] nullable,
            boolean[] end,
            int[] twins,
            Edges bytes,
            Edges calls,
            Edges empty) {
        this.startRule = startRule;
        this.ruleStarts = ruleStarts;
        this.nullable = nullable;
        this.end = end;
        this.twins = twins;
        this.bytes = bytes;
        this.calls = calls;
        this.empty = empty;
        tail = tails();
        classes = classify();
    }

    int startRule() {
        return startRule;
    }

    int startOf(int rule) {
        return ruleStarts[rule];
    }

    /// Whether the rule matches the empty text.
    boolean isNullable(int rule) {
        return nullable[rule];
    }

    /// Whether the state ends its rule.
    boolean isEnd(int state) {
        return end[state];
    }

    /// Whether nothing can follow in the state's rule: a rule called on the way here returns for its caller as well.
    boolean isTail(int state) {
        return tail[state];
    }

    /// A state that cannot be told from this one by the bytes of one token, such as the same state of an earlier copy of what is
    /// repeated, where both are far from the last copy. Often the state itself.
    int twin(int state) {
        return twins[state];
    }

    int firstCall(int state) {
        return calls.from[state];
    }

    int calledRule(int call) {
        return calls.label[call];
    }

    int callTarget(int call) {
        return calls.target[call];
    }

    int firstEmpty(int state) {
        return empty.from[state];
    }

    int emptyTarget(int edge) {
        return empty.target[edge];
    }

    int firstByteEdge(int state) {
        return bytes.from[state];
    }

    int byteTarget(int edge) {
        return bytes.target[edge];
    }

    /// Whether a byte passes the edge; `value` is unsigned.
    boolean passes(int edge, int value) {
        return value >= bytes.label[edge] >> 8 && value <= (bytes.label[edge] & 0xFF);
    }

    boolean hasByteEdge(int state) {
        return bytes.from[state] < bytes.from[state + 1];
    }

    /// Whether a rule is called from here that returns to this rule.
    boolean hasReturningCall(int state) {
        for (int call = calls.from[state]; call < calls.from[state + 1]; call++) {
            if (!tail[calls.target[call]]) {
                return true;
            }
        }
        return false;
    }

    /// Bytes of one class pass exactly the same edges.
    int classOf(int value) {
        return classOf[value] & 0xFF;
    }

    int classes() {
        return classes;
    }

    private boolean[] tails() {
        boolean[] result = new boolean[end.length];
        // A chain of free edges is short, and a state that is found too late only costs an extra
        // return.
        for (int round = 0; round < 4; round++) {
            for (int s = 0; s < end.length; s++) {
                boolean nothingFollows =
                        bytes.from[s] == bytes.from[s + 1] && calls.from[s] == calls.from[s + 1];
                for (int e = empty.from[s]; e < empty.from[s + 1]; e++) {
                    nothingFollows &= result[empty.target[e]];
                }
                result[s] = nothingFollows && (end[s] || empty.from[s] < empty.from[s + 1]);
            }
        }
        return result;
    }

    private int classify() {
        BitSet cuts = new BitSet(257);
        Arrays.stream(bytes.label)
                .distinct()
                .forEach(
                        range -> {
                            cuts.set(range >> 8);
                            cuts.set((range & 0xFF) + 1);
                        });
        int current = 0;
        for (int value = 0; value < 256; value++) {
            if (value > 0 && cuts.get(value)) {
                current++;
            }
            classOf[value] = (byte) current;
        }
        return current + 1;
    }
}
