package io.atoll.model.grammar;

import io.atoll.model.grammar.Expression.Characters;
import io.atoll.model.grammar.Expression.Repeat;
import io.atoll.model.grammar.Expression.Rule;
import io.atoll.model.grammar.Expression.Text;
import io.atoll.model.grammar.GrammarException.Kind;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/// Reads a context-free grammar in GBNF, the notation of llama.cpp.
///
/// A grammar is rules `name ::= expression`; `root` is what the whole answer must match. An expression is made of
/// `"text"`, `[a-z]` and `[^a-z]`, `.` (any character), names of rules, `( )`, `|`, and `* + ? {n} {n,} {n,m}` after any of them.
/// Texts and classes know `\n \r \t \\ \" \[ \] \- \^`, and `\x`, `\\u` and `\U` with two, four and eight hexadecimal digits; all of
/// them are characters, never bytes. `#` starts a comment. White space and line breaks separate and mean nothing else. Recursion
/// may be of any kind, also on the left.
final class GrammarParser {
    private static final int MAX_REPETITIONS = 1_000_000;

    private final String text;
    private final int maxDepth;
    private final Map<String, Integer> numbers = new LinkedHashMap<>();
    private final Map<String, Integer> firstUse = new LinkedHashMap<>();
    private final List<Expression> rules =
            new ArrayList<>(); // null where a rule is used and not defined yet
    private int at;
    private int depth;

    private GrammarParser(String text, GrammarLimits limits) {
        this.text = text;
        maxDepth = limits.depth();
        if (text.length() > limits.inputChars()) {
            throw GrammarException.limit(
                    "grammar", "characters", text.length(), limits.inputChars());
        }
    }

    /// @throws GrammarException with line and column
    static Grammar parse(String text, GrammarLimits limits) {
        return new GrammarParser(text, limits).grammar();
    }

    private Grammar grammar() {
        skipSpace();
        while (at < text.length()) {
            int start = at;
            String name = name();
            if (name.isEmpty()) {
                throw syntax("expected the name of a rule, found " + found());
            }
            skipSpace();
            if (!text.startsWith("::=", at)) {
                throw syntax("expected `::=` after `" + name + "`, found " + found());
            }
            at += 3;
            int number = number(name, start);
            if (rules.get(number) != null) {
                at = start;
                throw syntax("rule `" + name + "` is defined twice");
            }
            rules.set(number, alternatives());
        }
        numbers.forEach(
                (name, number) -> {
                    if (rules.get(number) == null) {
                        at = firstUse.get(name);
                        throw syntax("rule `" + name + "` is not defined");
                    }
                });
        Integer root = numbers.get("root");
        if (root == null) {
            throw syntax("no rule is called `root`");
        }
        return new Grammar(rules, root);
    }

    private int number(String name, int where) {
        firstUse.putIfAbsent(name, where);
        return numbers.computeIfAbsent(
                name,
                _ -> {
                    rules.add(null);
                    return rules.size() - 1;
                });
    }

    private Expression alternatives() {
        if (++depth > maxDepth) {
            throw GrammarException.limit(place(), "nested groups", depth, maxDepth);
        }
        List<Expression> options = new ArrayList<>();
        do {
            options.add(sequence());
        } while (take('|'));
        depth--;
        return Expression.choice(options.toArray(new Expression[0]));
    }

    private Expression sequence() {
        List<Expression> parts = new ArrayList<>();
        skipSpace();
        while (at < text.length() && "|)".indexOf(text.charAt(at)) < 0 && !isDefinition()) {
            parts.add(quantified(atom()));
            skipSpace();
        }
        return Expression.sequence(parts.toArray(new Expression[0]));
    }

    /// Whether the next rule's definition begins here.
    private boolean isDefinition() {
        int start = at;
        boolean isName = !name().isEmpty();
        skipSpace();
        boolean defines = isName && text.startsWith("::=", at);
        at = start;
        return defines;
    }

    private Expression atom() {
        int start = at;
        char here = text.charAt(at);
        if (here == '"') {
            return literal();
        }
        if (here == '[') {
            return new Characters(characterClass());
        }
        if (take('.')) {
            return new Characters(CodePoints.ALL);
        }
        if (take('(')) {
            Expression body = alternatives();
            if (!take(')')) {
                at = start;
                throw syntax("`(` without `)`");
            }
            return body;
        }
        String name = name();
        if (name.isEmpty()) {
            throw syntax("expected an expression, found " + found());
        }
        return new Rule(number(name, start));
    }

    private Expression literal() {
        int open = at++;
        StringBuilder content = new StringBuilder();
        while (at < text.length() && text.charAt(at) != '"') {
            content.appendCodePoint(character());
        }
        if (!take('"')) {
            at = open;
            throw syntax("a text without its closing quote");
        }
        return new Text(content.toString());
    }

    private CodePoints characterClass() {
        int open = at++;
        boolean negated = take('^');
        CodePoints set = CodePoints.NONE;
        while (at < text.length() && text.charAt(at) != ']') {
            int start = at;
            int low = character();
            int high = low;
            if (text.startsWith("-", at) && !text.startsWith("-]", at)) {
                at++;
                if (at == text.length()) {
                    break;
                }
                high = character();
            }
            if (high < low) {
                at = start;
                throw syntax("a range of a class must go from a character to a later one");
            }
            set = set.union(CodePoints.range(low, high));
        }
        if (!take(']')) {
            at = open;
            throw syntax("`[` without `]`");
        }
        return negated ? set.complement() : set;
    }

    private int character() {
        int codePoint = text.codePointAt(at);
        if (codePoint >= 0xD800 && codePoint <= 0xDFFF) {
            throw syntax("a lone surrogate");
        }
        if (codePoint != '\\') {
            at += Character.charCount(codePoint);
            return codePoint;
        }
        if (at + 1 == text.length()) {
            throw syntax("`\\` at the end");
        }
        char kind = text.charAt(at + 1);
        int digits = kind == 'x' ? 2 : kind == 'u' ? 4 : kind == 'U' ? 8 : 0;
        if (digits > 0) {
            return hex(digits);
        }
        int value =
                switch (kind) {
                    case 'n' -> '\n';
                    case 'r' -> '\r';
                    case 't' -> '\t';
                    case '\\', '"', '[', ']', '-', '^' -> kind;
                    default -> throw syntax("no such escape: `\\" + kind + "`");
                };
        at += 2;
        return value;
    }

    private int hex(int digits) {
        long value = 0;
        for (int i = at + 2; i < at + 2 + digits; i++) {
            int digit = i < text.length() ? Character.digit(text.charAt(i), 16) : -1;
            if (digit < 0) {
                throw syntax("the escape needs " + digits + " hexadecimal digits");
            }
            value = 16 * value + digit;
        }
        if (value > 0x10FFFF || !CodePoints.ALL.contains((int) value)) {
            throw syntax(String.format("U+%X is no character", value));
        }
        at += 2 + digits;
        return (int) value;
    }

    private Expression quantified(Expression atom) {
        Expression body = atom;
        int nested = depth;
        skipSpace();
        while (at < text.length()) {
            if (take('*')) {
                body = Expression.any(body);
            } else if (take('+')) {
                body = new Repeat(body, 1, Expression.UNBOUNDED);
            } else if (take('?')) {
                body = Expression.optional(body);
            } else if (text.charAt(at) == '{') {
                body = counted(body);
            } else {
                break;
            }
            if (++nested > maxDepth) {
                throw GrammarException.limit(place(), "nesting", nested, maxDepth);
            }
            skipSpace();
        }
        return body;
    }

    private Expression counted(Expression body) {
        int open = at++;
        int min = count();
        int max = min;
        skipSpace();
        if (take(',')) {
            skipSpace();
            max = text.startsWith("}", at) ? Expression.UNBOUNDED : count();
            skipSpace();
        }
        if (!take('}') || (max != Expression.UNBOUNDED && max < min)) {
            at = open;
            throw syntax("a repetition must be {n}, {n,} or {n,m} with n <= m");
        }
        return new Repeat(body, min, max);
    }

    private int count() {
        skipSpace();
        int from = at;
        long value = 0;
        while (at < text.length() && text.charAt(at) >= '0' && text.charAt(at) <= '9') {
            value = Math.min(Integer.MAX_VALUE, 10 * value + text.charAt(at++) - '0');
        }
        if (at == from) {
            throw syntax("expected a number, found " + found());
        }
        if (value > MAX_REPETITIONS) {
            at = from;
            throw GrammarException.limit(place(), "repetitions", value, MAX_REPETITIONS);
        }
        return (int) value;
    }

    private String name() {
        int from = at;
        while (at < text.length() && isNameCharacter(text.charAt(at), at > from)) {
            at++;
        }
        return text.substring(from, at);
    }

    private static boolean isNameCharacter(char c, boolean inside) {
        boolean letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
        return letter || (inside && ((c >= '0' && c <= '9') || c == '-'));
    }

    private void skipSpace() {
        while (at < text.length()) {
            char here = text.charAt(at);
            if (here == '#') {
                int lineEnd = text.indexOf('\n', at);
                at = lineEnd < 0 ? text.length() : lineEnd;
            } else if (here == ' ' || here == '\t' || here == '\n' || here == '\r') {
                at++;
            } else {
                return;
            }
        }
    }

    private boolean take(char expected) {
        boolean found = at < text.length() && text.charAt(at) == expected;
        at += found ? 1 : 0;
        return found;
    }

    private String found() {
        return at < text.length()
                ? "`" + Character.toString(text.codePointAt(at)) + "`"
                : "the end";
    }

    private String place() {
        int line = 1;
        int lineStart = 0;
        for (int i = 0; i < at; i++) {
            if (text.charAt(i) == '\n') {
                line++;
                lineStart = i + 1;
            }
        }
        return "line " + line + ", column " + (text.codePointCount(lineStart, at) + 1);
    }

    private GrammarException syntax(String problem) {
        return new GrammarException(Kind.SYNTAX, place(), problem);
    }
}
