package io.atoll.model.grammar;

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
}
