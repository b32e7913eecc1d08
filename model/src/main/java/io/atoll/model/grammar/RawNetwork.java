package io.atoll.model.grammar;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/// The networks of some rules as they were built: with states that lead nowhere, edges in no order.
///
/// @param starts for each rule its first state
/// @param ends for each rule its last state
/// @param bytes labels are byte ranges, `low << 8 | high`
/// @param calls labels are rules
/// @param empty labels mean nothing
record RawNetwork(
        int states, int[] starts, int[] ends, EdgeList bytes, EdgeList calls, EdgeList empty) {
    /// Edges as parallel arrays.
    record EdgeList(int[] from, int[] label, int[] to) {
        /// The edges ordered by the state they leave: those of `s` are `order[first[s]]` to `order[first[s + 1] - 1]`.
        Grouped grouped(int states, int[] key) {
            int[] first = new int[states + 1];
            for (int k : key) {
                first[k + 1]++;
            }
            for (int s = 0; s < states; s++) {
                first[s + 1] += first[s];
            }
            int[] next = first.clone();
            int[] order = new int[key.length];
            for (int e = 0; e < key.length; e++) {
                order[next[key[e]]++] = e;
            }
            return new Grouped(first, order);
        }
    }

    /// Edge numbers ordered by a key.
    record Grouped(int[] first, int[] order) {}

    /// The texts that both one-rule networks match. Both must be without calls.
    ///
    /// @throws GrammarException if it needs more than `maxStates`
    static RawNetwork product(RawNetwork left, RawNetwork right, int maxStates) {
        return new Product(left, right, maxStates).build();
    }

    private static final class Product {
        private final RawNetwork left;
        private final RawNetwork right;
        private final int maxStates;
        private final Map<Long, Integer> numbers = new HashMap<>();
        private final List<Long> pairs = new ArrayList<>();
        private final Ints byteFrom = new Ints();
        private final Ints byteRange = new Ints();
        private final Ints byteTo = new Ints();
        private final Ints emptyFrom = new Ints();
        private final Ints emptyTo = new Ints();

        Product(RawNetwork left, RawNetwork right, int maxStates) {
            this.left = left;
            this.right = right;
            this.maxStates = maxStates;
        }

        RawNetwork build() {
            Grouped leftBytes = left.bytes.grouped(left.states, left.bytes.from);
            Grouped rightBytes = right.bytes.grouped(right.states, right.bytes.from);
            Grouped leftEmpty = left.empty.grouped(left.states, left.empty.from);
            Grouped rightEmpty = right.empty.grouped(right.states, right.empty.from);
            int start = pair(left.starts[0], right.starts[0]);
            int end = pair(left.ends[0], right.ends[0]);
            for (int at = 0; at < pairs.size(); at++) {
                int l = (int) (pairs.get(at) >> 32);
                int r = (int) (long) pairs.get(at);
                for (int i = leftEmpty.first[l]; i < leftEmpty.first[l + 1]; i++) {
                    emptyFrom.add(at);
                    emptyTo.add(pair(left.empty.to[leftEmpty.order[i]], r));
                }
                for (int i = rightEmpty.first[r]; i < rightEmpty.first[r + 1]; i++) {
                    emptyFrom.add(at);
                    emptyTo.add(pair(l, right.empty.to[rightEmpty.order[i]]));
                }
                for (int i = leftBytes.first[l]; i < leftBytes.first[l + 1]; i++) {
                    int a = leftBytes.order[i];
                    for (int j = rightBytes.first[r]; j < rightBytes.first[r + 1]; j++) {
                        int b = rightBytes.order[j];
                        int low = Math.max(left.bytes.label[a] >> 8, right.bytes.label[b] >> 8);
                        int high =
                                Math.min(left.bytes.label[a] & 0xFF, right.bytes.label[b] & 0xFF);
                        if (low <= high) {
                            byteFrom.add(at);
                            byteRange.add(low << 8 | high);
                            byteTo.add(pair(left.bytes.to[a], right.bytes.to[b]));
                        }
                    }
                }
            }
            return new RawNetwork(
                    pairs.size(),
                    new int[] {start},
                    new int[] {end},
                    new EdgeList(byteFrom.toArray(), byteRange.toArray(), byteTo.toArray()),
                    new EdgeList(new int[0], new int[0], new int[0]),
                    new EdgeList(
                            emptyFrom.toArray(), new int[emptyFrom.size()], emptyTo.toArray()));
        }

        private int pair(int l, int r) {
            return numbers.computeIfAbsent(
                    (long) l << 32 | r,
                    key -> {
                        if (pairs.size() == maxStates) {
                            throw GrammarException.limit(
                                    "constraint",
                                    "states of rules that hold together",
                                    maxStates + 1L,
                                    maxStates);
                        }
                        pairs.add(key);
                        return pairs.size() - 1;
                    });
        }
    }
}
