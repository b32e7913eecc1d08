package io.atoll.model.grammar;

import io.atoll.model.grammar.Expression.Characters;
import io.atoll.model.grammar.Expression.Repeat;
import io.atoll.model.grammar.GrammarException.Kind;
import java.util.ArrayList;
import java.util.List;

/// Reads a regular expression in the syntax that ECMAScript, Python and PCRE have in common.
///
/// Offered: characters, `.` (not a line break), classes with ranges and negation, `\d \w \s` (ASCII digits and word characters,
/// Unicode white space) and their negations, `\t \n \r \f \v \0`, characters by their hexadecimal number after `\x` or `\\u` or in `\\u{}`, escaped punctuation, groups with or without
/// capture or name, `|`, `* + ? {n} {n,} {n,m}` greedy or lazy (which match the same texts), and `^` and `$` at the ends of a
/// top-level alternative.
///
/// Refused by name: back-references, look-around, word boundaries, anchors elsewhere, inline flags, atomic groups and possessive
/// quantifiers, `\p{}` and other classes of properties.
final class RegexParser {
    private static final CodePoints DIGIT = CodePoints.range('0', '9');
    private static final CodePoints WORD =
            DIGIT.union(CodePoints.range('a', 'z'))
                    .union(CodePoints.range('A', 'Z'))
                    .union(CodePoints.of('_'));
    private static final CodePoints SPACE =
            CodePoints.of("\t\n\u000B\f\r \u00A0\u1680\u2028\u2029\u202F\u205F\u3000\uFEFF")
                    .union(CodePoints.range(0x2000, 0x200A));
    private static final CodePoints DOT = CodePoints.of("\n\r\u2028\u2029").complement();

    private static final String PUNCTUATION = "^$\\.*+?()[]{}|/-\"'`!#%&,:;<=>@_~ ";

    private final String pattern;
    private final String where;
    private final int maxDepth;
    private int at;
    private int depth;

    private RegexParser(String pattern, String where, GrammarLimits limits) {
        this.pattern = pattern;
        this.where = where;
        maxDepth = limits.depth();
        if (pattern.length() > limits.inputChars()) {
            throw GrammarException.limit(
                    where, "characters", pattern.length(), limits.inputChars());
        }
    }

    /// An expression that a whole text must match.
    static Expression whole(String pattern, String where, GrammarLimits limits) {
        return new RegexParser(pattern, where, limits).top(Expression.EMPTY);
    }

    /// An expression that must match somewhere in the text, as JSON Schema's `pattern` does.
    static Expression somewhere(String pattern, String where, GrammarLimits limits) {
        Expression anything = Expression.any(new Characters(CodePoints.ALL));
        return new RegexParser(pattern, where, limits).top(anything);
    }

    /// @param around what may stand before and after an alternative that is not anchored
    private Expression top(Expression around) {
        List<Expression> alternatives = new ArrayList<>();
        do {
            boolean fromStart = takeAnchor('^');
            Expression body = sequence();
            boolean toEnd = takeAnchor('$');
            alternatives.add(
                    Expression.sequence(
                            fromStart ? Expression.EMPTY : around,
                            body,
                            toEnd ? Expression.EMPTY : around));
        } while (take('|'));
        if (at < pattern.length()) {
            char found = pattern.charAt(at);
            if (found == ')') {
                throw syntax("`)` without `(`");
            }
            throw unsupported(
                    "`" + found + "` elsewhere than at the end of a top-level alternative");
        }
        return Expression.choice(alternatives.toArray(new Expression[0]));
    }

    /// Takes an anchor, which cannot be repeated.
    private boolean takeAnchor(char anchor) {
        boolean found = take(anchor);
        if (found && isQuantifier()) {
            throw syntax("an anchor cannot be repeated");
        }
        return found;
    }

    private Expression alternatives() {
        List<Expression> options = new ArrayList<>();
        do {
            options.add(sequence());
        } while (take('|'));
        return Expression.choice(options.toArray(new Expression[0]));
    }

    private Expression sequence() {
        List<Expression> parts = new ArrayList<>();
        while (at < pattern.length() && "|)$".indexOf(pattern.charAt(at)) < 0) {
            parts.add(quantified(atom()));
        }
        return Expression.sequence(parts.toArray(new Expression[0]));
    }

    private Expression atom() {
        int codePoint = pattern.codePointAt(at);
        return switch (codePoint) {
            case '(' -> group();
            case '[' -> new Characters(characterClass());
            case '.' -> {
                at++;
                yield new Characters(DOT);
            }
            case '\\' -> new Characters(escape(false));
            case '*', '+', '?' ->
                    throw syntax("nothing to repeat before `" + (char) codePoint + "`");
            case '^' ->
                    throw unsupported("`^` elsewhere than at the start of a top-level alternative");
            default -> {
                if (isQuantifier()) {
                    throw syntax("nothing to repeat before `{`");
                }
                yield new Characters(literal(codePoint));
            }
        };
    }

    private CodePoints literal(int codePoint) {
        if (codePoint >= 0xD800 && codePoint <= 0xDFFF) {
            throw syntax("a lone surrogate");
        }
        at += Character.charCount(codePoint);
        return CodePoints.of(codePoint);
    }

    private Expression group() {
        if (++depth > maxDepth) {
            throw GrammarException.limit(place(), "nested groups", depth, maxDepth);
        }
        int open = at++;
        if (take('?')) {
            groupKind();
        }
        Expression body = alternatives();
        if (at < pattern.length() && pattern.charAt(at) == '$') {
            throw unsupported("`$` inside a group");
        }
        if (!take(')')) {
            at = open;
            throw syntax("`(` without `)`");
        }
        depth--;
        return body;
    }

    private void groupKind() {
        if (take(':')) {
            return;
        }
        String rest = pattern.substring(at);
        if (rest.startsWith("=") || rest.startsWith("!")) {
            throw unsupported("look-ahead");
        }
        if (rest.startsWith("<=") || rest.startsWith("<!")) {
            throw unsupported("look-behind");
        }
        if (rest.startsWith(">")) {
            throw unsupported("an atomic group");
        }
        if (rest.startsWith("P=")) {
            throw unsupported("a back-reference");
        }
        if (rest.startsWith("P<") || rest.startsWith("<")) {
            int close = pattern.indexOf('>', at);
            if (close < 0) {
                throw syntax("a group's name without `>`");
            }
            at = close + 1;
            return;
        }
        throw unsupported("a group that begins with `(?" + head(rest) + "`");
    }

    private static String head(String text) {
        return text.isEmpty() ? "" : text.substring(0, text.offsetByCodePoints(0, 1));
    }

    private Expression quantified(Expression body) {
        if (!isQuantifier()) {
            return body;
        }
        int min;
        int max;
        if (take('*')) {
            min = 0;
            max = Expression.UNBOUNDED;
        } else if (take('+')) {
            min = 1;
            max = Expression.UNBOUNDED;
        } else if (take('?')) {
            min = 0;
            max = 1;
        } else {
            at++;
            min = number();
            max = min;
            if (take(',')) {
                max = pattern.charAt(at) == '}' ? Expression.UNBOUNDED : number();
            }
            at++;
            if (max != Expression.UNBOUNDED && max < min) {
                throw syntax("a repetition from " + min + " to " + max);
            }
        }
        if (take('+')) {
            throw unsupported("a possessive quantifier");
        }
        take('?'); // lazy: the same texts match
        if (isQuantifier()) {
            throw syntax("two quantifiers in a row");
        }
        return new Repeat(body, min, max);
    }

    /// Whether a quantifier starts here. A brace that starts none is a character.
    private boolean isQuantifier() {
        if (at >= pattern.length()) {
            return false;
        }
        char here = pattern.charAt(at);
        if (here != '{') {
            return here == '*' || here == '+' || here == '?';
        }
        int i = at + 1;
        int digits = i;
        while (i < pattern.length() && DIGIT.contains(pattern.charAt(i))) {
            i++;
        }
        if (i == digits) {
            return false;
        }
        if (i < pattern.length() && pattern.charAt(i) == ',') {
            i++;
            while (i < pattern.length() && DIGIT.contains(pattern.charAt(i))) {
                i++;
            }
        }
        return i < pattern.length() && pattern.charAt(i) == '}';
    }

    private int number() {
        int from = at;
        long value = 0;
        while (DIGIT.contains(pattern.charAt(at))) {
            value = Math.min(Integer.MAX_VALUE, 10 * value + pattern.charAt(at++) - '0');
        }
        if (value > 1_000_000) {
            at = from;
            throw GrammarException.limit(place(), "repetitions", value, 1_000_000);
        }
        return (int) value;
    }

    private CodePoints characterClass() {
        int open = at++;
        boolean negated = take('^');
        if (at < pattern.length() && pattern.charAt(at) == ']') {
            throw syntax("an empty class; write `\\]` for the character");
        }
        CodePoints set = CodePoints.NONE;
        while (true) {
            if (at >= pattern.length()) {
                at = open;
                throw syntax("`[` without `]`");
            }
            if (take(']')) {
                return negated ? set.complement() : set;
            }
            if (pattern.startsWith("[:", at)) {
                throw unsupported("a POSIX class");
            }
            CodePoints low = member();
            boolean range = at + 1 < pattern.length() && pattern.charAt(at) == '-';
            if (range && pattern.charAt(at + 1) != ']') {
                at++;
                CodePoints high = member();
                if (!isOne(low) || !isOne(high) || low.first(0) > high.first(0)) {
                    throw syntax("a range of a class must go from a character to a later one");
                }
                low = CodePoints.range(low.first(0), high.first(0));
            }
            set = set.union(low);
        }
    }

    private static boolean isOne(CodePoints set) {
        return set.ranges() == 1 && set.first(0) == set.last(0);
    }

    private CodePoints member() {
        int codePoint = pattern.codePointAt(at);
        return codePoint == '\\' ? escape(true) : literal(codePoint);
    }

    private CodePoints escape(boolean inClass) {
        if (at + 1 >= pattern.length()) {
            throw syntax("`\\` at the end");
        }
        char kind = pattern.charAt(at + 1);
        if ((kind >= '1' && kind <= '9') || kind == 'k') {
            throw unsupported("a back-reference");
        }
        if (kind == 'B' || (kind == 'b' && !inClass)) {
            throw unsupported("a word boundary");
        }
        if (kind == 'A' || kind == 'Z' || kind == 'z' || kind == 'G') {
            throw unsupported("the anchor `\\" + kind + "`");
        }
        if (kind == 'p' || kind == 'P') {
            throw unsupported("a class of Unicode properties, `\\" + kind + "`");
        }
        if (kind == 'x') {
            return hex(2, 2);
        }
        if (kind == 'u') {
            return unicode();
        }
        CodePoints set =
                switch (kind) {
                    case 'd' -> DIGIT;
                    case 'D' -> DIGIT.complement();
                    case 'w' -> WORD;
                    case 'W' -> WORD.complement();
                    case 's' -> SPACE;
                    case 'S' -> SPACE.complement();
                    case 't' -> CodePoints.of('\t');
                    case 'n' -> CodePoints.of('\n');
                    case 'r' -> CodePoints.of('\r');
                    case 'f' -> CodePoints.of('\f');
                    case 'v' -> CodePoints.of(0x0B);
                    case 'b' -> CodePoints.of('\b');
                    case '0' -> CodePoints.of(0);
                    default -> {
                        if (PUNCTUATION.indexOf(kind) < 0) {
                            throw unsupported("the escape `\\" + kind + "`");
                        }
                        yield CodePoints.of(kind);
                    }
                };
        at += 2;
        return set;
    }

    private CodePoints unicode() {
        if (pattern.startsWith("{", at + 2)) {
            int close = pattern.indexOf('}', at);
            int digits = close - at - 3;
            if (digits < 1 || digits > 6) {
                throw syntax("`\\u{` needs one to six hexadecimal digits and `}`");
            }
            CodePoints point = hex(3, digits);
            at++;
            return point;
        }
        int high = hexValue(at + 2, 4);
        if (Character.isHighSurrogate((char) high) && pattern.startsWith("\\u", at + 6)) {
            int low = hexValue(at + 8, 4);
            if (Character.isLowSurrogate((char) low)) {
                at += 12;
                return CodePoints.of(Character.toCodePoint((char) high, (char) low));
            }
        }
        return hex(2, 4);
    }

    private CodePoints hex(int offset, int digits) {
        int value = hexValue(at + offset, digits);
        if (!CodePoints.ALL.contains(value)) {
            throw syntax(String.format("U+%X is no character", value));
        }
        at += offset + digits;
        return CodePoints.of(value);
    }

    private int hexValue(int from, int digits) {
        int value = 0;
        for (int i = from; i < from + digits; i++) {
            int digit = i < pattern.length() ? Character.digit(pattern.charAt(i), 16) : -1;
            if (digit < 0) {
                throw syntax("an escape needs " + digits + " hexadecimal digits");
            }
            value = 16 * value + digit;
        }
        return value;
    }

    private boolean take(char expected) {
        boolean found = at < pattern.length() && pattern.charAt(at) == expected;
        at += found ? 1 : 0;
        return found;
    }

    private String place() {
        return where + " at offset " + at;
    }

    private GrammarException syntax(String problem) {
        return new GrammarException(Kind.SYNTAX, place(), problem);
    }

    private GrammarException unsupported(String what) {
        return new GrammarException(Kind.UNSUPPORTED, place(), what + " is not offered");
    }
}
