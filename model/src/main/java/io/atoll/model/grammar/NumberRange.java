package io.atoll.model.grammar;

import io.atoll.model.grammar.Expression.Characters;
import io.atoll.model.grammar.Expression.Repeat;
import io.atoll.model.grammar.Expression.Text;
import java.math.BigDecimal;
import java.util.ArrayList;
import java.util.List;

/// Numbers on one side of a bound, as texts without an exponent.
final class NumberRange {
    /// Digits of a bound on either side of its point.
    static final int MAX_DIGITS = 64;

    private static final Expression DIGIT = digits('0', '9');
    private static final Expression DIGITS = Expression.any(DIGIT);
    private static final Expression FRACTION =
            Expression.optional(
                    Expression.sequence(new Text("."), new Repeat(DIGIT, 1, Expression.UNBOUNDED)));
    private static final Expression ANY = Expression.sequence(JsonRules.NATURAL, FRACTION);

    private NumberRange() {}

    /// Numbers that are not below the bound, or, if it is excluded, above it.
    static Expression from(BigDecimal bound, boolean excluded) {
        return bound.signum() > 0
                ? atLeast(bound, excluded)
                : bound.signum() == 0 && excluded
                        ? atLeast(BigDecimal.ZERO, true)
                        : Expression.choice(ANY, negative(atMost(bound.negate(), excluded)));
    }

    /// Numbers that are not above the bound, or, if it is excluded, below it.
    static Expression upTo(BigDecimal bound, boolean excluded) {
        return bound.signum() < 0
                ? negative(atLeast(bound.negate(), excluded))
                : bound.signum() == 0 && excluded
                        ? negative(atLeast(BigDecimal.ZERO, true))
                        : Expression.choice(negative(ANY), atMost(bound, excluded));
    }

    private static Expression negative(Expression magnitude) {
        return Expression.sequence(new Text("-"), magnitude);
    }

    private static Expression atLeast(BigDecimal bound, boolean excluded) {
        String whole = whole(bound);
        List<Expression> options = new ArrayList<>();
        options.add(
                Expression.sequence(
                        digits('1', '9'),
                        new Repeat(DIGIT, whole.length(), Expression.UNBOUNDED),
                        FRACTION));
        for (int i = 0; i < whole.length(); i++) {
            if (whole.charAt(i) < '9') {
                options.add(
                        Expression.sequence(
                                new Text(whole.substring(0, i)),
                                digits((char) (whole.charAt(i) + 1), '9'),
                                rest(whole.length() - i - 1),
                                FRACTION));
            }
        }
        options.add(
                Expression.sequence(new Text(whole), fractionAtLeast(fraction(bound), excluded)));
        return Expression.choice(options.toArray(new Expression[0]));
    }

    private static Expression fractionAtLeast(String bound, boolean excluded) {
        List<Expression> options = new ArrayList<>();
        for (int i = 0; i < bound.length(); i++) {
            if (bound.charAt(i) < '9') {
                options.add(
                        Expression.sequence(
                                new Text("." + bound.substring(0, i)),
                                digits((char) (bound.charAt(i) + 1), '9'),
                                DIGITS));
            }
        }
        Expression positive = Expression.sequence(DIGITS, digits('1', '9'), DIGITS);
        if (excluded) {
            options.add(Expression.sequence(new Text("." + bound), positive));
        } else {
            options.add(
                    bound.isEmpty()
                            ? FRACTION
                            : Expression.sequence(new Text("." + bound), DIGITS));
        }
        return Expression.choice(options.toArray(new Expression[0]));
    }

    private static Expression atMost(BigDecimal bound, boolean excluded) {
        String whole = whole(bound);
        List<Expression> options = new ArrayList<>();
        if (whole.length() > 1) {
            options.add(Expression.sequence(new Text("0"), FRACTION));
            options.add(
                    Expression.sequence(
                            digits('1', '9'), new Repeat(DIGIT, 0, whole.length() - 2), FRACTION));
        }
        for (int i = 0; i < whole.length(); i++) {
            char least = i == 0 && whole.length() > 1 ? '1' : '0';
            if (whole.charAt(i) > least) {
                options.add(
                        Expression.sequence(
                                new Text(whole.substring(0, i)),
                                digits(least, (char) (whole.charAt(i) - 1)),
                                rest(whole.length() - i - 1),
                                FRACTION));
            }
        }
        options.add(
                Expression.sequence(new Text(whole), fractionAtMost(fraction(bound), excluded)));
        return Expression.choice(options.toArray(new Expression[0]));
    }

    private static Expression fractionAtMost(String bound, boolean excluded) {
        List<Expression> options = new ArrayList<>();
        for (int i = 0; i < bound.length(); i++) {
            if (bound.charAt(i) > '0') {
                options.add(
                        Expression.sequence(
                                new Text("." + bound.substring(0, i)),
                                digits('0', (char) (bound.charAt(i) - 1)),
                                DIGITS));
            }
            if (i > 0) {
                // A shorter fraction is less, because the bound ends in no zero.
                options.add(new Text("." + bound.substring(0, i)));
            }
        }
        if (!bound.isEmpty()) {
            options.add(Expression.EMPTY);
        }
        if (!excluded) {
            Expression zeros = Expression.any(new Text("0"));
            options.add(
                    bound.isEmpty()
                            ? Expression.optional(Expression.sequence(new Text(".0"), zeros))
                            : Expression.sequence(new Text("." + bound), zeros));
        }
        return Expression.choice(options.toArray(new Expression[0]));
    }

    private static Expression rest(int digits) {
        return new Repeat(DIGIT, digits, digits);
    }

    private static Expression digits(char first, char last) {
        return new Characters(CodePoints.range(first, last));
    }

    private static String whole(BigDecimal bound) {
        return bound.toBigInteger().toString();
    }

    /// Digits after the point, without zeros at the end.
    private static String fraction(BigDecimal bound) {
        String plain = bound.stripTrailingZeros().toPlainString();
        int point = plain.indexOf('.');
        return point < 0 ? "" : plain.substring(point + 1);
    }
}
