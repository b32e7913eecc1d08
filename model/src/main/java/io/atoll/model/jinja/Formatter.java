package io.atoll.model.jinja;

import java.math.BigDecimal;
import java.math.BigInteger;
import java.math.RoundingMode;
import java.util.List;
import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/// The two ways Python formats strings: `'%s' % x` and `'{}'.format(x)`, with the conversions that templates use (`s`, `r`, `d`,
/// `i`, `f`, `x`, `X`, `o`, `b`). Others are refused rather than guessed.
final class Formatter {
    private static final int MAX_PRECISION = 1000;
    private static final Pattern PERCENT =
            Pattern.compile(
                    "%(?:\\((?<key>[^)]*)\\))?(?<flags>[-+"
                            + " 0#]*)(?<width>\\d*)(?:\\.(?<precision>\\d*))?(?<type>.)?",
                    Pattern.DOTALL);
    private static final Pattern FIELD =
            Pattern.compile("(?<name>[^!:.\\[{}]*)(?:!(?<conversion>[rs]))?(?::(?<spec>[^{}]*))?");
    private static final Pattern SPEC =
            Pattern.compile(
                    "(?:(?<fill>.)?(?<align>[<>^=]))?(?<sign>[-+"
                        + " ])?(?<zero>0)?(?<width>\\d*)(?<group>,)?(?:\\.(?<precision>\\d+))?(?<type>[sdfxXob])?",
                    Pattern.DOTALL);

    private final Python python;

    Formatter(Python python) {
        this.python = python;
    }

    /// `format % values`.
    String percent(String format, Object values) {
        List<Object> positional = values instanceof Tuple(var items) ? items : List.of(values);
        StringBuilder out = new StringBuilder();
        Matcher matcher = PERCENT.matcher(format);
        int end = 0;
        int used = 0;
        while (matcher.find()) {
            out.append(format, end, matcher.start());
            end = matcher.end();
            String type = matcher.group("type");
            if (type == null) {
                throw PythonException.valueError("incomplete format");
            }
            if (type.equals("%")) {
                out.append('%');
                continue;
            }
            Object value;
            if (matcher.group("key") != null) {
                if (!(values instanceof Dict dict)) {
                    throw PythonException.typeError("format requires a mapping");
                }
                if (!dict.contains(matcher.group("key"))) {
                    throw PythonException.valueError("no such key: '" + matcher.group("key") + "'");
                }
                value = dict.getOrDefault(matcher.group("key"), None.NONE);
            } else {
                if (used >= positional.size()) {
                    throw PythonException.typeError("not enough arguments for format string");
                }
                value = positional.get(used++);
            }
            String flags = matcher.group("flags");
            String sign = flags.contains("+") ? "+" : flags.contains(" ") ? " " : "-";
            int precision =
                    number(matcher.group("precision"), matcher.group("precision") == null ? -1 : 0);
            boolean text = type.equals("s") || type.equals("r");
            String body =
                    text
                            ? cut(
                                    type.equals("r") ? python.repr(value) : python.str(value),
                                    precision)
                            : numeral(value, type, sign, precision, "", true);
            char align = flags.contains("-") ? '<' : flags.contains("0") && !text ? '=' : '>';
            out.append(
                    pad(body, number(matcher.group("width"), 0), align, align == '=' ? "0" : " "));
            python.budget().output(out.length());
        }
        boolean mayBeLeft =
                values instanceof Dict || values instanceof List<?> || values instanceof Undefined;
        if (used < positional.size() && !mayBeLeft) {
            throw PythonException.typeError("not all arguments converted during string formatting");
        }
        return python.budget().made(out.append(format, end, format.length()).toString());
    }

    /// `format.format(*positional, **keywords)`.
    String format(String format, Arguments arguments) {
        StringBuilder out = new StringBuilder();
        int automatic = 0;
        for (int i = 0; i < format.length(); i++) {
            char c = format.charAt(i);
            if ((c == '{' || c == '}') && i + 1 < format.length() && format.charAt(i + 1) == c) {
                out.append(c);
                i++;
            } else if (c == '}') {
                throw PythonException.valueError("Single '}' encountered in format string");
            } else if (c == '{') {
                int end = format.indexOf('}', i);
                if (end < 0) {
                    throw PythonException.valueError("expected '}' before end of string");
                }
                Matcher field = FIELD.matcher(format.substring(i + 1, end));
                if (!field.matches()) {
                    throw PythonException.unsupported(
                            "replacement field {" + format.substring(i + 1, end) + "}");
                }
                String name = field.group("name");
                Object value =
                        argument(name.isEmpty() ? Integer.toString(automatic++) : name, arguments);
                if (field.group("conversion") != null) {
                    value =
                            field.group("conversion").equals("r")
                                    ? python.repr(value)
                                    : python.str(value);
                }
                out.append(
                        field.group("spec") == null
                                ? python.str(value)
                                : format(value, field.group("spec")));
                python.budget().output(out.length());
                i = end;
            } else {
                out.append(c);
            }
        }
        return python.budget().made(out.toString());
    }

    private static Object argument(String name, Arguments arguments) {
        if (name.chars().allMatch(c -> c >= '0' && c <= '9')) {
            int index = number(name, 0);
            if (index >= arguments.positional().size()) {
                throw PythonException.valueError(
                        "Replacement index " + index + " out of range for positional args tuple");
            }
            return arguments.positional().get(index);
        }
        Object value = arguments.keywords().get(name);
        if (value == null) {
            throw PythonException.valueError("no such key: '" + name + "'");
        }
        return value;
    }

    private String format(Object value, String spec) {
        Matcher matcher = SPEC.matcher(spec);
        if (!matcher.matches()) {
            throw PythonException.unsupported("format specification '" + spec + "'");
        }
        if (spec.isEmpty()) {
            return python.str(value);
        }
        boolean numeric =
                Numbers.isNumber(value)
                        && !(value instanceof Boolean && matcher.group("type") == null);
        String type = matcher.group("type");
        int precision = number(matcher.group("precision"), -1);
        if (numeric ? "s".equals(type) : !Python.isString(value)) {
            throw PythonException.typeError(
                    "unsupported format string '" + spec + "' for " + Python.typeName(value));
        }
        String body;
        if (!numeric) {
            if (type != null && !type.equals("s")) {
                throw PythonException.valueError(
                        "Unknown format code '"
                                + type
                                + "' for object of type '"
                                + Python.typeName(value)
                                + "'");
            }
            body = cut(python.str(value), precision);
        } else {
            if (type == null && value instanceof Double && precision >= 0) {
                throw PythonException.unsupported("format specification '" + spec + "'");
            }
            String sign = matcher.group("sign") == null ? "-" : matcher.group("sign");
            String group = matcher.group("group") == null ? "" : matcher.group("group");
            body = numeral(value, type == null ? "" : type, sign, precision, group, false);
        }
        boolean zero = matcher.group("zero") != null;
        String align = matcher.group("align");
        char side = align != null ? align.charAt(0) : zero && numeric ? '=' : numeric ? '>' : '<';
        String fill = matcher.group("fill") != null ? matcher.group("fill") : zero ? "0" : " ";
        return pad(body, number(matcher.group("width"), 0), side, fill);
    }

    private String numeral(
            Object value,
            String type,
            String sign,
            int precision,
            String group,
            boolean percentStyle) {
        if (!Numbers.isNumber(value)) {
            throw PythonException.typeError(
                    "%"
                            + type
                            + " format: a real number is required, not "
                            + Python.typeName(value));
        }
        Object number =
                value instanceof Double d && percentStyle && "di".contains(type)
                        ? Numbers.truncate(d)
                        : value;
        String digits;
        boolean negative = Numbers.real(number) < 0;
        if (type.equals("f") || type.equals("F")) {
            digits = fixed(Numbers.real(number), precision < 0 ? 6 : precision);
        } else if (number instanceof Double d && type.isEmpty()) {
            digits = Numbers.repr(Math.abs(d));
        } else if (number instanceof Double) {
            throw PythonException.valueError(
                    "Unknown format code '" + type + "' for object of type 'float'");
        } else {
            BigInteger whole = Numbers.big(number).abs();
            digits =
                    switch (type) {
                        case "", "d", "i", "u" -> whole.toString();
                        case "x" -> whole.toString(16);
                        case "X" -> whole.toString(16).toUpperCase(Locale.ROOT);
                        case "o" -> whole.toString(8);
                        case "b" -> whole.toString(2);
                        default ->
                                throw PythonException.unsupported(
                                        "format conversion '" + type + "'");
                    };
        }
        if (!group.isEmpty()) {
            digits = grouped(digits, group);
        }
        return (negative ? "-" : sign.equals("-") ? "" : sign) + digits;
    }

    private static String grouped(String digits, String separator) {
        int point = digits.indexOf('.');
        StringBuilder out = new StringBuilder(digits);
        for (int i = (point < 0 ? digits.length() : point) - 3; i > 0; i -= 3) {
            out.insert(i, separator);
        }
        return out.toString();
    }

    private String fixed(double value, int precision) {
        if (Double.isNaN(value) || Double.isInfinite(value)) {
            return Numbers.repr(Math.abs(value));
        }
        if (precision > MAX_PRECISION) {
            throw PythonException.overLimit(
                    "more than " + MAX_PRECISION + " digits after the point");
        }
        return new BigDecimal(Math.abs(value))
                .setScale(precision, RoundingMode.HALF_EVEN)
                .toPlainString();
    }

    private static String cut(String text, int precision) {
        return precision < 0 || precision >= Text.length(text)
                ? text
                : text.substring(0, text.offsetByCodePoints(0, precision));
    }

    private String pad(String body, int width, char align, String fill) {
        int missing = Math.max(0, width - Text.length(body));
        python.budget().text(missing);
        return switch (align) {
            case '<' -> body + fill.repeat(missing);
            case '^' -> fill.repeat(missing / 2) + body + fill.repeat(missing - missing / 2);
            case '=' -> {
                int sign = !body.isEmpty() && "+- ".indexOf(body.charAt(0)) >= 0 ? 1 : 0;
                yield body.substring(0, sign) + fill.repeat(missing) + body.substring(sign);
            }
            default -> fill.repeat(missing) + body;
        };
    }

    private static int number(String digits, int missing) {
        if (digits == null || digits.isEmpty()) {
            return missing;
        }
        return digits.length() > 8 ? 1_000_000_000 : Integer.parseInt(digits);
    }
}
