package io.atoll.model.grammar;

import io.atoll.model.grammar.Expression.Characters;
import io.atoll.model.grammar.Expression.Repeat;
import io.atoll.model.grammar.Expression.Rule;
import io.atoll.model.grammar.Expression.Text;
import java.util.Optional;

/// The rules of JSON (RFC 8259) that schemas share, added to a [RuleList] when they are first asked for.
///
/// White space is free where people and programs put it, and bounded, so that an answer cannot get lost in it: after `{`, `[` and
/// `,` and before `}` and `]`, nothing, one space, or a line break and at most [#MAX_INDENT] spaces or tabs; after `:` nothing or
/// one space; none elsewhere.
final class JsonRules {
    static final int MAX_INDENT = 64;

    static final Expression COLON =
            Expression.sequence(new Text(":"), Expression.optional(new Text(" ")));
    private static final Expression DIGIT = new Characters(CodePoints.range('0', '9'));

    /// Digits of an integer without a sign.
    static final Expression NATURAL =
            Expression.choice(
                    new Text("0"),
                    Expression.sequence(
                            new Characters(CodePoints.range('1', '9')), Expression.any(DIGIT)));

    static final Expression INTEGER =
            Expression.sequence(Expression.optional(new Text("-")), NATURAL);

    /// A number without an exponent.
    static final Expression DECIMAL =
            Expression.sequence(
                    INTEGER,
                    Expression.optional(
                            Expression.sequence(
                                    new Text("."), new Repeat(DIGIT, 1, Expression.UNBOUNDED))));

    /// The exponent has at most three digits, which reach beyond every double; parsers refuse absurd ones.
    static final Expression NUMBER =
            Expression.sequence(
                    DECIMAL,
                    Expression.optional(
                            Expression.sequence(
                                    new Characters(CodePoints.of("eE")),
                                    Expression.optional(new Characters(CodePoints.of("+-"))),
                                    new Repeat(DIGIT, 1, 3))));

    private final RuleList rules;
    private Optional<Rule> space = Optional.empty();
    private Optional<Rule> character = Optional.empty();
    private Optional<Rule> string = Optional.empty();
    private Optional<Rule> number = Optional.empty();
    private Optional<Rule> integer = Optional.empty();
    private Optional<Rule> value = Optional.empty();
    private Optional<Rule> object = Optional.empty();
    private Optional<Rule> array = Optional.empty();

    JsonRules(RuleList rules) {
        this.rules = rules;
    }

    /// An expression that is used in several places, as a rule of its own.
    Rule rule(Expression expression) {
        return rules.add(expression);
    }

    /// White space around the parts of objects and arrays.
    Rule space() {
        if (space.isEmpty()) {
            Expression indent = new Characters(CodePoints.of(" \t"));
            space =
                    Optional.of(
                            rules.add(
                                    Expression.choice(
                                            Expression.EMPTY,
                                            new Text(" "),
                                            Expression.sequence(
                                                    new Text("\n"),
                                                    new Repeat(indent, 0, MAX_INDENT)))));
        }
        return space.get();
    }

    /// One character of a string, however it is spelled.
    Rule character() {
        if (character.isEmpty()) {
            character = Optional.of(rules.add(JsonText.anyCharacter()));
        }
        return character.get();
    }

    Rule string() {
        if (string.isEmpty()) {
            // Written out rather than by `character()`: most tokens of an answer are inside
            // strings.
            string =
                    Optional.of(
                            rules.add(
                                    Expression.sequence(
                                            new Text("\""),
                                            Expression.any(JsonText.anyCharacter()),
                                            new Text("\""))));
        }
        return string.get();
    }

    Rule number() {
        if (number.isEmpty()) {
            number = Optional.of(rules.add(NUMBER));
        }
        return number.get();
    }

    Rule integer() {
        if (integer.isEmpty()) {
            integer = Optional.of(rules.add(INTEGER));
        }
        return integer.get();
    }

    static Expression bool() {
        return Expression.choice(new Text("true"), new Text("false"));
    }

    /// Any value.
    Rule value() {
        if (value.isEmpty()) {
            value = Optional.of(rules.reserve());
            rules.define(
                    value.get(),
                    Expression.choice(
                            object(), array(), string(), number(), bool(), new Text("null")));
        }
        return value.get();
    }

    /// Any object.
    Rule object() {
        if (object.isEmpty()) {
            object = Optional.of(rules.reserve());
            Expression pair = Expression.sequence(string(), COLON, value());
            rules.define(object.get(), listed("{", pair, "}"));
        }
        return object.get();
    }

    /// Any array.
    Rule array() {
        if (array.isEmpty()) {
            array = Optional.of(rules.reserve());
            rules.define(array.get(), listed("[", value(), "]"));
        }
        return array.get();
    }

    private Expression listed(String open, Expression item, String close) {
        Expression more = Expression.any(Expression.sequence(new Text(","), space(), item));
        return Expression.sequence(
                new Text(open),
                space(),
                Expression.choice(
                        new Text(close),
                        Expression.sequence(item, more, space(), new Text(close))));
    }
}
