package io.atoll.model.chat;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import java.io.IOException;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/// Turns the text of one argument into a JSON value while it arrives.
///
/// By the types the schema allows, tried in the order null, integer, number, boolean, object and array, string. `null` and `None`
/// are null unless the type is only string; objects and arrays are read as JSON, then as a Python literal; what fits nothing stays
/// text. Text is given out as soon as it can be nothing else, other values at their end.
final class ArgumentValue {
    private static final Pattern INTEGER = Pattern.compile("([+-]?)0*([0-9]+)");
    private static final Pattern NUMBER =
            Pattern.compile("[+-]?(?:[0-9]+\\.?[0-9]*|\\.[0-9]+)(?:[eE][+-]?[0-9]+)?");
    private static final double EXACT_INTEGERS = 0x1p53;
    private static final JsonFactory JSON = new JsonFactory();

    private final Set<ArgumentType> types;
    private final boolean structured;
    private final StringBuilder held = new StringBuilder();
    private boolean isText;

    // What the held text may still become: a word, a number.
    private final List<String> words;
    private final StringBuilder word = new StringBuilder();
    private boolean maybeWord;
    private boolean maybeNumber;
    private boolean spaceBehind;

    /// @param types at least one
    ArgumentValue(Set<ArgumentType> types) {
        this.types = types;
        boolean nullable = !types.equals(ArgumentType.TEXT);
        boolean truth = types.contains(ArgumentType.BOOLEAN);
        words =
                truth
                        ? List.of("null", "none", "true", "false")
                        : nullable ? List.of("null", "none") : List.of();
        maybeWord = nullable;
        maybeNumber = types.contains(ArgumentType.INTEGER) || types.contains(ArgumentType.NUMBER);
        structured = types.contains(ArgumentType.OBJECT) || types.contains(ArgumentType.ARRAY);
    }

    /// Adds text. Returns the JSON that it makes certain.
    String append(String piece) {
        StringBuilder json = new StringBuilder();
        if (!isText) {
            held.append(piece);
            piece.chars().forEach(c -> narrow((char) c));
            if (structured || maybeWord || maybeNumber) {
                return "";
            }
            isText = true;
            json.append('"');
            JsonText.escape(held.toString(), json);
            held.setLength(0);
        } else {
            JsonText.escape(piece, json);
        }
        return json.toString();
    }

    /// Ends the text. Returns the rest of the JSON.
    String finish() {
        return isText ? "\"" : convert(held.toString());
    }

    private void narrow(char c) {
        if (isSpace(c)) {
            spaceBehind |= !word.isEmpty();
            return;
        }
        if (spaceBehind) {
            maybeWord = false;
            maybeNumber = false;
        }
        if (word.length() < 5) { // as long as the longest
            word.append(Character.toLowerCase(c));
            String start = word.toString();
            maybeWord &= words.stream().anyMatch(w -> w.startsWith(start));
        } else {
            maybeWord = false;
        }
        maybeNumber &= (c >= '0' && c <= '9') || "+-.eE".indexOf(c) >= 0;
    }

    private String convert(String text) {
        String stripped = strip(text);
        String lower = stripped.length() <= 5 ? stripped.toLowerCase(Locale.ROOT) : "";
        if (!types.equals(ArgumentType.TEXT) && (lower.equals("null") || lower.equals("none"))) {
            return "null";
        }
        if (types.contains(ArgumentType.INTEGER)) {
            Matcher integer = INTEGER.matcher(stripped);
            if (integer.matches()) {
                boolean negative = integer.group(1).equals("-") && !integer.group(2).equals("0");
                return (negative ? "-" : "") + integer.group(2);
            }
        }
        boolean numeric =
                types.contains(ArgumentType.INTEGER) || types.contains(ArgumentType.NUMBER);
        if (numeric && NUMBER.matcher(stripped).matches()) {
            double number = Double.parseDouble(stripped);
            if (Double.isFinite(number)) {
                return number(number);
            }
        }
        if (types.contains(ArgumentType.BOOLEAN)
                && (lower.equals("true") || lower.equals("false"))) {
            return lower;
        }
        if (structured) {
            if (isJsonStructure(stripped)) {
                return stripped;
            }
            Optional<String> literal = PythonLiteral.structure(stripped);
            if (literal.isPresent()) {
                return literal.get();
            }
        }
        StringBuilder string = new StringBuilder();
        JsonText.quote(text, string);
        return string.toString();
    }

    /// A finite number as JSON, without a fraction if it is a whole one that a double holds exactly.
    static String number(double number) {
        boolean whole = number == Math.rint(number) && Math.abs(number) < EXACT_INTEGERS;
        return whole ? Long.toString((long) number) : Double.toString(number);
    }

    /// Whether all of the text is one JSON object or array.
    private static boolean isJsonStructure(String text) {
        if (!text.startsWith("{") && !text.startsWith("[")) {
            return false;
        }
        try (JsonParser parser = JSON.createParser(text)) {
            int depth = 0;
            while (parser.nextToken() != null) {
                JsonToken token = parser.currentToken();
                if (token.isStructStart()) {
                    depth++;
                } else if (token.isStructEnd() && --depth == 0) {
                    return parser.nextToken() == null;
                }
            }
            return false;
        } catch (IOException e) {
            return false; // also where it is deeper or has longer numbers than the parser takes
        }
    }

    /// Without the white space, in Unicode's wide sense, at both ends.
    private static String strip(String text) {
        int from = 0;
        int to = text.length();
        while (from < to && isSpace(text.charAt(from))) {
            from++;
        }
        while (to > from && isSpace(text.charAt(to - 1))) {
            to--;
        }
        return text.substring(from, to);
    }

    private static boolean isSpace(char c) {
        return Character.isWhitespace(c) || Character.isSpaceChar(c) || c == '\u0085';
    }
}
