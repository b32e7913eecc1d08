package io.atoll.model.jinja;

import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.HashSet;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.NoSuchElementException;
import java.util.Optional;
import java.util.Set;
import java.util.function.Predicate;
import java.util.function.UnaryOperator;
import java.util.regex.Pattern;

/// The filters of `value | name(arguments)`.
final class Filters {
    private static final Set<String> NAMES =
            Set.of(
                    "abs",
                    "attr",
                    "batch",
                    "capitalize",
                    "center",
                    "count",
                    "d",
                    "default",
                    "dictsort",
                    "e",
                    "escape",
                    "first",
                    "float",
                    "forceescape",
                    "format",
                    "groupby",
                    "indent",
                    "int",
                    "items",
                    "join",
                    "last",
                    "length",
                    "list",
                    "lower",
                    "map",
                    "max",
                    "min",
                    "reject",
                    "rejectattr",
                    "replace",
                    "reverse",
                    "round",
                    "safe",
                    "select",
                    "selectattr",
                    "slice",
                    "sort",
                    "string",
                    "sum",
                    "title",
                    "tojson",
                    "trim",
                    "truncate",
                    "unique",
                    "upper",
                    "wordcount");
    private static final Pattern WORD = Pattern.compile("[\\p{L}\\p{N}_]+");
    private static final Pattern TITLE_BREAK = Pattern.compile("[-\\s({\\[<]+");

    private final Python python;
    private final Attributes attributes;
    private final Tests tests;
    private final StringMethods strings;
    private final Formatter formatter;

    Filters(Python python, Attributes attributes, Tests tests) {
        this.python = python;
        this.attributes = attributes;
        this.tests = tests;
        this.strings = new StringMethods(python);
        this.formatter = new Formatter(python);
    }

    static boolean exists(String name) {
        return NAMES.contains(name);
    }

    Object apply(String name, Object value, Arguments arguments) {
        return switch (name) {
            // text
            case "string" -> {
                arguments.none();
                yield Python.isString(value) ? value : python.str(value);
            }
            case "trim" -> strings.call(soft(value), "strip", arguments);
            case "upper", "lower", "capitalize" -> strings.call(soft(value), name, arguments);
            case "title" -> {
                arguments.none();
                yield Python.remark(value, python.budget().made(title(Python.chars(soft(value)))));
            }
            case "center" -> {
                Object[] given = arguments.bind("width");
                int width = given[0] == null ? 80 : Numbers.index(given[0], "width");
                Object text = soft(value);
                yield Python.remark(
                        text, strings.justify(Python.chars(text), width, "center", " "));
            }
            case "replace" -> {
                Object[] given = arguments.bindRequired(2, "old", "new", "count");
                int count =
                        given[2] == null || given[2] == None.NONE
                                ? -1
                                : Numbers.index(given[2], "count");
                yield strings.replace(
                        python.str(value), python.str(given[0]), python.str(given[1]), count);
            }
            case "indent" -> indent(value, arguments);
            case "truncate" -> truncate(value, arguments);
            case "wordcount" -> {
                arguments.none();
                yield WORD.matcher(python.str(value)).results().count();
            }
            case "format" -> format(value, arguments);
            case "e", "escape" -> {
                arguments.none();
                yield value instanceof Markup ? value : new Markup(escaped(python.str(value)));
            }
            case "forceescape" -> {
                arguments.none();
                yield new Markup(escaped(python.str(value)));
            }
            case "safe" -> {
                arguments.none();
                yield new Markup(python.str(value));
            }
            case "tojson" -> Json.filter(python, value, arguments);
            case "join" -> join(value, arguments);
            // numbers
            case "abs" -> abs(value, arguments);
            case "int" -> integer(value, arguments);
            case "float" -> real(value, arguments);
            case "round" -> round(value, arguments);
            case "sum" -> sum(value, arguments);
            // one value of several
            case "default", "d" -> {
                Object[] given = arguments.bind("default_value", "boolean");
                boolean falseToo = given[1] != null && Python.truth(given[1]);
                boolean missing = value instanceof Undefined || (falseToo && !Python.truth(value));
                yield !missing ? value : given[0] == null ? "" : given[0];
            }
            case "attr" -> attr(value, arguments);
            case "length", "count" -> {
                arguments.none();
                yield Python.length(value);
            }
            case "first" -> {
                arguments.none();
                Iterator<Object> items = python.iterate(value);
                yield items.hasNext()
                        ? items.next()
                        : Undefined.because("No first item, sequence was empty.");
            }
            case "last" -> {
                arguments.none();
                if (value instanceof Generator) {
                    throw PythonException.typeError("'generator' object is not reversible");
                }
                List<Object> items = python.items(value);
                yield items.isEmpty()
                        ? Undefined.because("No last item, sequence was empty.")
                        : items.getLast();
            }
            case "min", "max" -> extreme(value, arguments, name.equals("max"));
            // sequences
            case "list" -> {
                arguments.none();
                yield copy(python.items(value));
            }
            case "items" -> {
                arguments.none();
                yield items(value);
            }
            case "reverse" -> {
                arguments.none();
                yield reverse(value);
            }
            case "sort" -> sort(value, arguments);
            case "dictsort" -> dictSort(value, arguments);
            case "unique" -> unique(value, arguments);
            case "groupby" -> groupBy(value, arguments);
            case "batch" -> batch(value, arguments);
            case "slice" -> slice(value, arguments);
            case "map" -> map(value, arguments);
            case "select" -> select(value, arguments, false, true);
            case "reject" -> select(value, arguments, false, false);
            case "selectattr" -> select(value, arguments, true, true);
            case "rejectattr" -> select(value, arguments, true, false);
            default -> throw PythonException.runtimeError("No filter named '" + name + "' found.");
        };
    }

    // ---- text

    /// The value if it is a string, else its string.
    private Object soft(Object value) {
        return Python.isString(value) ? value : python.str(value);
    }

    private String escaped(String text) {
        return python.budget().made(Markup.escape(text));
    }

    /// Every word starts with a capital, where words are parted by white space, dashes and opening brackets only.
    private static String title(String text) {
        StringBuilder out = new StringBuilder(text.length());
        int start = 0;
        var breaks = TITLE_BREAK.matcher(text);
        while (breaks.find()) {
            out.append(upperFirst(text.substring(start, breaks.start()))).append(breaks.group());
            start = breaks.end();
        }
        return out.append(upperFirst(text.substring(start))).toString();
    }

    private static String upperFirst(String word) {
        if (word.isEmpty()) {
            return word;
        }
        int first = word.offsetByCodePoints(0, 1);
        return word.substring(0, first).toUpperCase(Locale.ROOT)
                + word.substring(first).toLowerCase(Locale.ROOT);
    }

    private Object indent(Object value, Arguments arguments) {
        Object[] given = arguments.bind("width", "first", "blank");
        String text = Python.requireString(value, "indent's operand");
        int width =
                given[0] == null
                        ? 4
                        : Python.isString(given[0]) ? 0 : Numbers.index(given[0], "width");
        boolean first = given[1] != null && Python.truth(given[1]);
        boolean blank = given[2] != null && Python.truth(given[2]);
        List<String> lines = Text.splitLines(text + "\n", false);
        boolean literal = given[0] != null && Python.isString(given[0]);
        long indentChars = literal ? Python.chars(given[0]).length() : Math.max(0, width);
        python.budget().text(text.length() + lines.size() * indentChars);
        String indentation = literal ? Python.chars(given[0]) : " ".repeat(Math.max(0, width));
        StringBuilder out = new StringBuilder(first ? indentation : "");
        for (int i = 0; i < lines.size(); i++) {
            boolean indented = i > 0 && (blank || !lines.get(i).isEmpty());
            out.append(i > 0 ? "\n" : "").append(indented ? indentation : "").append(lines.get(i));
        }
        return Python.remark(value, out.toString());
    }

    private Object truncate(Object value, Arguments arguments) {
        Object[] given = arguments.bind("length", "killwords", "end", "leeway");
        String text = Python.requireString(value, "truncate's operand");
        int length = given[0] == null ? 255 : Numbers.index(given[0], "length");
        String end = given[2] == null ? "..." : Python.requireString(given[2], "end");
        int leeway =
                given[3] == null || given[3] == None.NONE ? 5 : Numbers.index(given[3], "leeway");
        int size = Text.length(text);
        if (length < Text.length(end) || leeway < 0) {
            throw PythonException.valueError("truncate to " + length + " with leeway " + leeway);
        }
        if (size <= (long) length + leeway) {
            return text;
        }
        String cut = Text.slice(text, size, 0, length - Text.length(end), 1);
        if (given[1] == null || !Python.truth(given[1])) {
            int space = cut.lastIndexOf(' ');
            cut = space < 0 ? cut : cut.substring(0, space);
        }
        return python.budget().made(cut + end);
    }

    private Object format(Object value, Arguments arguments) {
        if (!arguments.positional().isEmpty() && !arguments.keywords().isEmpty()) {
            throw PythonException.typeError(
                    "can't handle positional and keyword arguments at the same time");
        }
        Object values = new Tuple(arguments.positional());
        if (!arguments.keywords().isEmpty()) {
            Dict dict = new Dict();
            arguments.keywords().forEach(dict::put);
            values = dict;
        }
        return formatter.percent(python.str(value), values);
    }

    private Object join(Object value, Arguments arguments) {
        Object[] given = arguments.bind("d", "attribute");
        UnaryOperator<Object> getter = getter(given[1]);
        String separator = given[0] == null ? "" : python.str(given[0]);
        StringBuilder out = new StringBuilder();
        boolean first = true;
        Iterator<Object> items = python.iterate(value);
        while (items.hasNext()) {
            String part = python.str(getter.apply(items.next()));
            python.budget().text(part.length() + (long) separator.length());
            out.append(first ? "" : separator).append(part);
            first = false;
        }
        return out.toString();
    }

    // ---- numbers

    private static Object abs(Object value, Arguments arguments) {
        arguments.none();
        if (value instanceof Double d) {
            return Math.abs(d);
        }
        if (!Numbers.isInteger(value)) {
            throw PythonException.typeError(
                    "bad operand type for abs(): '" + Python.typeName(value) + "'");
        }
        return Numbers.integer(Numbers.big(value).abs());
    }

    private static Object integer(Object value, Arguments arguments) {
        Object[] given = arguments.bind("default", "base");
        Object fallback = given[0] == null ? 0L : given[0];
        int base = given[1] == null ? 10 : Numbers.index(given[1], "base");
        return switch (value) {
            case Double d ->
                    Double.isNaN(d) || Double.isInfinite(d) ? fallback : Numbers.truncate(d);
            case Undefined undefined -> throw undefined.failure();
            case String _, Markup _ -> {
                String text = Python.chars(value);
                Optional<Object> whole = Numbers.parseInteger(text, base);
                yield whole.orElseGet(
                        () ->
                                Numbers.parseReal(text)
                                        .filter(d -> !d.isNaN() && !d.isInfinite())
                                        .map(Numbers::truncate)
                                        .orElse(fallback));
            }
            default -> Numbers.isInteger(value) ? Numbers.integer(Numbers.big(value)) : fallback;
        };
    }

    private static Object real(Object value, Arguments arguments) {
        Object fallback = arguments.bind("default")[0];
        if (value instanceof Undefined undefined) {
            throw undefined.failure();
        }
        if (Numbers.isNumber(value)) {
            return Numbers.real(value);
        }
        Object missing = fallback == null ? (Object) 0.0 : fallback;
        return Python.isString(value)
                ? Numbers.parseReal(Python.chars(value)).map(Object.class::cast).orElse(missing)
                : missing;
    }

    private static Object round(Object value, Arguments arguments) {
        Object[] given = arguments.bind("precision", "method");
        int precision = given[0] == null ? 0 : Numbers.index(given[0], "precision");
        String method = given[1] == null ? "common" : Python.requireString(given[1], "method");
        if (value instanceof Undefined undefined) {
            throw undefined.failure();
        }
        if (!Numbers.isNumber(value)) {
            throw PythonException.typeError(
                    "type " + Python.typeName(value) + " doesn't define __round__ method");
        }
        if (method.equals("common")) {
            return Numbers.round(value, precision);
        }
        if (!method.equals("ceil") && !method.equals("floor")) {
            throw PythonException.valueError("method must be common, ceil or floor");
        }
        Object scale = Numbers.arithmetic(Expr.Operator.POWER, 10L, (long) precision);
        double scaled = Numbers.real(Numbers.arithmetic(Expr.Operator.MULTIPLY, value, scale));
        Object whole =
                Numbers.truncate(method.equals("ceil") ? Math.ceil(scaled) : Math.floor(scaled));
        return Numbers.arithmetic(Expr.Operator.DIVIDE, whole, scale);
    }

    private Object sum(Object value, Arguments arguments) {
        Object[] given = arguments.bind("attribute", "start");
        UnaryOperator<Object> getter = getter(given[0]);
        Object sum = given[1] == null ? 0L : given[1];
        Iterator<Object> items = python.iterate(value);
        while (items.hasNext()) {
            sum = new Operators(python).apply(Expr.Operator.ADD, sum, getter.apply(items.next()));
        }
        return sum;
    }

    // ---- looking into elements

    /// Reads `attribute`, a path of names and indices with dots between them; without one, the element itself.
    private UnaryOperator<Object> getter(Object attribute) {
        if (attribute == null || attribute == None.NONE) {
            return item -> item;
        }
        if (!Python.isString(attribute)) {
            return item -> attributes.item(item, attribute);
        }
        List<Object> path = new ArrayList<>();
        for (String part : Python.chars(attribute).split("\\.", -1)) {
            boolean digits = !part.isEmpty() && part.chars().allMatch(Character::isDigit);
            path.add(digits ? Numbers.parseInteger(part, 10).orElse(part) : part);
        }
        return item -> {
            Object found = item;
            for (Object part : path) {
                found = attributes.item(found, part);
            }
            return found;
        };
    }

    private Object attr(Object value, Arguments arguments) {
        String name = Python.requireString(arguments.bindRequired(1, "name")[0], "attribute name");
        Object found = attributes.attribute(value instanceof Dict ? new Dict() : value, name);
        return found instanceof Function && value instanceof Dict
                ? attributes.attribute(value, name)
                : found;
    }

    private static Object folded(Object value, boolean caseSensitive) {
        return !caseSensitive && Python.isString(value)
                ? Python.chars(value).toLowerCase(Locale.ROOT)
                : value;
    }

    private Object extreme(Object value, Arguments arguments, boolean largest) {
        Object[] given = arguments.bind("case_sensitive", "attribute");
        boolean caseSensitive = given[0] != null && Python.truth(given[0]);
        UnaryOperator<Object> getter = getter(given[1]);
        Iterator<Object> items = python.iterate(value);
        if (!items.hasNext()) {
            return Undefined.because("No aggregated item, sequence was empty.");
        }
        Object best = items.next();
        Object bestKey = folded(getter.apply(best), caseSensitive);
        while (items.hasNext()) {
            Object item = items.next();
            Object key = folded(getter.apply(item), caseSensitive);
            int order = python.order(key, bestKey, largest ? ">" : "<");
            if (largest ? order > 0 : order < 0) {
                best = item;
                bestKey = key;
            }
        }
        return best;
    }

    // ---- sequences

    private List<Object> copy(List<Object> items) {
        python.budget().steps(items.size());
        return new ArrayList<>(items);
    }

    private Generator generator(List<Object> items) {
        python.budget().steps(items.size());
        return new Generator(items.iterator());
    }

    /// As lazy as in Jinja2: what is no mapping fails when it is iterated.
    private Generator items(Object value) {
        return switch (value) {
            case Dict dict -> generator(dict.items());
            case Undefined _ -> generator(List.of());
            default ->
                    new Generator(
                            new Iterator<>() {
                                @Override
                                public boolean hasNext() {
                                    throw PythonException.typeError(
                                            "Can only get item pairs from a mapping.");
                                }

                                @Override
                                public Object next() {
                                    throw new NoSuchElementException();
                                }
                            });
        };
    }

    private Object reverse(Object value) {
        if (Python.isString(value)) {
            return python.slice(value, None.NONE, None.NONE, -1L);
        }
        List<Object> items = copy(python.items(value));
        Collections.reverse(items);
        return value instanceof Generator ? items : generator(items);
    }

    private List<Object> sorted(List<Object> items, UnaryOperator<Object> key, boolean reverse) {
        record Keyed(Object key, Object item) {}
        List<Keyed> keyed = new ArrayList<>(items.size());
        for (Object item : items) {
            keyed.add(new Keyed(key.apply(item), item));
        }
        Comparator<Keyed> order = (a, b) -> python.order(a.key(), b.key(), "<");
        keyed.sort(reverse ? order.reversed() : order);
        List<Object> sorted = new ArrayList<>(items.size());
        keyed.forEach(k -> sorted.add(k.item()));
        return sorted;
    }

    private Object sort(Object value, Arguments arguments) {
        Object[] given = arguments.bind("reverse", "case_sensitive", "attribute");
        boolean reverse = given[0] != null && Python.truth(given[0]);
        boolean caseSensitive = given[1] != null && Python.truth(given[1]);
        List<UnaryOperator<Object>> getters = new ArrayList<>();
        if (given[2] != null && Python.isString(given[2])) {
            for (String part : Python.chars(given[2]).split(",", -1)) {
                getters.add(getter(part));
            }
        } else {
            getters.add(getter(given[2]));
        }
        return sorted(
                python.items(value),
                item -> {
                    List<Object> keys = new ArrayList<>();
                    getters.forEach(getter -> keys.add(folded(getter.apply(item), caseSensitive)));
                    return keys;
                },
                reverse);
    }

    private Object dictSort(Object value, Arguments arguments) {
        Object[] given = arguments.bind("case_sensitive", "by", "reverse");
        boolean caseSensitive = given[0] != null && Python.truth(given[0]);
        String by = given[1] == null ? "key" : Python.requireString(given[1], "by");
        boolean reverse = given[2] != null && Python.truth(given[2]);
        if (!by.equals("key") && !by.equals("value")) {
            throw PythonException.valueError("You can only sort by either \"key\" or \"value\"");
        }
        if (!(value instanceof Dict dict)) {
            throw PythonException.typeError(
                    "dictsort needs a mapping, not " + Python.typeName(value));
        }
        int part = by.equals("key") ? 0 : 1;
        return sorted(
                dict.items(), item -> folded(python.items(item).get(part), caseSensitive), reverse);
    }

    private Object unique(Object value, Arguments arguments) {
        Object[] given = arguments.bind("case_sensitive", "attribute");
        boolean caseSensitive = given[0] != null && Python.truth(given[0]);
        UnaryOperator<Object> getter = getter(given[1]);
        Set<Object> seen = new HashSet<>();
        return new Generator(
                filtered(
                        python.iterate(value),
                        item ->
                                seen.add(
                                        Dict.hashable(folded(getter.apply(item), caseSensitive)))));
    }

    private Object groupBy(Object value, Arguments arguments) {
        Object[] given = arguments.bindRequired(1, "attribute", "default", "case_sensitive");
        boolean caseSensitive = given[2] != null && Python.truth(given[2]);
        UnaryOperator<Object> attribute = orDefault(getter(given[0]), given[1]);
        UnaryOperator<Object> key = item -> folded(attribute.apply(item), caseSensitive);
        List<Object> groups = new ArrayList<>();
        List<Object> group = new ArrayList<>();
        for (Object item : sorted(python.items(value), key, false)) {
            if (!group.isEmpty() && !python.equal(key.apply(group.getFirst()), key.apply(item))) {
                groups.add(Tuple.of(attribute.apply(group.getFirst()), group));
                group = new ArrayList<>();
            }
            group.add(item);
        }
        if (!group.isEmpty()) {
            groups.add(Tuple.of(attribute.apply(group.getFirst()), group));
        }
        return groups;
    }

    private static UnaryOperator<Object> orDefault(UnaryOperator<Object> getter, Object fallback) {
        return fallback == null || fallback == None.NONE
                ? getter
                : item -> {
                    Object found = getter.apply(item);
                    return found instanceof Undefined ? fallback : found;
                };
    }

    private Object batch(Object value, Arguments arguments) {
        Object[] given = arguments.bindRequired(1, "linecount", "fill_with");
        int size = Numbers.index(given[0], "linecount");
        List<Object> batches = new ArrayList<>();
        List<Object> batch = new ArrayList<>();
        for (Object item : python.items(value)) {
            if (batch.size() == size) {
                batches.add(batch);
                batch = new ArrayList<>();
            }
            batch.add(item);
        }
        if (!batch.isEmpty()) {
            if (given[1] != null && given[1] != None.NONE) {
                python.budget().steps(Math.max(0, size));
                batch.addAll(Collections.nCopies(Math.max(0, size - batch.size()), given[1]));
            }
            batches.add(batch);
        }
        return generator(batches);
    }

    private Object slice(Object value, Arguments arguments) {
        Object[] given = arguments.bindRequired(1, "slices", "fill_with");
        List<Object> items = python.items(value);
        int slices = Numbers.index(given[0], "slices");
        if (slices == 0) {
            throw PythonException.arithmetic("integer division or modulo by zero");
        }
        python.budget().steps(Math.max(0, slices));
        List<Object> columns = new ArrayList<>();
        int start = 0;
        for (int i = 0; i < slices; i++) {
            boolean longer = i < items.size() % slices;
            int end = start + items.size() / slices + (longer ? 1 : 0);
            List<Object> column = new ArrayList<>(items.subList(start, end));
            if (!longer && given[1] != null && given[1] != None.NONE) {
                column.add(given[1]);
            }
            columns.add(column);
            start = end;
        }
        return generator(columns);
    }

    private Object map(Object value, Arguments arguments) {
        if (!Python.truth(value)) {
            return generator(List.of());
        }
        UnaryOperator<Object> mapping;
        if (arguments.positional().isEmpty() && arguments.keywords().containsKey("attribute")) {
            Object[] given = arguments.bind("attribute", "default");
            mapping = orDefault(getter(given[0]), given[1]);
        } else if (arguments.positional().isEmpty()) {
            throw PythonException.typeError("map requires a filter argument");
        } else {
            String name = Python.requireString(arguments.positional().getFirst(), "filter name");
            Arguments rest = rest(arguments, name, 1);
            mapping = item -> apply(name, item, rest);
        }
        Iterator<Object> items = python.iterate(value);
        return new Generator(
                new Iterator<>() {
                    @Override
                    public boolean hasNext() {
                        return items.hasNext();
                    }

                    @Override
                    public Object next() {
                        python.budget().enter();
                        Object mapped = mapping.apply(items.next());
                        python.budget().leave();
                        return mapped;
                    }
                });
    }

    private static Arguments rest(Arguments arguments, String callee, int from) {
        List<Object> positional = arguments.positional();
        Map<String, Object> keywords = new LinkedHashMap<>(arguments.keywords());
        return new Arguments(
                callee,
                positional.subList(Math.min(from, positional.size()), positional.size()),
                keywords);
    }

    /// `select` and its three siblings: keeps the elements (or those whose attribute) for which a test says `wanted`.
    private Object select(Object value, Arguments arguments, boolean byAttribute, boolean wanted) {
        if (!Python.truth(value)) {
            return generator(List.of());
        }
        List<Object> positional = arguments.positional();
        if (byAttribute && positional.isEmpty()) {
            throw PythonException.typeError("Missing parameter for attribute name");
        }
        UnaryOperator<Object> getter = getter(byAttribute ? positional.getFirst() : null);
        int testAt = byAttribute ? 1 : 0;
        Predicate<Object> predicate = Python::truth;
        if (positional.size() > testAt) {
            String name = Python.requireString(positional.get(testAt), "test name");
            Arguments rest = rest(arguments, name, testAt + 1);
            predicate = item -> tests.test(name, item, rest);
        }
        Predicate<Object> chosen = predicate;
        return new Generator(
                filtered(python.iterate(value), item -> chosen.test(getter.apply(item)) == wanted));
    }

    private Iterator<Object> filtered(Iterator<Object> items, Predicate<Object> predicate) {
        return new Iterator<>() {
            private Object ahead; // null: not looked for yet, or none left

            @Override
            public boolean hasNext() {
                python.budget().enter();
                while (ahead == null && items.hasNext()) {
                    python.budget().step();
                    Object item = items.next();
                    if (predicate.test(item)) {
                        ahead = item;
                    }
                }
                python.budget().leave();
                return ahead != null;
            }

            @Override
            public Object next() {
                if (!hasNext()) {
                    throw new NoSuchElementException();
                }
                Object item = ahead;
                ahead = null;
                return item;
            }
        };
    }
}
