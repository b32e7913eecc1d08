package io.atoll.model.grammar;

import java.util.List;

/// What one rule of a [Grammar] matches: a tree over Unicode text.
sealed interface Expression {
    /// [Repeat#max()] without an upper bound.
    int UNBOUNDED = -1;

    Expression EMPTY = new Text("");

    /// Matches no text at all.
    Expression NOTHING = new Choice(List.of());

    /// This text. A lone surrogate in it cannot be matched.
    record Text(String text) implements Expression {}

    /// One character of the set.
    record Characters(CodePoints set) implements Expression {}

    /// The parts one after the other.
    record Sequence(List<Expression> parts) implements Expression {
        public Sequence {
            parts = List.copyOf(parts);
        }
    }

    /// Any of the options.
    record Choice(List<Expression> options) implements Expression {
        public Choice {
            options = List.copyOf(options);
        }
    }

    /// The body `min` to `max` times.
    record Repeat(Expression body, int min, int max) implements Expression {
        public Repeat {
            if (min < 0 || (max != UNBOUNDED && max < min)) {
                throw new IllegalArgumentException("no repetition: " + min + " to " + max);
            }
        }
    }

    /// What another rule of the grammar matches, by its number.
    record Rule(int number) implements Expression {}

    /// The ways through a graph from node 0 to the last node, where an edge is passed by a match of its expression. For objects with
    /// optional properties, whose alternatives would grow exponentially as a tree.
    record Graph(int nodes, List<Edge> edges) implements Expression {
        public Graph {
            edges = List.copyOf(edges);
            if (nodes < 2) {
                throw new IllegalArgumentException("a graph needs two nodes: " + nodes);
            }
        }
    }

    /// An edge of a [Graph].
    record Edge(int from, Expression passedBy, int to) {}

    /// Texts that every part matches. The parts must not contain a [Rule]: intersections of context-free languages are not
    /// context-free.
    record Intersection(List<Expression> parts) implements Expression {
        public Intersection {
            parts = List.copyOf(parts);
            if (parts.isEmpty()) {
                throw new IllegalArgumentException("an intersection of nothing");
            }
        }
    }

    static Expression sequence(Expression... parts) {
        return parts.length == 1 ? parts[0] : new Sequence(List.of(parts));
    }

    static Expression choice(Expression... options) {
        return options.length == 1 ? options[0] : new Choice(List.of(options));
    }

    static Expression optional(Expression body) {
        return new Repeat(body, 0, 1);
    }

    static Expression any(Expression body) {
        return new Repeat(body, 0, UNBOUNDED);
    }
}
