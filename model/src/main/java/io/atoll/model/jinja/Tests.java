package io.atoll.model.jinja;

import java.util.List;
import java.util.Set;

/// The tests of `value is name(arguments)`.
final class Tests {
    private static final Set<String> NAMES =
            Set.of(
                    "defined",
                    "undefined",
                    "none",
                    "boolean",
                    "true",
                    "false",
                    "integer",
                    "float",
                    "number",
                    "string",
                    "mapping",
                    "sequence",
                    "iterable",
                    "callable",
                    "odd",
                    "even",
                    "divisibleby",
                    "lower",
                    "upper",
                    "sameas",
                    "escaped",
                    "in",
                    "filter",
                    "test",
                    "eq",
                    "equalto",
                    "==",
                    "ne",
                    "!=",
                    "lt",
                    "lessthan",
                    "<",
                    "le",
                    "<=",
                    "gt",
                    "greaterthan",
                    ">",
                    "ge",
                    ">=");

    private final Python python;

    Tests(Python python) {
        this.python = python;
    }

    static boolean exists(String name) {
        return NAMES.contains(name);
    }

    boolean test(String name, Object value, Arguments arguments) {
        return switch (name) {
            case "eq", "equalto", "==" -> python.equal(value, other(arguments));
            case "ne", "!=" -> !python.equal(value, other(arguments));
            case "lt", "lessthan", "<" -> holds(Expr.Comparator.LESS, value, arguments);
            case "le", "<=" -> holds(Expr.Comparator.LESS_OR_EQUAL, value, arguments);
            case "gt", "greaterthan", ">" -> holds(Expr.Comparator.GREATER, value, arguments);
            case "ge", ">=" -> holds(Expr.Comparator.GREATER_OR_EQUAL, value, arguments);
            case "in" -> python.contains(other(arguments), value);
            case "sameas" -> same(value, other(arguments));
            case "divisibleby" -> remainder(value, other(arguments)) == 0;
            default -> {
                arguments.none();
                yield is(name, value);
            }
        };
    }

    private boolean is(String name, Object value) {
        return switch (name) {
            case "defined" -> !(value instanceof Undefined);
            case "undefined" -> value instanceof Undefined;
            case "none" -> value == None.NONE;
            case "boolean" -> value instanceof Boolean;
            case "true" -> Boolean.TRUE.equals(value);
            case "false" -> Boolean.FALSE.equals(value);
            case "integer" -> Numbers.isInteger(value) && !(value instanceof Boolean);
            case "float" -> value instanceof Double;
            case "number" -> Numbers.isNumber(value);
            case "string", "escaped" ->
                    name.equals("string") ? Python.isString(value) : value instanceof Markup;
            case "mapping" -> value instanceof Dict;
            case "sequence" ->
                    Python.isString(value)
                            || value instanceof List<?>
                            || value instanceof Tuple
                            || value instanceof Dict
                            || value instanceof Undefined;
            case "iterable" -> Python.isIterable(value);
            case "callable" -> value instanceof Function || value instanceof Undefined;
            case "odd" -> remainder(value, 2L) == 1;
            case "even" -> remainder(value, 2L) == 0;
            case "lower", "upper" -> Text.isCase(python.str(value), name.equals("upper"));
            case "filter" -> Python.isString(value) && Filters.exists(Python.chars(value));
            case "test" -> Python.isString(value) && exists(Python.chars(value));
            default -> throw PythonException.runtimeError("No test named '" + name + "' found.");
        };
    }

    private static Object other(Arguments arguments) {
        return arguments.bindRequired(1, "other")[0];
    }

    private boolean holds(Expr.Comparator comparator, Object value, Arguments arguments) {
        return python.holds(comparator, value, other(arguments));
    }

    /// Identity, which for the values without identity here is equality of value and type.
    private static boolean same(Object left, Object right) {
        boolean plain =
                left instanceof Boolean
                        || left instanceof Long
                        || left instanceof String
                        || left instanceof None;
        return plain && left.getClass() == right.getClass() && left.equals(right);
    }

    private static double remainder(Object value, Object divisor) {
        if (value instanceof Undefined undefined) {
            throw undefined.failure();
        }
        if (!Numbers.isNumber(value) || !Numbers.isNumber(divisor)) {
            throw PythonException.typeError(
                    "unsupported operand type(s) for %: '"
                            + Python.typeName(value)
                            + "' and '"
                            + Python.typeName(divisor)
                            + "'");
        }
        return Numbers.real(Numbers.arithmetic(Expr.Operator.MODULO, value, divisor));
    }
}
