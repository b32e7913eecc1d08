package io.atoll.model.jinja;

import java.math.BigInteger;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Locale;

/// Writes values as `json.dumps` does, which is what the filter `tojson` of chat templates is: keys in the order they came,
/// `<` and non-ASCII characters as they are, `", "` and `": "` between things, integers and floats as given.
final class Json {
    private final Python python;
    private final boolean asciiOnly;
    private final boolean sortKeys;
    private final boolean lines;
    private final String indent;
    private final String itemSeparator;
    private final String keySeparator;
    private final StringBuilder out = new StringBuilder();

    private Json(
            Python python,
            boolean asciiOnly,
            boolean sortKeys,
            boolean lines,
            String indent,
            String itemSeparator,
            String keySeparator) {
        this.python = python;
        this.asciiOnly = asciiOnly;
        this.sortKeys = sortKeys;
        this.lines = lines;
        this.indent = indent;
        this.itemSeparator = itemSeparator;
        this.keySeparator = keySeparator;
    }

    /// The filter: `value | tojson(ensure_ascii=False, indent=None, separators=None, sort_keys=False)`.
    static String filter(Python python, Object value, Arguments arguments) {
        Object[] given = arguments.bind("ensure_ascii", "indent", "separators", "sort_keys");
        boolean lines = given[1] != null && given[1] != None.NONE;
        String indent = "";
        if (lines) {
            indent =
                    Python.isString(given[1])
                            ? Python.chars(given[1])
                            : spaces(Numbers.index(given[1], "indent"));
        }
        String itemSeparator = lines ? "," : ", ";
        String keySeparator = ": ";
        if (given[2] != null && given[2] != None.NONE) {
            List<Object> separators = python.items(given[2]);
            if (separators.size() != 2) {
                throw PythonException.valueError(
                        "separators must be a pair, not " + separators.size() + " values");
            }
            itemSeparator = Python.requireString(separators.get(0), "item separator");
            keySeparator = Python.requireString(separators.get(1), "key separator");
        }
        Json json =
                new Json(
                        python,
                        given[0] != null && Python.truth(given[0]),
                        given[3] != null && Python.truth(given[3]),
                        lines,
                        indent,
                        itemSeparator,
                        keySeparator);
        json.write(value, 0);
        return python.budget().made(json.out.toString());
    }

    private static String spaces(int count) {
        if (count > 1000) {
            throw PythonException.overLimit("an indentation of " + count);
        }
        return " ".repeat(Math.max(0, count));
    }

    private void write(Object value, int level) {
        python.budget().enter();
        int before = out.length();
        switch (value) {
            case None _ -> out.append("null");
            case Boolean b -> out.append(b ? "true" : "false");
            case Long l -> out.append((long) l);
            case BigInteger b -> out.append(b);
            case Double d -> out.append(real(d));
            case String s -> string(s);
            case Markup m -> string(m.text());
            case Range _ -> throw notSerializable(value);
            case List<?> list -> array(Python.list(list), level);
            case Tuple(var items) -> array(items, level);
            case Dict dict -> object(dict, level);
            default -> throw notSerializable(value);
        }
        python.budget().scan(out.length() - before);
        python.budget().output(out.length());
        python.budget().leave();
    }

    private static PythonException notSerializable(Object value) {
        return PythonException.typeError(
                "Object of type " + Python.typeName(value) + " is not JSON serializable");
    }

    private static String real(double value) {
        if (Double.isNaN(value)) {
            return "NaN";
        }
        if (Double.isInfinite(value)) {
            return value > 0 ? "Infinity" : "-Infinity";
        }
        return Numbers.repr(value);
    }

    private void array(List<Object> items, int level) {
        if (items.isEmpty()) {
            out.append("[]");
            return;
        }
        out.append('[');
        boolean first = true;
        for (Object item : items) {
            separate(first, level + 1);
            first = false;
            write(item, level + 1);
        }
        newLine(level);
        out.append(']');
    }

    private void object(Dict dict, int level) {
        if (dict.size() == 0) {
            out.append("{}");
            return;
        }
        out.append('{');
        boolean first = true;
        for (Dict.Entry entry : sorted(dict.entries())) {
            separate(first, level + 1);
            first = false;
            string(key(entry.key()));
            out.append(keySeparator);
            write(entry.value(), level + 1);
        }
        newLine(level);
        out.append('}');
    }

    private Collection<Dict.Entry> sorted(Collection<Dict.Entry> entries) {
        if (!sortKeys) {
            return entries;
        }
        List<Dict.Entry> sorted = new ArrayList<>(entries);
        sorted.sort((a, b) -> python.order(a.key(), b.key(), "<"));
        return sorted;
    }

    private static String key(Object key) {
        return switch (key) {
            case String s -> s;
            case Markup m -> m.text();
            case None _ -> "null";
            case Boolean b -> b ? "true" : "false";
            case Long l -> Long.toString(l);
            case BigInteger b -> b.toString();
            case Double d -> real(d);
            default ->
                    throw PythonException.typeError(
                            "keys must be str, int, float, bool or None, not "
                                    + Python.typeName(key));
        };
    }

    private void separate(boolean first, int level) {
        if (!first) {
            out.append(itemSeparator);
        }
        newLine(level);
    }

    private void newLine(int level) {
        if (lines) {
            out.append('\n').repeat(indent, level);
        }
    }

    private void string(String text) {
        out.append('"');
        for (int i = 0; i < text.length(); i++) {
            char c = text.charAt(i);
            switch (c) {
                case '"' -> out.append("\\\"");
                case '\\' -> out.append("\\\\");
                case '\n' -> out.append("\\n");
                case '\r' -> out.append("\\r");
                case '\t' -> out.append("\\t");
                case '\f' -> out.append("\\f");
                case '\b' -> out.append("\\b");
                default -> {
                    if (c < ' ' || (asciiOnly && c > '~')) {
                        out.append(String.format(Locale.ROOT, "\\u%04x", (int) c));
                    } else {
                        out.append(c);
                    }
                }
            }
        }
        out.append('"');
    }
}
