package io.atoll.model.jinja;

import java.util.List;
import java.util.Map;
import java.util.Optional;

/// An expression, as written. Every node knows its line for error messages.
sealed interface Expr {
    int line();

    record Constant(int line, Object value) implements Expr {}

    record Name(int line, String name) implements Expr {}

    record ListOf(int line, List<Expr> items) implements Expr {}

    record TupleOf(int line, List<Expr> items) implements Expr {}

    record DictOf(int line, List<Pair> pairs) implements Expr {}

    record Pair(Expr key, Expr value) {}

    /// `-x` and `+x`.
    record Sign(int line, boolean negative, Expr operand) implements Expr {}

    record Not(int line, Expr operand) implements Expr {}

    record And(int line, Expr left, Expr right) implements Expr {}

    record Or(int line, Expr left, Expr right) implements Expr {}

    record Arithmetic(int line, Operator operator, Expr left, Expr right) implements Expr {}

    enum Operator {
        ADD("+"),
        SUBTRACT("-"),
        MULTIPLY("*"),
        DIVIDE("/"),
        FLOOR_DIVIDE("//"),
        MODULO("%"),
        POWER("**");

        final String symbol;

        Operator(String symbol) {
            this.symbol = symbol;
        }
    }

    /// `a ~ b ~ c`.
    record Concat(int line, List<Expr> parts) implements Expr {}

    /// `a < b <= c`: each neighbouring pair must hold.
    record Compare(int line, Expr first, List<Comparison> rest) implements Expr {}

    record Comparison(Comparator comparator, Expr operand) {}

    enum Comparator {
        EQUAL,
        NOT_EQUAL,
        LESS,
        LESS_OR_EQUAL,
        GREATER,
        GREATER_OR_EQUAL,
        IN,
        NOT_IN
    }

    record Conditional(int line, Expr condition, Expr then, Optional<Expr> otherwise)
            implements Expr {}

    record Attribute(int line, Expr target, String name) implements Expr {}

    record Item(int line, Expr target, Expr index) implements Expr {}

    record Slice(int line, Optional<Expr> start, Optional<Expr> stop, Optional<Expr> step)
            implements Expr {}

    /// `operand | name(arguments)`.
    ///
    /// @param operand what is filtered; empty for the filter of a block, whose operand is the block's text
    record Filter(int line, Optional<Expr> operand, String name, CallArguments arguments)
            implements Expr {}

    record Test(int line, Expr operand, String name, CallArguments arguments) implements Expr {}

    record Call(int line, Expr target, CallArguments arguments) implements Expr {}

    record CallArguments(
            List<Expr> positional,
            Map<String, Expr> keywords,
            Optional<Expr> positionalList,
            Optional<Expr> keywordDict) {
        static final CallArguments EMPTY =
                new CallArguments(List.of(), Map.of(), Optional.empty(), Optional.empty());
    }
}
