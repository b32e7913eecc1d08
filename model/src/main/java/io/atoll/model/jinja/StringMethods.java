package io.atoll.model.jinja;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.function.IntPredicate;

/// The methods of Python strings.
final class StringMethods {
    private static final Set<String> NAMES =
            Set.of(
                    "capitalize",
                    "casefold",
                    "center",
                    "count",
                    "endswith",
                    "find",
                    "format",
                    "index",
                    "isalnum",
                    "isalpha",
                    "isascii",
                    "isdecimal",
                    "isdigit",
                    "islower",
                    "isnumeric",
                    "isspace",
                    "isupper",
                    "join",
                    "ljust",
                    "lower",
                    "lstrip",
                    "partition",
                    "removeprefix",
                    "removesuffix",
                    "replace",
                    "rfind",
                    "rindex",
                    "rjust",
                    "rpartition",
                    "rsplit",
                    "rstrip",
                    "split",
                    "splitlines",
                    "startswith",
                    "strip",
                    "swapcase",
                    "title",
                    "upper",
                    "zfill");

    private final Python python;
    private final Formatter formatter;

    StringMethods(Python python) {
        this.python = python;
        this.formatter = new Formatter(python);
    }

    static boolean exists(String name) {
        return NAMES.contains(name);
    }

    /// Calls a method.
    ///
    /// @param receiver a `String` or [Markup]; what a marked string makes of itself is marked, too
    Object call(Object receiver, String name, Arguments arguments) {
        String text = Python.chars(receiver);
        python.budget().scan(text.length());
        return switch (name) {
            case "upper" -> alone(receiver, arguments, text.toUpperCase(Locale.ROOT));
            case "lower", "casefold" -> alone(receiver, arguments, text.toLowerCase(Locale.ROOT));
            case "title" -> alone(receiver, arguments, Text.title(text));
            case "capitalize" -> alone(receiver, arguments, Text.capitalize(text));
            case "swapcase" -> alone(receiver, arguments, Text.swapCase(text));
            case "strip" -> made(receiver, strip(text, arguments, true, true));
            case "lstrip" -> made(receiver, strip(text, arguments, true, false));
            case "rstrip" -> made(receiver, strip(text, arguments, false, true));
            case "replace" -> {
                Object[] given = arguments.bindRequired(2, "old", "new", "count");
                int count = given[2] == null ? -1 : Numbers.index(given[2], "count");
                yield made(
                        receiver,
                        replace(
                                text,
                                argument(receiver, given[0]),
                                argument(receiver, given[1]),
                                count));
            }
            case "split" -> split(receiver, arguments, false);
            case "rsplit" -> split(receiver, arguments, true);
            case "splitlines" -> {
                Object[] given = arguments.bind("keepends");
                yield parts(
                        receiver,
                        Text.splitLines(text, given[0] != null && Python.truth(given[0])));
            }
            case "partition", "rpartition" ->
                    partition(receiver, arguments, name.equals("rpartition"));
            case "startswith" -> affix(text, arguments, true);
            case "endswith" -> affix(text, arguments, false);
            case "removeprefix" -> {
                String prefix = only(arguments);
                yield made(
                        receiver, text.startsWith(prefix) ? text.substring(prefix.length()) : text);
            }
            case "removesuffix" -> {
                String suffix = only(arguments);
                yield made(
                        receiver,
                        text.endsWith(suffix)
                                ? text.substring(0, text.length() - suffix.length())
                                : text);
            }
            case "find", "index" -> position(text, arguments, name.equals("index"), false);
            case "rfind", "rindex" -> position(text, arguments, name.equals("rindex"), true);
            case "count" -> count(text, arguments);
            case "join" -> join(receiver, arguments);
            case "center", "ljust", "rjust" -> justify(receiver, name, arguments);
            case "zfill" -> {
                int width = Numbers.index(arguments.bindRequired(1, "width")[0], "width");
                boolean signed = text.startsWith("-") || text.startsWith("+");
                int zeros = Math.max(0, width - Text.length(text));
                python.budget().text(zeros);
                yield made(
                        receiver,
                        (signed ? text.substring(0, 1) : "")
                                + "0".repeat(zeros)
                                + text.substring(signed ? 1 : 0));
            }
            case "format" -> Python.remark(receiver, formatter.format(text, arguments));
            case "isdigit", "isdecimal", "isnumeric" -> all(text, arguments, Character::isDigit);
            case "isalpha" -> all(text, arguments, Character::isLetter);
            case "isalnum" -> all(text, arguments, Character::isLetterOrDigit);
            case "isspace" -> all(text, arguments, Text::isSpace);
            case "isascii" -> text.isEmpty() || all(text, arguments, c -> c < 128);
            case "islower", "isupper" -> {
                arguments.none();
                yield Text.isCase(text, name.equals("isupper"));
            }
            default -> throw PythonException.unsupported("str." + name);
        };
    }

    private Object alone(Object receiver, Arguments arguments, String result) {
        arguments.none();
        return made(receiver, result);
    }

    private Object made(Object receiver, String result) {
        return Python.remark(receiver, python.budget().made(result));
    }

    private List<Object> parts(Object receiver, List<String> parts) {
        List<Object> values = new ArrayList<>(parts.size());
        for (String part : parts) {
            values.add(made(receiver, part));
        }
        return values;
    }

    private static String only(Arguments arguments) {
        return Python.requireString(arguments.bindRequired(1, "affix")[0], "argument");
    }

    /// A string that becomes part of the receiver: escaped if that is marked and this is not.
    private static String argument(Object receiver, Object value) {
        String text = Python.requireString(value, "argument");
        return receiver instanceof Markup && value instanceof String ? Markup.escape(text) : text;
    }

    private static String strip(String text, Arguments arguments, boolean left, boolean right) {
        Object chars = arguments.bind("chars")[0];
        if (chars == null || chars == None.NONE) {
            String stripped = left ? Text.stripLeft(text) : text;
            return right ? Text.stripRight(stripped) : stripped;
        }
        return Text.strip(text, Python.requireString(chars, "strip argument"), left, right);
    }

    /// `text.replace(old, new, count)`; a negative count means all.
    String replace(String text, String old, String replacement, int count) {
        long found = 0;
        long most = count < 0 ? Long.MAX_VALUE : count;
        if (old.isEmpty()) {
            found = Math.min(most, Text.length(text) + 1L);
        } else {
            for (int i = python.find(text, old, 0);
                    i >= 0 && found < most;
                    i = text.indexOf(old, i + old.length())) {
                found++;
            }
        }
        python.budget()
                .text(text.length() + found * Math.max(0, replacement.length() - old.length()));
        if (count < 0 && !old.isEmpty()) {
            return text.replace(old, replacement);
        }
        StringBuilder out = new StringBuilder();
        int from = 0;
        for (long i = 0; i < found; i++) {
            int at =
                    old.isEmpty()
                            ? (i == 0 ? 0 : text.offsetByCodePoints(from, 1))
                            : text.indexOf(old, from);
            out.append(text, from, at).append(replacement);
            from = at + old.length();
        }
        return out.append(text, from, text.length()).toString();
    }

    private Object split(Object receiver, Arguments arguments, boolean fromRight) {
        String text = Python.chars(receiver);
        Object[] given = arguments.bind("sep", "maxsplit");
        int max = given[1] == null ? -1 : Numbers.index(given[1], "maxsplit");
        if (given[0] == null || given[0] == None.NONE) {
            int most = max < 0 ? Integer.MAX_VALUE : max;
            return parts(
                    receiver,
                    fromRight
                            ? Text.splitWhitespaceFromRight(text, most)
                            : Text.splitWhitespace(text, most));
        }
        String separator = Python.requireString(given[0], "separator");
        if (separator.isEmpty()) {
            throw PythonException.valueError("empty separator");
        }
        python.find(text, separator, text.length()); // what follows searches without end
        python.budget()
                .scan(
                        separator.length() <= 32
                                ? text.length()
                                : (long) text.length() * separator.length() / 8);
        List<String> parts = new ArrayList<>();
        if (fromRight) {
            int end = text.length();
            for (int at = text.lastIndexOf(separator);
                    at >= 0 && (max < 0 || parts.size() < max);
                    at =
                            end - separator.length() < 0
                                    ? -1
                                    : text.lastIndexOf(separator, end - separator.length())) {
                parts.add(text.substring(at + separator.length(), end));
                end = at;
            }
            parts.add(text.substring(0, end));
            return parts(receiver, parts.reversed());
        }
        int start = 0;
        for (int at = text.indexOf(separator);
                at >= 0 && (max < 0 || parts.size() < max);
                at = text.indexOf(separator, start)) {
            parts.add(text.substring(start, at));
            start = at + separator.length();
        }
        parts.add(text.substring(start));
        return parts(receiver, parts);
    }

    private Object partition(Object receiver, Arguments arguments, boolean fromRight) {
        String text = Python.chars(receiver);
        String separator = only(arguments);
        if (separator.isEmpty()) {
            throw PythonException.valueError("empty separator");
        }
        python.find(text, separator, 0);
        int at = fromRight ? text.lastIndexOf(separator) : text.indexOf(separator);
        if (at < 0) {
            return new Tuple(
                    parts(receiver, fromRight ? List.of("", "", text) : List.of(text, "", "")));
        }
        return new Tuple(
                parts(
                        receiver,
                        List.of(
                                text.substring(0, at),
                                separator,
                                text.substring(at + separator.length()))));
    }

    /// The part of a text that `start` and `end` arguments leave, and its offset in UTF-16 units.
    private record Window(String text, int codePointOffset, boolean empty) {}

    private static Window window(String text, Object start, Object end) {
        int size = Text.length(text);
        int from = start == null || start == None.NONE ? 0 : Numbers.index(start, "start");
        int to = end == null || end == None.NONE ? size : Numbers.index(end, "end");
        from = from < 0 ? Math.max(0, from + size) : from;
        to = to < 0 ? Math.max(0, to + size) : Math.min(to, size);
        if (from > to) {
            return new Window("", from, true);
        }
        return new Window(Text.slice(text, size, from, to, 1), from, false);
    }

    private static Object affix(String text, Arguments arguments, boolean start) {
        Object[] given = arguments.bindRequired(1, "affix", "start", "end");
        Window window = window(text, given[1], given[2]);
        List<Object> candidates = given[0] instanceof Tuple(var items) ? items : List.of(given[0]);
        for (Object candidate : candidates) {
            String affix =
                    Python.requireString(
                            candidate, (start ? "startswith" : "endswith") + " first argument");
            if (!window.empty()
                    && (start ? window.text().startsWith(affix) : window.text().endsWith(affix))) {
                return true;
            }
        }
        return false;
    }

    private Object position(String text, Arguments arguments, boolean mustExist, boolean last) {
        Object[] given = arguments.bindRequired(1, "sub", "start", "end");
        String part = Python.requireString(given[0], "argument");
        Window window = window(text, given[1], given[2]);
        int at = window.empty() ? -1 : python.find(window.text(), part, 0);
        if (at >= 0 && last) {
            at = window.text().lastIndexOf(part);
        }
        if (at < 0 && mustExist) {
            throw PythonException.valueError("substring not found");
        }
        return at < 0 ? -1L : (long) window.codePointOffset() + window.text().codePointCount(0, at);
    }

    private Object count(String text, Arguments arguments) {
        Object[] given = arguments.bindRequired(1, "sub", "start", "end");
        String part = Python.requireString(given[0], "argument");
        Window window = window(text, given[1], given[2]);
        if (window.empty()) {
            return 0L;
        }
        if (part.isEmpty()) {
            return Text.length(window.text()) + 1L;
        }
        long count = 0;
        for (int i = python.find(window.text(), part, 0);
                i >= 0;
                i = window.text().indexOf(part, i + part.length())) {
            count++;
        }
        return count;
    }

    private Object join(Object receiver, Arguments arguments) {
        Object iterable = arguments.bindRequired(1, "iterable")[0];
        StringBuilder out = new StringBuilder();
        String separator = "";
        int i = 0;
        for (Object item : python.items(iterable)) {
            if (!Python.isString(item) && !(receiver instanceof Markup)) {
                throw PythonException.typeError(
                        "sequence item "
                                + i
                                + ": expected str instance, "
                                + Python.typeName(item)
                                + " found");
            }
            String part =
                    receiver instanceof Markup && !(item instanceof Markup)
                            ? Markup.escape(python.str(item))
                            : Python.chars(item);
            python.budget().text(separator.length() + (long) part.length());
            out.append(separator).append(part);
            separator = Python.chars(receiver);
            i++;
        }
        return Python.remark(receiver, out.toString());
    }

    private Object justify(Object receiver, String name, Arguments arguments) {
        Object[] given = arguments.bindRequired(1, "width", "fillchar");
        String fill = given[1] == null ? " " : Python.requireString(given[1], "fill character");
        if (Text.length(fill) != 1) {
            throw PythonException.typeError(
                    "The fill character must be exactly one character long");
        }
        int width = Numbers.index(given[0], "width");
        return made(receiver, justify(Python.chars(receiver), width, name, fill));
    }

    String justify(String text, int width, String how, String fill) {
        int missing = Math.max(0, width - Text.length(text));
        python.budget().text(missing);
        int left =
                switch (how) {
                    case "ljust" -> 0;
                    case "rjust" -> missing;
                    default -> missing / 2 + (missing & width & 1); // as CPython centres
                };
        return fill.repeat(left) + text + fill.repeat(missing - left);
    }

    private static boolean all(String text, Arguments arguments, IntPredicate predicate) {
        arguments.none();
        return !text.isEmpty() && text.codePoints().allMatch(predicate);
    }
}
