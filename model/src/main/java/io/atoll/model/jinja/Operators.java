package io.atoll.model.jinja;

import java.util.ArrayList;
import java.util.List;

/// The arithmetic operators, on whatever Python defines them for.
final class Operators {
    private final Python python;

    Operators(Python python) {
        this.python = python;
    }

    Object sign(boolean negative, Object value) {
        if (value instanceof Undefined undefined) {
            throw undefined.failure();
        }
        if (!Numbers.isNumber(value)) {
            throw PythonException.typeError(
                    "bad operand type for unary "
                            + (negative ? "-" : "+")
                            + ": '"
                            + Python.typeName(value)
                            + "'");
        }
        if (value instanceof Double d) {
            return negative ? -d : d;
        }
        return Numbers.integer(negative ? Numbers.big(value).negate() : Numbers.big(value));
    }

    Object apply(Expr.Operator operator, Object left, Object right) {
        if (Numbers.isNumber(left) && Numbers.isNumber(right)) {
            return Numbers.arithmetic(operator, left, right);
        }
        if (operator == Expr.Operator.MODULO && Python.isString(left)) {
            Object values = left instanceof Markup ? escaped(right) : right;
            return Python.remark(left, new Formatter(python).percent(Python.chars(left), values));
        }
        if (left instanceof Undefined undefined) {
            throw undefined.failure();
        }
        if (right instanceof Undefined undefined) {
            throw undefined.failure();
        }
        if (operator == Expr.Operator.ADD && Python.isString(left) && Python.isString(right)) {
            return concatenate(left, right);
        }
        if (operator == Expr.Operator.ADD && isList(left) && isList(right)) {
            return joined(python.items(left), python.items(right));
        }
        if (operator == Expr.Operator.ADD
                && left instanceof Tuple(var a)
                && right instanceof Tuple(var b)) {
            return new Tuple(joined(a, b));
        }
        if (operator == Expr.Operator.MULTIPLY && Numbers.isInteger(right) && isRepeatable(left)) {
            return repeat(left, Numbers.index(right, "count"));
        }
        if (operator == Expr.Operator.MULTIPLY && Numbers.isInteger(left) && isRepeatable(right)) {
            return repeat(right, Numbers.index(left, "count"));
        }
        throw PythonException.typeError(
                "unsupported operand type(s) for "
                        + operator.symbol
                        + ": '"
                        + Python.typeName(left)
                        + "' and '"
                        + Python.typeName(right)
                        + "'");
    }

    /// What goes into a marked format string: its strings escaped.
    private static Object escaped(Object value) {
        return switch (value) {
            case String s -> Markup.escape(s);
            case Tuple(var items) -> new Tuple(items.stream().map(Operators::escaped).toList());
            case Dict dict -> {
                Dict copy = new Dict();
                dict.entries().forEach(entry -> copy.put(entry.key(), escaped(entry.value())));
                yield copy;
            }
            default -> value;
        };
    }

    /// A string added to a marked one is escaped.
    private Object concatenate(Object left, Object right) {
        boolean marked = left instanceof Markup || right instanceof Markup;
        String a = Python.chars(left);
        String b = Python.chars(right);
        if (!marked) {
            python.budget().text(a.length() + (long) b.length());
            return a.concat(b);
        }
        String text =
                (left instanceof Markup ? a : Markup.escape(a))
                        + (right instanceof Markup ? b : Markup.escape(b));
        return new Markup(python.budget().made(text));
    }

    private static boolean isList(Object value) {
        return value instanceof List<?> && !(value instanceof Range);
    }

    private static boolean isRepeatable(Object value) {
        return Python.isString(value) || isList(value) || value instanceof Tuple;
    }

    private List<Object> joined(List<Object> left, List<Object> right) {
        python.budget().steps(left.size() + (long) right.size());
        List<Object> joined = new ArrayList<>(left);
        joined.addAll(right);
        return joined;
    }

    private Object repeat(Object value, int count) {
        int times = Math.max(0, count);
        if (Python.isString(value)) {
            String text = Python.chars(value);
            python.budget().text((long) text.length() * times);
            return Python.remark(value, text.repeat(text.isEmpty() ? 0 : times));
        }
        List<Object> items = python.items(value);
        python.budget().steps((long) items.size() * times);
        List<Object> repeated = new ArrayList<>();
        for (int i = 0; i < times && !items.isEmpty(); i++) {
            repeated.addAll(items);
        }
        return value instanceof Tuple ? new Tuple(repeated) : repeated;
    }
}
