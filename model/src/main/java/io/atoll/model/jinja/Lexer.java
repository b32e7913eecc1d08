package io.atoll.model.jinja;

import java.math.BigInteger;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/// Cuts a template into tokens.
///
/// Whitespace control happens here, with the settings chat templates are rendered with: the newline after a block tag or a
/// comment goes (`trim_blocks`), so does the indentation before one (`lstrip_blocks`), and `-` inside a tag strips everything
/// up to the neighbouring text.
final class Lexer {
    private static final Pattern FLOAT =
            Pattern.compile(
                    "(?:\\d+_)*\\d+(?:(?:\\.(?:\\d+_)*\\d+)?[eE][+-]?(?:\\d+_)*\\d+|\\.(?:\\d+_)*\\d+)");
    private static final Pattern INTEGER =
            Pattern.compile(
                    "0[bB](?:_?[01])+|0[oO](?:_?[0-7])+|0[xX](?:_?[0-9a-fA-F])+|[1-9](?:_?\\d)*|0(?:_?0)*");
    private static final Pattern RAW_BEGIN = Pattern.compile("\\{%([-+]?)\\s*raw\\s*(-?)%\\}");
    private static final Pattern RAW_END = Pattern.compile("\\{%([-+]?)\\s*endraw\\s*([-+]?)%\\}");
    private static final List<String> OPERATORS =
            List.of(
                    "//", "**", "==", "!=", ">=", "<=", "+", "-", "/", "*", "%", "~", "[", "]", "(",
                    ")", "{", "}", ">", "<", "=", ".", ":", "|", ",", ";");

    private final String source;
    private final List<Token> tokens = new ArrayList<>();
    private int pos;
    private int line = 1;
    private int linePos; // `line` is the line of this position
    private boolean lineStarting = true;

    private Lexer(String source) {
        this.source = source;
    }

    static List<Token> tokens(String template) {
        String source = template.replace("\r\n", "\n").replace('\r', '\n');
        if (source.endsWith("\n")) {
            source = source.substring(0, source.length() - 1);
        }
        Lexer lexer = new Lexer(source);
        lexer.run();
        return lexer.tokens;
    }

    private void run() {
        while (pos < source.length()) {
            int tag = nextTag(pos);
            if (tag < 0) {
                data(source.substring(pos));
                pos = source.length();
                break;
            }
            Matcher raw = RAW_BEGIN.matcher(source).region(tag, source.length());
            if (raw.lookingAt()) {
                textBefore(tag, sign(raw.group(1)), true);
                raw(raw);
                continue;
            }
            char kind = source.charAt(tag + 1);
            char sign = tag + 2 < source.length() ? source.charAt(tag + 2) : ' ';
            boolean signed = sign == '-' || sign == '+';
            textBefore(tag, signed ? sign : ' ', kind != '{');
            pos = tag + (signed ? 3 : 2);
            lineStarting = false;
            switch (kind) {
                case '#' -> comment();
                case '{' -> {
                    add(Token.Kind.VARIABLE_BEGIN, tag, "{{");
                    inside(true);
                }
                default -> {
                    add(Token.Kind.BLOCK_BEGIN, tag, "{%");
                    inside(false);
                }
            }
        }
        add(Token.Kind.END, source.length(), "");
    }

    private int nextTag(int from) {
        for (int i = source.indexOf('{', from);
                i >= 0 && i + 1 < source.length();
                i = source.indexOf('{', i + 1)) {
            char next = source.charAt(i + 1);
            if (next == '{' || next == '%' || next == '#') {
                return i;
            }
        }
        return -1;
    }

    /// Emits the text up to a tag, less the whitespace that the tag takes away.
    private void textBefore(int end, char sign, boolean stripsIndentation) {
        String text = source.substring(pos, end);
        if (sign == '-') {
            text = Text.stripRight(text);
        } else if (sign != '+' && stripsIndentation) {
            int indentation = text.lastIndexOf('\n') + 1;
            if ((indentation > 0 || lineStarting) && Text.isBlank(text.substring(indentation))) {
                text = text.substring(0, indentation);
            }
        }
        data(text);
    }

    private void data(String text) {
        if (!text.isEmpty()) {
            add(Token.Kind.DATA, pos, text);
        }
    }

    private void raw(Matcher begin) {
        pos = begin.end();
        if (!begin.group(2).isEmpty()) {
            skipWhitespace();
        }
        lineStarting = source.charAt(pos - 1) == '\n';
        Matcher end = RAW_END.matcher(source);
        if (!end.find(pos)) {
            throw fail(begin.start(), "Missing end of raw directive");
        }
        textBefore(end.start(), sign(end.group(1)), true);
        pos = end.end();
        closeBlock(sign(end.group(2)));
    }

    private void comment() {
        int end = source.indexOf("#}", pos);
        if (end < 0) {
            throw fail(pos, "Missing end of comment tag");
        }
        char sign = end > pos ? source.charAt(end - 1) : ' ';
        pos = end + 2;
        closeBlock(sign);
    }

    /// Takes what follows the end of a block tag or comment away.
    private void closeBlock(char sign) {
        if (sign == '-') {
            skipWhitespace();
        } else if (sign != '+' && pos < source.length() && source.charAt(pos) == '\n') {
            pos++;
        }
        lineStarting = source.charAt(pos - 1) == '\n';
    }

    private void skipWhitespace() {
        while (pos < source.length() && Text.isSpace(source.charAt(pos))) {
            pos++;
        }
    }

    private static char sign(String sign) {
        return sign.isEmpty() ? ' ' : sign.charAt(0);
    }

    /// Reads the tokens of one tag, up to and with its end.
    private void inside(boolean variable) {
        String end = variable ? "}}" : "%}";
        Deque<Character> open = new ArrayDeque<>();
        int start = pos;
        while (true) {
            skipWhitespace();
            if (pos >= source.length()) {
                throw fail(start, "unexpected end of template, expected '" + end + "'");
            }
            if (open.isEmpty()) {
                char c = source.charAt(pos);
                boolean signed = c == '-' || (c == '+' && !variable);
                if (source.startsWith(end, pos + (signed ? 1 : 0))) {
                    add(variable ? Token.Kind.VARIABLE_END : Token.Kind.BLOCK_END, pos, end);
                    pos += signed ? 3 : 2;
                    closeTag(variable, signed ? c : ' ');
                    return;
                }
            }
            token(open);
        }
    }

    private void closeTag(boolean variable, char sign) {
        if (!variable) {
            closeBlock(sign);
            return;
        }
        if (sign == '-') {
            skipWhitespace();
        }
        lineStarting = source.charAt(pos - 1) == '\n';
    }

    private void token(Deque<Character> open) {
        char c = source.charAt(pos);
        int codePoint = source.codePointAt(pos);
        if (c >= '0' && c <= '9') {
            number();
        } else if (Character.isUnicodeIdentifierStart(codePoint) || c == '_') {
            name();
        } else if (c == '\'' || c == '"') {
            string(c);
        } else {
            operator(open);
        }
    }

    private void number() {
        Matcher real = FLOAT.matcher(source).region(pos, source.length());
        boolean afterDot = pos > 0 && source.charAt(pos - 1) == '.';
        if (!afterDot && real.lookingAt()) {
            add(Token.Kind.FLOAT, pos, Double.valueOf(real.group().replace("_", "")));
            pos = real.end();
            return;
        }
        Matcher whole = INTEGER.matcher(source).region(pos, source.length());
        if (!whole.lookingAt()) {
            throw fail(pos, "unexpected char '" + source.charAt(pos) + "'");
        }
        String digits = whole.group().replace("_", "");
        int radix =
                digits.length() < 3
                        ? 10
                        : switch (digits.charAt(1)) {
                            case 'x', 'X' -> 16;
                            case 'o', 'O' -> 8;
                            case 'b', 'B' -> 2;
                            default -> 10;
                        };
        add(
                Token.Kind.INTEGER,
                pos,
                Numbers.integer(new BigInteger(radix == 10 ? digits : digits.substring(2), radix)));
        pos = whole.end();
    }

    private void name() {
        int end = pos;
        while (end < source.length()) {
            int codePoint = source.codePointAt(end);
            if (!Character.isUnicodeIdentifierPart(codePoint)
                    || Character.isIdentifierIgnorable(codePoint)) {
                break;
            }
            end += Character.charCount(codePoint);
        }
        add(Token.Kind.NAME, pos, source.substring(pos, end));
        pos = end;
    }

    private void string(char quote) {
        StringBuilder text = new StringBuilder();
        int i = pos + 1;
        while (true) {
            if (i >= source.length()) {
                throw fail(pos, "unexpected char " + quote + ": the string has no end");
            }
            char c = source.charAt(i++);
            if (c == quote) {
                break;
            }
            if (c == '\\' && i < source.length()) {
                i = escape(i, text);
            } else {
                text.append(c);
            }
        }
        add(Token.Kind.STRING, pos, text.toString());
        pos = i;
    }

    /// Decodes the escape whose character after the backslash is at `i`. Returns where the string goes on.
    private int escape(int i, StringBuilder text) {
        char c = source.charAt(i);
        int simple = "\\'\"abfnrtv".indexOf(c);
        if (simple >= 0) {
            text.append("\\'\"\u0007\b\f\n\r\t\u000b".charAt(simple));
            return i + 1;
        }
        if (c == '\n') {
            return i + 1;
        }
        if (c >= '0' && c <= '7') {
            int end = i;
            while (end < i + 3
                    && end < source.length()
                    && source.charAt(end) >= '0'
                    && source.charAt(end) <= '7') {
                end++;
            }
            text.append((char) Integer.parseInt(source.substring(i, end), 8));
            return end;
        }
        int digits = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
        if (digits > 0) {
            int end = Math.min(source.length(), i + 1 + digits);
            String hex = source.substring(i + 1, end);
            if (hex.length() < digits
                    || !hex.chars().allMatch(h -> Character.digit(h, 16) >= 0)
                    || !Character.isValidCodePoint((int) Long.parseLong(hex, 16))) {
                throw fail(i, "truncated or illegal \\" + c + " escape");
            }
            text.appendCodePoint(Integer.parseInt(hex, 16));
            return end;
        }
        if (c == 'N') {
            throw fail(i, "\\N{...} escapes are not supported");
        }
        text.append('\\').append(c);
        return i + 1;
    }

    private void operator(Deque<Character> open) {
        String operator =
                OPERATORS.stream()
                        .filter(candidate -> source.startsWith(candidate, pos))
                        .findFirst()
                        .orElseThrow(
                                () -> fail(pos, "unexpected char '" + source.charAt(pos) + "'"));
        switch (operator) {
            case "(" -> open.push(')');
            case "[" -> open.push(']');
            case "{" -> open.push('}');
            case ")", "]", "}" -> {
                if (open.isEmpty() || open.pop() != operator.charAt(0)) {
                    throw fail(pos, "unexpected '" + operator + "'");
                }
            }
            default -> {}
        }
        add(Token.Kind.OPERATOR, pos, operator);
        pos += operator.length();
    }

    private void add(Token.Kind kind, int position, Object value) {
        tokens.add(new Token(kind, lineOf(position), value));
    }

    private int lineOf(int position) {
        for (; linePos < position; linePos++) {
            if (source.charAt(linePos) == '\n') {
                line++;
            }
        }
        return line;
    }

    private TemplateException fail(int position, String message) {
        return TemplateException.engine(lineOf(position), "TemplateSyntaxError: " + message);
    }
}
