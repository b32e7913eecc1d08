package io.atoll.model.chat;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/// Reads what models write where JSON was wanted: Python's notation of dictionaries, lists and tuples, as `ast.literal_eval`
/// does. Values that JSON does not have (sets, bytes, complex numbers) are refused, and so are comments.
final class PythonLiteral {
    private static final int MAX_DEPTH = 200; // as deep as CPython goes

    private final String text;
    private int at;
    private int depth;

    private PythonLiteral(String text) {
        this.text = text;
    }

    /// No literal stands here. Has no stack trace: models make many.
    private static final class NoLiteral extends Exception {
        private static final long serialVersionUID = 1;

        NoLiteral() {
            super("no literal", null, false, false);
        }
    }

    /// The JSON of a dictionary, list or tuple that is all of the text.
    static Optional<String> structure(String text) {
        PythonLiteral literal = new PythonLiteral(text);
        try {
            Value value = literal.line();
            return value.structure() ? Optional.of(value.json()) : Optional.empty();
        } catch (NoLiteral e) {
            return Optional.empty();
        }
    }

    /// A value as JSON.
    ///
    /// @param structure whether it is an object or an array
    private record Value(String json, boolean structure) {}

    /// One value, or a tuple without parentheses.
    private Value line() throws NoLiteral {
        Value first = value();
        if (!take(',')) {
            requireEnd();
            return first;
        }
        List<String> items = new ArrayList<>(List.of(first.json()));
        skip();
        while (at < text.length()) {
            items.add(value().json());
            if (!take(',')) {
                break;
            }
            skip();
        }
        requireEnd();
        return array(items);
    }

    private void requireEnd() throws NoLiteral {
        skip();
        if (at < text.length()) {
            throw new NoLiteral();
        }
    }

    private Value value() throws NoLiteral {
        skip();
        char c = peek();
        if (c == '{' || c == '[' || c == '(') {
            if (++depth > MAX_DEPTH) {
                throw new NoLiteral();
            }
            at++;
            Value nested =
                    switch (c) {
                        case '{' -> dictionary();
                        case '[' -> array(items(']'));
                        default -> parentheses();
                    };
            depth--;
            return nested;
        }
        if (c == '+' || c == '-') {
            at++;
            skip();
            String number = number();
            return new Value(c == '-' ? negated(number) : number, false);
        }
        if (c == '.' || isDigit(c)) {
            return new Value(number(), false);
        }
        if (isStringStart()) {
            StringBuilder json = new StringBuilder();
            JsonText.quote(strings(), json);
            return new Value(json.toString(), false);
        }
        return new Value(word(), false);
    }

    private Value dictionary() throws NoLiteral {
        Map<String, String> entries = new LinkedHashMap<>();
        while (!take('}')) {
            Value key = value();
            if (key.structure() || !take(':')) {
                throw new NoLiteral(); // a tuple as a key, or a set
            }
            String name = key.json();
            entries.put(name.startsWith("\"") ? name : '"' + name + '"', value().json());
            if (!take(',')) {
                require('}');
                break;
            }
        }
        StringBuilder json = new StringBuilder("{");
        entries.forEach(
                (key, value) ->
                        json.append(json.length() > 1 ? ", " : "")
                                .append(key)
                                .append(": ")
                                .append(value));
        return new Value(json.append('}').toString(), true);
    }

    private List<String> items(char close) throws NoLiteral {
        List<String> items = new ArrayList<>();
        while (!take(close)) {
            items.add(value().json());
            if (!take(',')) {
                require(close);
                break;
            }
        }
        return items;
    }

    private Value parentheses() throws NoLiteral {
        if (take(')')) {
            return array(List.of());
        }
        Value first = value();
        if (take(')')) {
            return first;
        }
        require(',');
        List<String> items = new ArrayList<>(List.of(first.json()));
        items.addAll(items(')'));
        return array(items);
    }

    private static Value array(List<String> items) {
        return new Value("[" + String.join(", ", items) + "]", true);
    }

    private String word() throws NoLiteral {
        int from = at;
        while (at < text.length() && Character.isJavaIdentifierPart(text.charAt(at))) {
            at++;
        }
        return switch (text.substring(from, at)) {
            case "True" -> "true";
            case "False" -> "false";
            case "None" -> "null";
            default -> throw new NoLiteral();
        };
    }

    // Numbers

    private static String negated(String number) {
        return number.equals("0") ? number : "-" + number;
    }

    private String number() throws NoLiteral {
        int from = at;
        while (at < text.length() && isNumberPart(from)) {
            at++;
        }
        String written = text.substring(from, at);
        if (written.startsWith("_") || written.endsWith("_") || written.contains("__")) {
            throw new NoLiteral();
        }
        String digits = written.replace("_", "");
        try {
            if (digits.length() > 2 && digits.charAt(0) == '0' && isLetter(digits.charAt(1))) {
                return prefixed(digits);
            }
            if (digits.chars().allMatch(c -> isDigit((char) c))) {
                boolean zero = digits.chars().allMatch(c -> c == '0');
                if (digits.isEmpty() || (digits.charAt(0) == '0' && !zero)) {
                    throw new NoLiteral();
                }
                return zero ? "0" : digits;
            }
            char last = digits.charAt(digits.length() - 1);
            double number = Double.parseDouble(digits);
            if (isLetter(last) || !Double.isFinite(number)) { // Java takes 1f and 1d
                throw new NoLiteral();
            }
            return ArgumentValue.number(number);
        } catch (NumberFormatException e) {
            throw new NoLiteral();
        }
    }

    private boolean isNumberPart(int from) {
        char c = text.charAt(at);
        boolean exponent = at > from && "eE".indexOf(text.charAt(at - 1)) >= 0 && !isPrefixed(from);
        return isDigit(c)
                || isLetter(c)
                || c == '.'
                || c == '_'
                || (exponent && "+-".indexOf(c) >= 0);
    }

    private boolean isPrefixed(int from) {
        return text.startsWith("0x", from) || text.startsWith("0X", from);
    }

    private static String prefixed(String digits) throws NoLiteral {
        int radix =
                switch (Character.toLowerCase(digits.charAt(1))) {
                    case 'x' -> 16;
                    case 'o' -> 8;
                    case 'b' -> 2;
                    default -> 10; // such as 0e5
                };
        if (radix == 10) {
            return ArgumentValue.number(Double.parseDouble(digits));
        }
        if (!Character.isLetterOrDigit(digits.charAt(2))) {
            throw new NoLiteral(); // a sign
        }
        return Long.toString(Long.parseLong(digits.substring(2), radix));
    }

    // Strings

    private boolean isStringStart() {
        int quote = at;
        while (quote < text.length() && quote < at + 2 && "rRuU".indexOf(text.charAt(quote)) >= 0) {
            quote++;
        }
        return quote < text.length() && isQuote(text.charAt(quote)) && quote - at < 2;
    }

    /// One string, or several that stand behind each other.
    private String strings() throws NoLiteral {
        StringBuilder out = new StringBuilder();
        do {
            string(out);
            skip();
        } while (at < text.length() && isStringStart());
        return out.toString();
    }

    private void string(StringBuilder out) throws NoLiteral {
        boolean raw = "rR".indexOf(peek()) >= 0;
        at += isQuote(peek()) ? 0 : 1;
        char quote = peek();
        String three = String.valueOf(quote).repeat(3);
        boolean isLong = text.startsWith(three, at);
        String close = isLong ? three : String.valueOf(quote);
        at += close.length();
        while (!text.startsWith(close, at)) {
            char c = next();
            if (c == '\n' && !isLong) {
                throw new NoLiteral();
            }
            if (c != '\\') {
                out.append(c);
            } else if (raw) {
                out.append(c).append(next());
            } else {
                escape(out);
            }
        }
        at += close.length();
    }

    private void escape(StringBuilder out) throws NoLiteral {
        char c = next();
        switch (c) {
            case '\n' -> {} // the line goes on
            case '\\', '\'', '"' -> out.append(c);
            case 'a' -> out.append('\u0007');
            case 'b' -> out.append('\b');
            case 'f' -> out.append('\f');
            case 'n' -> out.append('\n');
            case 'r' -> out.append('\r');
            case 't' -> out.append('\t');
            case 'v' -> out.append('\u000b');
            case 'x' -> out.appendCodePoint(code(2));
            case 'u' -> out.appendCodePoint(code(4));
            case 'U' -> out.appendCodePoint(code(8));
            case 'N' -> throw new NoLiteral(); // a character by its name
            default -> {
                if (c >= '0' && c <= '7') {
                    out.append((char) octal(c));
                } else {
                    out.append('\\').append(c);
                }
            }
        }
    }

    private int code(int digits) throws NoLiteral {
        int code = 0;
        for (int i = 0; i < digits; i++) {
            int digit = Character.digit(next(), 16);
            if (digit < 0 || code > Character.MAX_CODE_POINT >> 4) {
                throw new NoLiteral();
            }
            code = 16 * code + digit;
        }
        return code;
    }

    private int octal(char first) {
        int code = first - '0';
        for (int i = 0; i < 2 && at < text.length(); i++) {
            int digit = Character.digit(text.charAt(at), 8);
            if (digit < 0) {
                break;
            }
            code = 8 * code + digit;
            at++;
        }
        return code;
    }

    // Characters

    private void skip() {
        while (at < text.length() && " \t\r\n\f".indexOf(text.charAt(at)) >= 0) {
            at++;
        }
    }

    private boolean take(char wanted) {
        skip();
        boolean there = at < text.length() && text.charAt(at) == wanted;
        at += there ? 1 : 0;
        return there;
    }

    private void require(char wanted) throws NoLiteral {
        if (!take(wanted)) {
            throw new NoLiteral();
        }
    }

    private char peek() throws NoLiteral {
        if (at == text.length()) {
            throw new NoLiteral();
        }
        return text.charAt(at);
    }

    private char next() throws NoLiteral {
        char c = peek();
        at++;
        return c;
    }

    private static boolean isQuote(char c) {
        return c == '\'' || c == '"';
    }

    private static boolean isDigit(char c) {
        return c >= '0' && c <= '9';
    }

    private static boolean isLetter(char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    }
}
