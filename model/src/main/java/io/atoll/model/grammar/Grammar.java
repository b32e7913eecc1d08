package io.atoll.model.grammar;

import java.util.ArrayList;
import java.util.List;

/// A context-free grammar over Unicode text.
///
/// @param rules what each rule matches; [Expression.Rule] refers to them by position
/// @param start the rule that a whole text must match
record Grammar(List<Expression> rules, int start) {
    Grammar {
        rules = List.copyOf(rules);
        if (start < 0 || start >= rules.size()) {
            throw new IllegalArgumentException(
                    "no such start rule: " + start + " of " + rules.size());
        }
    }

    /// The grammar of one expression that refers to no rule.
    static Grammar of(Expression expression) {
        return new Grammar(List.of(expression), 0);
    }

    /// The texts of two grammars.
    static Grammar either(Grammar a, Grammar b) {
        List<Expression> rules = new ArrayList<>(a.rules);
        int shift = rules.size();
        b.rules.forEach(rule -> rules.add(renumbered(rule, shift)));
        rules.add(
                Expression.choice(
                        new Expression.Rule(a.start), new Expression.Rule(b.start + shift)));
        return new Grammar(rules, rules.size() - 1);
    }

    /// The expression where every rule's number is higher by `shift`.
    private static Expression renumbered(Expression expression, int shift) {
        return switch (expression) {
            case Expression.Text _, Expression.Characters _ -> expression;
            case Expression.Rule(int number) -> new Expression.Rule(number + shift);
            case Expression.Sequence(var parts) ->
                    new Expression.Sequence(renumbered(parts, shift));
            case Expression.Choice(var options) ->
                    new Expression.Choice(renumbered(options, shift));
            case Expression.Repeat(var body, int min, int max) ->
                    new Expression.Repeat(renumbered(body, shift), min, max);
            case Expression.Graph(int nodes, var edges) ->
                    new Expression.Graph(
                            nodes,
                            edges.stream()
                                    .map(
                                            edge ->
                                                    new Expression.Edge(
                                                            edge.from(),
                                                            renumbered(edge.passedBy(), shift),
                                                            edge.to()))
                                    .toList());
            case Expression.Intersection _ -> expression; // contains no rule
        };
    }

    private static List<Expression> renumbered(List<Expression> expressions, int shift) {
        return expressions.stream().map(each -> renumbered(each, shift)).toList();
    }
}
