package io.atoll.model.grammar;

import io.atoll.model.grammar.Expression.Characters;
import io.atoll.model.grammar.Expression.Choice;
import io.atoll.model.grammar.Expression.Edge;
import io.atoll.model.grammar.Expression.Graph;
import io.atoll.model.grammar.Expression.Intersection;
import io.atoll.model.grammar.Expression.Repeat;
import io.atoll.model.grammar.Expression.Rule;
import io.atoll.model.grammar.Expression.Sequence;
import io.atoll.model.grammar.Expression.Text;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Locale;
import java.util.TreeMap;

/// How strings are spelled in JSON (RFC 8259, section 7).
///
/// A string that must have some content (an enumerated value, a property's name, one that matches a pattern) has one spelling:
/// characters stand for themselves, except that the quote, the backslash and control characters are escaped, the latter with
/// their short escape where there is one. So what can be told apart in the text can be told apart in the value.
final class JsonText {
    private static final CodePoints CONTROL = CodePoints.range(0, 0x1F);
    private static final CodePoints PLAIN = CONTROL.union(CodePoints.of("\"\\")).complement();
    private static final String SHORT = "\b\f\n\r\t\"\\";
    private static final String SHORT_NAMES = "bfnrt\"\\";
    private static final Expression HEX = new Characters(hexDigits());

    private JsonText() {}

    /// One character of a string in any spelling. A surrogate can only be escaped together with its other half.
    static Expression anyCharacter() {
        Expression escape =
                Expression.choice(
                        new Characters(CodePoints.of("\"\\/bfnrt")),
                        Expression.sequence(
                                new Text("u"),
                                Expression.choice(
                                        Expression.sequence(
                                                new Characters(
                                                        hexDigits().minus(CodePoints.of("dD"))),
                                                new Repeat(HEX, 3, 3)),
                                        Expression.sequence(
                                                new Characters(CodePoints.of("dD")),
                                                new Characters(CodePoints.range('0', '7')),
                                                new Repeat(HEX, 2, 2)),
                                        Expression.sequence(
                                                new Characters(CodePoints.of("dD")),
                                                new Characters(CodePoints.of("89abAB")),
                                                new Repeat(HEX, 2, 2),
                                                new Text("\\u"),
                                                new Characters(CodePoints.of("dD")),
                                                new Characters(CodePoints.of("cdefCDEF")),
                                                new Repeat(HEX, 2, 2)))));
        return Expression.choice(
                new Characters(PLAIN), Expression.sequence(new Text("\\"), escape));
    }

    private static CodePoints hexDigits() {
        return CodePoints.range('0', '9')
                .union(CodePoints.range('a', 'f'))
                .union(CodePoints.range('A', 'F'));
    }

    /// The text as a JSON string, quotes included.
    static Expression string(String text) {
        return Expression.sequence(new Text("\""), spelled(new Text(text)), new Text("\""));
    }

    /// What the expression matches, as it is spelled inside a string.
    static Expression spelled(Expression expression) {
        return switch (expression) {
            case Text(var text) -> spelled(text);
            case Characters(var set) -> spelled(set);
            case Sequence(var parts) ->
                    new Sequence(parts.stream().map(JsonText::spelled).toList());
            case Choice(var options) ->
                    new Choice(options.stream().map(JsonText::spelled).toList());
            case Repeat(var body, int min, int max) -> new Repeat(spelled(body), min, max);
            case Intersection(var parts) ->
                    new Intersection(parts.stream().map(JsonText::spelled).toList());
            case Rule _, Graph _ ->
                    throw new IllegalArgumentException(
                            "not the content of a string: " + expression);
        };
    }

    private static Expression spelled(String text) {
        List<Expression> parts = new ArrayList<>();
        StringBuilder plain = new StringBuilder();
        text.codePoints()
                .forEach(
                        codePoint -> {
                            if (PLAIN.contains(codePoint)) {
                                plain.appendCodePoint(codePoint);
                                return;
                            }
                            parts.add(new Text(plain.toString()));
                            plain.setLength(0);
                            parts.add(spelled(CodePoints.of(codePoint)));
                        });
        parts.add(new Text(plain.toString()));
        return parts.size() == 1 ? parts.get(0) : new Sequence(parts);
    }

    /// One character of the set.
    static Expression spelled(CodePoints set) {
        List<Expression> options = new ArrayList<>();
        CodePoints plain = set.intersect(PLAIN);
        if (!plain.isEmpty()) {
            options.add(new Characters(plain));
        }
        CodePoints names = CodePoints.NONE;
        CodePoints[] lastDigits = {CodePoints.NONE, CodePoints.NONE}; // after "\\u000" and "\\u001"
        CodePoints escaped = set.minus(PLAIN);
        for (int range = 0; range < escaped.ranges(); range++) {
            for (int c = escaped.first(range); c <= escaped.last(range); c++) {
                int name = SHORT.indexOf(c);
                if (name >= 0) {
                    names = names.union(CodePoints.of(SHORT_NAMES.charAt(name)));
                } else {
                    String digit = Integer.toHexString(c & 0xF);
                    lastDigits[c >> 4] =
                            lastDigits[c >> 4].union(
                                    CodePoints.of(digit + digit.toUpperCase(Locale.ROOT)));
                }
            }
        }
        addEscape(options, "\\", names);
        addEscape(options, "\\u000", lastDigits[0]);
        addEscape(options, "\\u001", lastDigits[1]);
        return Expression.choice(options.toArray(new Expression[0]));
    }

    private static void addEscape(List<Expression> options, String head, CodePoints last) {
        if (!last.isEmpty()) {
            options.add(Expression.sequence(new Text(head), new Characters(last)));
        }
    }

    /// Any string but these, quotes included.
    static Expression stringExcept(Collection<String> names) {
        NameTree tree = new NameTree();
        names.forEach(tree::add);
        return Expression.sequence(new Text("\""), tree.others(), new Text("\""));
    }

    /// Names as a tree of their characters.
    private static final class NameTree {
        private final List<TreeMap<Integer, Integer>> children =
                new ArrayList<>(List.of(new TreeMap<>()));
        private final List<Boolean> isName = new ArrayList<>(List.of(false));

        void add(String name) {
            int at = 0;
            for (int c : name.codePoints().toArray()) {
                Integer next = children.get(at).get(c);
                if (next == null) {
                    next = children.size();
                    children.add(new TreeMap<>());
                    isName.add(false);
                    children.get(at).put(c, next);
                }
                at = next;
            }
            isName.set(at, true);
        }

        /// The strings that are no name: those that leave the tree, and those that stop in it elsewhere than at a name.
        Expression others() {
            int left = children.size();
            int end = left + 1;
            List<Edge> edges = new ArrayList<>();
            edges.add(new Edge(left, spelled(CodePoints.ALL), left));
            edges.add(new Edge(left, Expression.EMPTY, end));
            for (int node = 0; node < children.size(); node++) {
                CodePoints leaving = CodePoints.ALL;
                for (var child : children.get(node).entrySet()) {
                    if (!CodePoints.ALL.contains(child.getKey())) {
                        continue; // a lone surrogate, which no answer can hold
                    }
                    CodePoints character = CodePoints.of(child.getKey());
                    leaving = leaving.minus(character);
                    edges.add(new Edge(node, spelled(character), child.getValue()));
                }
                edges.add(new Edge(node, spelled(leaving), left));
                if (!isName.get(node)) {
                    edges.add(new Edge(node, Expression.EMPTY, end));
                }
            }
            return new Graph(end + 1, edges);
        }
    }
}
