package io.atoll.model.grammar;

import java.util.ArrayList;
import java.util.List;

/// The rules of a grammar that is being made. A rule can be referred to before it is defined.
final class RuleList {
    private final List<Expression> rules = new ArrayList<>();

    /// A rule that [#define] gives its expression later.
    Expression.Rule reserve() {
        rules.add(Expression.NOTHING);
        return new Expression.Rule(rules.size() - 1);
    }

    void define(Expression.Rule rule, Expression expression) {
        rules.set(rule.number(), expression);
    }

    Expression.Rule add(Expression expression) {
        Expression.Rule rule = reserve();
        define(rule, expression);
        return rule;
    }

    int size() {
        return rules.size();
    }

    Grammar grammar(Expression.Rule start) {
        return new Grammar(rules, start.number());
    }
}
