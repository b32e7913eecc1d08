package io.atoll.attention.state;

import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import java.util.function.Predicate;
import java.util.function.ToLongFunction;

/// Finds the longest known beginning of a sequence: a radix tree over token ids, with checkpoints at some of its nodes.
///
/// In a hybrid model keys and values alone are no use, since the recurrent state behind them can't be had from them. So what
/// counts is not how far tokens agree, but the deepest checkpoint on the way.
///
/// What to give up is decided by value for memory (GreedyDual-Size: Cao and Irani, "Cost-Aware WWW Proxy Caching Algorithms",
/// USENIX 1997). A checkpoint is worth the tokens it saves beyond the checkpoint before it, divided by the bytes that only it
/// holds, plus the cache's inflation when it was last used. The inflation is the value of what was last given up, so that what
/// is not used for long ages against what is.
///
/// One thread uses it. Knows nothing of the memory behind a checkpoint, or of the file.
///
/// @param <P> what a checkpoint is here
final class PrefixCache<P extends Prefix> {
    private final ToLongFunction<P> bytes;
    private final Node<P> root = new Node<>(null, new int[0]);
    private double inflation;
    private int size;

    /// @param bytes that are free when a checkpoint is given up
    PrefixCache(ToLongFunction<P> bytes) {
        this.bytes = bytes;
    }

    /// A run of tokens below its parent's. Every node but the root has a checkpoint or at least two children.
    private static final class Node<P> {
        Node<P> parent;
        int[] edge;
        final Map<Integer, Node<P>> children = new HashMap<>();
        P checkpoint; // null where there is none

        Node(Node<P> parent, int[] edge) {
            this.parent = parent;
            this.edge = edge;
        }
    }

    /// Checkpoints in the cache.
    int size() {
        return size;
    }

    /// The deepest checkpoint on the way of `tokens`, at most `limit` tokens deep. It counts as used.
    Optional<P> find(int[] tokens, int limit) {
        Node<P> best = deepest(tokens, limit);
        if (best == null) {
            return Optional.empty();
        }
        best.checkpoint.inflation = inflation;
        return Optional.of(best.checkpoint);
    }

    /// The node of that checkpoint; null if there is none.
    private Node<P> deepest(int[] tokens, int limit) {
        Node<P> best = null;
        Node<P> node = root;
        int depth = 0;
        while (true) {
            if (node.checkpoint != null) {
                best = node;
            }
            Node<P> child = depth < limit ? node.children.get(tokens[depth]) : null;
            if (child == null
                    || child.edge.length > limit - depth
                    || agreement(child.edge, tokens, depth, limit) < child.edge.length) {
                return best;
            }
            depth += child.edge.length;
            node = child;
        }
    }

    /// Whether there is a checkpoint after exactly the first `length` tokens. If so, it counts as used.
    boolean contains(int[] tokens, int length) {
        return find(tokens, length).filter(checkpoint -> checkpoint.tokens() == length).isPresent();
    }

    /// Takes a checkpoint in. There must be none for these tokens yet.
    ///
    /// @param tokens begins with the tokens that the checkpoint has seen
    void put(int[] tokens, P checkpoint) {
        int length = checkpoint.tokens();
        Node<P> node = root;
        int depth = 0;
        while (depth < length) {
            Node<P> child = node.children.get(tokens[depth]);
            if (child == null) {
                child = new Node<>(node, Arrays.copyOfRange(tokens, depth, length));
                node.children.put(tokens[depth], child);
                node = child;
                break;
            }
            int agreed = agreement(child.edge, tokens, depth, length);
            node = agreed < child.edge.length ? split(child, agreed) : child;
            depth += agreed;
        }
        if (node.checkpoint != null) {
            throw new IllegalStateException("there is a checkpoint after these " + length);
        }
        node.checkpoint = checkpoint;
        checkpoint.inflation = inflation;
        size++;
    }

    /// Gives up the checkpoint of the least value.
    ///
    /// @param spared not this one
    /// @return the checkpoint, whose memory is the caller's now; empty if there is none
    Optional<P> evict(Optional<P> spared) {
        Worst worst = new Worst(checkpoint -> !spared.equals(Optional.of(checkpoint)));
        worst.visit(root, 0, 0);
        if (worst.node == null) {
            return Optional.empty();
        }
        inflation = Math.max(inflation, worst.value);
        return Optional.of(remove(worst.node));
    }

    /// A checkpoint and all tokens that it has seen.
    record Entry<P>(int[] tokens, P checkpoint) {}

    /// The checkpoint of the least value among some. It stays, and does not count as used.
    Optional<Entry<P>> leastValuable(Predicate<P> candidates) {
        Worst worst = new Worst(candidates);
        worst.visit(root, 0, 0);
        return Optional.ofNullable(worst.node).map(PrefixCache::entry);
    }

    private static <P extends Prefix> Entry<P> entry(Node<P> node) {
        int[] tokens = new int[node.checkpoint.tokens()];
        int end = tokens.length;
        for (Node<P> at = node; at.parent != null; at = at.parent) {
            end -= at.edge.length;
            System.arraycopy(at.edge, 0, tokens, end, at.edge.length);
        }
        return new Entry<>(tokens, node.checkpoint);
    }

    /// Gives up a checkpoint, if it is there still.
    ///
    /// @param tokens all that it has seen
    Optional<P> remove(int[] tokens, P checkpoint) {
        Node<P> node = deepest(tokens, tokens.length);
        return node != null && node.checkpoint.equals(checkpoint)
                ? Optional.of(remove(node))
                : Optional.empty();
    }

    /// Looks for the checkpoint of the least value.
    private final class Worst {
        private final Predicate<P> candidates;
        private Node<P> node;
        private double value;

        Worst(Predicate<P> candidates) {
            this.candidates = candidates;
        }

        /// @param above depth of the last checkpoint on the way to the node
        void visit(Node<P> at, int depth, int above) {
            int last = above;
            P checkpoint = at.checkpoint;
            if (checkpoint != null) {
                last = depth;
                double worth =
                        checkpoint.inflation
                                + (double) (depth - above)
                                        / Math.max(1, bytes.applyAsLong(checkpoint));
                boolean isLess =
                        node == null
                                || worth < value
                                || (worth == value && depth > node.checkpoint.tokens());
                if (isLess && candidates.test(checkpoint)) {
                    node = at;
                    value = worth;
                }
            }
            for (Node<P> child : at.children.values()) {
                visit(child, depth + child.edge.length, last);
            }
        }
    }

    private P remove(Node<P> node) {
        P checkpoint = node.checkpoint;
        node.checkpoint = null;
        size--;
        if (node.children.isEmpty() && node.parent != null) {
            Node<P> parent = node.parent;
            parent.children.remove(node.edge[0]);
            unite(parent);
        } else {
            unite(node);
        }
        return checkpoint;
    }

    /// Joins a node that has lost its meaning with its only child.
    private void unite(Node<P> node) {
        if (node == root || node.checkpoint != null || node.children.size() != 1) {
            return;
        }
        Node<P> child = node.children.values().iterator().next();
        int[] edge = Arrays.copyOf(node.edge, node.edge.length + child.edge.length);
        System.arraycopy(child.edge, 0, edge, node.edge.length, child.edge.length);
        child.edge = edge;
        child.parent = node.parent;
        node.parent.children.put(edge[0], child);
    }

    /// Puts a node between `child` and its parent, after the first `at` tokens of the edge.
    private Node<P> split(Node<P> child, int at) {
        Node<P> middle = new Node<>(child.parent, Arrays.copyOf(child.edge, at));
        child.parent.children.put(child.edge[0], middle);
        child.edge = Arrays.copyOfRange(child.edge, at, child.edge.length);
        child.parent = middle;
        middle.children.put(child.edge[0], child);
        return middle;
    }

    /// How many tokens from `from` on, below `limit`, are those of the edge.
    private static int agreement(int[] edge, int[] tokens, int from, int limit) {
        int length = Math.min(edge.length, limit - from);
        int mismatch = Arrays.mismatch(edge, 0, length, tokens, from, from + length);
        return mismatch < 0 ? length : mismatch;
    }
}
