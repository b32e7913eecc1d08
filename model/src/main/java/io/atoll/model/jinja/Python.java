package io.atoll.model.jinja;

import java.math.BigInteger;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.Optional;

/// What values are and do in Python: their types, how they print, compare, iterate and are looked into.
///
/// A value is a `String` or [Markup], `Boolean`, `Long` or `BigInteger`, `Double`, [None], `List`, [Tuple], [Range], [Dict],
/// [DictView], [Generator], [Namespace], [Undefined] or a [Function]. None of them changes after it is made, except a
/// [Namespace] and a [Generator]. One instance serves one rendering, whose [Budget] it charges.
final class Python {
    private final Budget budget;

    Python(Budget budget) {
        this.budget = budget;
    }

    Budget budget() {
        return budget;
    }

    static String typeName(Object value) {
        return switch (value) {
            case String _ -> "str";
            case Markup _ -> "Markup";
            case Boolean _ -> "bool";
            case Long _, BigInteger _ -> "int";
            case Double _ -> "float";
            case None _ -> "NoneType";
            case Tuple _ -> "tuple";
            case Range _ -> "range";
            case List<?> _ -> "list";
            case Dict _ -> "dict";
            case DictView view -> view.type();
            case Generator _ -> "generator";
            case Namespace _ -> "Namespace";
            case Undefined _ -> "Undefined";
            case Function function -> function.type();
            default ->
                    throw new IllegalArgumentException("not a template value: " + value.getClass());
        };
    }

    static boolean truth(Object value) {
        return switch (value) {
            case Boolean b -> b;
            case None _, Undefined _ -> false;
            case String s -> !s.isEmpty();
            case Markup m -> !m.text().isEmpty();
            case Long l -> l != 0;
            case BigInteger b -> b.signum() != 0;
            case Double d -> d != 0;
            case List<?> list -> !list.isEmpty();
            case Tuple tuple -> !tuple.items().isEmpty();
            case Dict dict -> dict.size() > 0;
            case DictView view -> !view.items().isEmpty();
            default -> true;
        };
    }

    static boolean isString(Object value) {
        return value instanceof String || value instanceof Markup;
    }

    /// The characters of a string, marked or not.
    static String chars(Object string) {
        return string instanceof Markup markup ? markup.text() : (String) string;
    }

    static String requireString(Object value, String what) {
        if (!isString(value)) {
            throw PythonException.typeError(what + " must be str, not " + typeName(value));
        }
        return chars(value);
    }

    @SuppressWarnings("unchecked") // every list a template sees holds template values
    static List<Object> list(List<?> list) {
        return (List<Object>) list;
    }

    // ---- printing

    /// `str(value)`.
    String str(Object value) {
        return switch (value) {
            case String s -> s;
            case Markup m -> m.text();
            case Undefined _ -> "";
            default -> repr(value);
        };
    }

    /// `repr(value)`.
    String repr(Object value) {
        StringBuilder out = new StringBuilder();
        repr(value, out);
        return budget.made(out.toString());
    }

    private void repr(Object value, StringBuilder out) {
        budget.enter();
        int before = out.length();
        switch (value) {
            case None _ -> out.append("None");
            case Boolean b -> out.append(b ? "True" : "False");
            case Long l -> out.append((long) l);
            case BigInteger b -> out.append(b);
            case Double d -> out.append(Numbers.repr(d));
            case String s -> Text.repr(s, out);
            case Markup m -> {
                out.append("Markup(");
                Text.repr(m.text(), out);
                out.append(')');
            }
            case Undefined _ -> out.append("Undefined");
            case Range range -> out.append(range.repr());
            case List<?> list -> reprAll("[", list, "]", out);
            case Tuple(var items) -> reprAll("(", items, items.size() == 1 ? ",)" : ")", out);
            case Dict dict -> repr(dict, out);
            case DictView view -> {
                out.append(view.type());
                reprAll("([", view.items(), "])", out);
            }
            case Namespace namespace -> {
                out.append("<Namespace ");
                repr(namespace.attributes(), out);
                out.append('>');
            }
            default -> out.append('<').append(typeName(value)).append(" object>");
        }
        budget.scan(out.length() - before);
        budget.output(out.length());
        budget.leave();
    }

    private void reprAll(String open, List<?> items, String close, StringBuilder out) {
        out.append(open);
        String separator = "";
        for (Object item : items) {
            out.append(separator);
            repr(item, out);
            separator = ", ";
        }
        out.append(close);
    }

    private void repr(Dict dict, StringBuilder out) {
        out.append('{');
        String separator = "";
        for (Dict.Entry entry : dict.entries()) {
            out.append(separator);
            repr(entry.key(), out);
            out.append(": ");
            repr(entry.value(), out);
            separator = ", ";
        }
        out.append('}');
    }

    // ---- comparing

    /// `left == right`.
    boolean equal(Object left, Object right) {
        budget.enter();
        try {
            if (Numbers.isNumber(left) && Numbers.isNumber(right)) {
                return Numbers.equal(left, right);
            }
            if (isString(left) && isString(right)) {
                budget.scan(Math.min(chars(left).length(), chars(right).length()));
                return chars(left).equals(chars(right));
            }
            return switch (left) {
                case Undefined _ -> right instanceof Undefined;
                case List<?> list ->
                        right instanceof List<?> other
                                && left instanceof Range == right instanceof Range
                                && equalAll(list, other);
                case Tuple(var items) ->
                        right instanceof Tuple(var others) && equalAll(items, others);
                case Dict dict -> right instanceof Dict other && equal(dict, other);
                default -> left.equals(right);
            };
        } finally {
            budget.leave();
        }
    }

    private boolean equalAll(List<?> left, List<?> right) {
        if (left.size() != right.size()) {
            return false;
        }
        for (int i = 0; i < left.size(); i++) {
            if (!equal(left.get(i), right.get(i))) {
                return false;
            }
        }
        return true;
    }

    private boolean equal(Dict left, Dict right) {
        if (left.size() != right.size()) {
            return false;
        }
        for (Dict.Entry entry : left.entries()) {
            if (!right.contains(entry.key())
                    || !equal(entry.value(), right.getOrDefault(entry.key(), None.NONE))) {
                return false;
            }
        }
        return true;
    }

    /// Order of two values that Python can order; `operator` is for the error of two that it cannot.
    int order(Object left, Object right, String operator) {
        budget.enter();
        try {
            if (Numbers.isNumber(left) && Numbers.isNumber(right)) {
                return Numbers.compare(left, right);
            }
            if (isString(left) && isString(right)) {
                budget.scan(Math.min(chars(left).length(), chars(right).length()));
                return Text.compare(chars(left), chars(right));
            }
            if (left instanceof Undefined undefined) {
                throw undefined.failure();
            }
            if (right instanceof Undefined undefined) {
                throw undefined.failure();
            }
            Optional<List<Object>> a = orderedItems(left);
            Optional<List<Object>> b = orderedItems(right);
            if (a.isEmpty() || b.isEmpty() || left instanceof Tuple != right instanceof Tuple) {
                throw PythonException.typeError(
                        "'"
                                + operator
                                + "' not supported between instances of '"
                                + typeName(left)
                                + "' and '"
                                + typeName(right)
                                + "'");
            }
            return order(a.get(), b.get(), operator);
        } finally {
            budget.leave();
        }
    }

    boolean holds(Expr.Comparator comparator, Object left, Object right) {
        return switch (comparator) {
            case EQUAL -> equal(left, right);
            case NOT_EQUAL -> !equal(left, right);
            case LESS -> !unordered(left, right) && order(left, right, "<") < 0;
            case LESS_OR_EQUAL -> !unordered(left, right) && order(left, right, "<=") <= 0;
            case GREATER -> !unordered(left, right) && order(left, right, ">") > 0;
            case GREATER_OR_EQUAL -> !unordered(left, right) && order(left, right, ">=") >= 0;
            case IN -> contains(right, left);
            case NOT_IN -> !contains(right, left);
        };
    }

    private static boolean unordered(Object left, Object right) {
        return Numbers.isNumber(left)
                && Numbers.isNumber(right)
                && (Numbers.isNaN(left) || Numbers.isNaN(right));
    }

    private static Optional<List<Object>> orderedItems(Object value) {
        return switch (value) {
            case Range _ -> Optional.empty();
            case List<?> list -> Optional.of(list(list));
            case Tuple(var items) -> Optional.of(items);
            default -> Optional.empty();
        };
    }

    private int order(List<Object> left, List<Object> right, String operator) {
        int common = Math.min(left.size(), right.size());
        for (int i = 0; i < common; i++) {
            if (!equal(left.get(i), right.get(i))) {
                return order(left.get(i), right.get(i), operator);
            }
        }
        return Integer.compare(left.size(), right.size());
    }

    // ---- looking into

    /// `len(value)`.
    static Object length(Object value) {
        return (long)
                switch (value) {
                    case String s -> Text.length(s);
                    case Markup m -> Text.length(m.text());
                    case List<?> list -> list.size();
                    case Tuple tuple -> tuple.items().size();
                    case Dict dict -> dict.size();
                    case DictView view -> view.items().size();
                    case Undefined _ -> 0;
                    case LoopContext loop -> loop.length();
                    default ->
                            throw PythonException.typeError(
                                    "object of type '" + typeName(value) + "' has no len()");
                };
    }

    static boolean isIterable(Object value) {
        return switch (value) {
            case String _,
                    Markup _,
                    List<?> _,
                    Tuple _,
                    Dict _,
                    DictView _,
                    Generator _,
                    Undefined _,
                    LoopContext _ ->
                    true;
            default -> false;
        };
    }

    /// `iter(value)`.
    Iterator<Object> iterate(Object value) {
        if (value instanceof Generator generator) {
            return generator.items();
        }
        return items(value).iterator();
    }

    /// `list(value)`; shares the elements of a value that has them in a list. Must not be changed.
    List<Object> items(Object value) {
        return switch (value) {
            case String s -> characters(s);
            case Markup m -> characters(m.text());
            case List<?> list -> list(list);
            case Tuple(var items) -> items;
            case Dict dict -> dict.keys();
            case DictView view -> view.items();
            case Generator generator -> drain(generator.items());
            case Undefined _ -> List.of();
            default ->
                    throw PythonException.typeError(
                            "'" + typeName(value) + "' object is not iterable");
        };
    }

    private List<Object> drain(Iterator<Object> iterator) {
        List<Object> items = new ArrayList<>();
        while (iterator.hasNext()) {
            budget.step();
            items.add(iterator.next());
        }
        return items;
    }

    private List<Object> characters(String text) {
        budget.steps(text.length());
        List<Object> characters = new ArrayList<>(text.length());
        for (int i = 0; i < text.length(); ) {
            int end = text.offsetByCodePoints(i, 1);
            characters.add(text.substring(i, end));
            i = end;
        }
        return characters;
    }

    /// `item in container`.
    boolean contains(Object container, Object item) {
        return switch (container) {
            case String _, Markup _ -> {
                if (!isString(item)) {
                    throw PythonException.typeError(
                            "'in <string>' requires string as left operand, not " + typeName(item));
                }
                yield find(chars(container), chars(item), 0) >= 0;
            }
            case Dict dict -> dict.contains(item);
            case List<?> _, Tuple _, DictView _, Generator _, Undefined _ ->
                    containsAny(iterate(container), item);
            default ->
                    throw PythonException.typeError(
                            "argument of type '" + typeName(container) + "' is not iterable");
        };
    }

    private boolean containsAny(Iterator<Object> items, Object wanted) {
        while (items.hasNext()) {
            if (equal(items.next(), wanted)) {
                return true;
            }
        }
        return false;
    }

    /// `indexOf`, paid for by the worst that a search can take.
    int find(String text, String part, int from) {
        long length = Math.max(0, text.length() - from);
        budget.scan(
                part.length() <= 32
                        ? length
                        : Math.multiplyExact(length, (long) part.length()) / 8);
        return text.indexOf(part, from);
    }

    /// `target[start:stop:step]`, each bound an integer or [None].
    Object slice(Object target, Object start, Object stop, Object step) {
        int stride = step == None.NONE ? 1 : Numbers.index(step, "slice step");
        if (stride == 0) {
            throw PythonException.valueError("slice step cannot be zero");
        }
        int size = (int) (long) length(target);
        int from = bound(start, stride > 0 ? 0 : size - 1, size, stride);
        int to = bound(stop, stride > 0 ? size : -1, size, stride);
        if (target instanceof String || target instanceof Markup) {
            String text = chars(target);
            budget.text(text.length());
            return remark(target, Text.slice(text, size, from, to, stride));
        }
        if (target instanceof Range range) {
            return range.slice(from, to, stride);
        }
        List<Object> source = items(target);
        List<Object> picked = new ArrayList<>();
        for (long i = from; stride > 0 ? i < to : i > to; i += stride) {
            picked.add(source.get((int) i));
        }
        budget.steps(picked.size());
        return target instanceof Tuple ? new Tuple(picked) : picked;
    }

    private static int bound(Object bound, int missing, int size, int stride) {
        if (bound == None.NONE) {
            return missing;
        }
        long index = Numbers.index(bound, "slice index");
        if (index < 0) {
            index += size;
        }
        long lowest = stride > 0 ? 0 : -1;
        long highest = stride > 0 ? size : size - 1L;
        return (int) Math.clamp(index, lowest, highest);
    }

    /// Marks `text` if it was made from a marked string.
    static Object remark(Object original, String text) {
        return original instanceof Markup ? new Markup(text) : text;
    }
}
