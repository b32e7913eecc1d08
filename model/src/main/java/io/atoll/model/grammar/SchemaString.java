package io.atoll.model.grammar;

import io.atoll.model.grammar.Expression.Characters;
import io.atoll.model.grammar.Expression.Intersection;
import io.atoll.model.grammar.Expression.Repeat;
import io.atoll.model.grammar.Expression.Text;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/// The keywords of strings: `minLength`, `maxLength`, `pattern`, `format`.
final class SchemaString {
    private static final Expression QUOTE = new Text("\"");

    private SchemaString() {}

    static Expression expression(List<SchemaPart> parts, JsonRules json, GrammarLimits limits) {
        int min = 0;
        int max = Integer.MAX_VALUE;
        List<Expression> contents = new ArrayList<>();
        for (SchemaPart part : parts) {
            min = Math.max(min, part.count("minLength").orElse(0));
            max = Math.min(max, part.count("maxLength").orElse(Integer.MAX_VALUE));
            if (part.has("pattern")) {
                contents.add(
                        RegexParser.somewhere(
                                part.text("pattern"), part.at("pattern").pointer(), limits));
            }
            if (part.has("format")) {
                contents.add(format(part, limits));
            }
        }
        if (min > max) {
            return Expression.NOTHING;
        }
        boolean anyLength = min == 0 && max == Integer.MAX_VALUE;
        int most = max == Integer.MAX_VALUE ? Expression.UNBOUNDED : max;
        if (contents.isEmpty()) {
            return anyLength
                    ? json.string()
                    : Expression.sequence(QUOTE, new Repeat(json.character(), min, most), QUOTE);
        }
        if (!anyLength) {
            contents.add(new Repeat(new Characters(CodePoints.ALL), min, most));
        }
        Expression content = contents.get(0);
        if (contents.size() > 1) {
            content = new Intersection(contents);
        }
        return Expression.sequence(QUOTE, JsonText.spelled(content), QUOTE);
    }

    private static Expression format(SchemaPart part, GrammarLimits limits) {
        String format = part.text("format");
        Optional<String> pattern = StringFormats.pattern(format);
        if (pattern.isEmpty()) {
            throw part.at("format").unsupported("the format `" + format + "`");
        }
        return RegexParser.whole(pattern.get(), part.at("format").pointer(), limits);
    }
}
