package io.atoll.model.grammar;

import io.atoll.model.grammar.Expression.Edge;
import io.atoll.model.grammar.Expression.Graph;
import io.atoll.model.grammar.Expression.Text;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Function;

/// The keywords of arrays: `items`, `prefixItems`, `minItems`, `maxItems`.
final class SchemaArray {
    private SchemaArray() {}

    /// @param value the expression of a value that schemas describe together
    static Expression expression(
            List<SchemaPart> parts,
            JsonRules json,
            GrammarLimits limits,
            Function<List<SchemaPart>, Expression> value) {
        int min = 0;
        int max = Integer.MAX_VALUE;
        int prefix = 0;
        for (SchemaPart part : parts) {
            if (part.has("items") && part.node().get("items").isArray()) {
                throw part.at("items").unsupported("`items` as a list (say `prefixItems`)");
            }
            min = Math.max(min, part.count("minItems").orElse(0));
            max = Math.min(max, part.count("maxItems").orElse(Integer.MAX_VALUE));
            if (part.has("prefixItems")) {
                prefix = Math.max(prefix, part.list("prefixItems").node().size());
            }
        }
        if (min > max) {
            return Expression.NOTHING;
        }
        // Node i: i items are written. Beyond `last`, each further item is like the one before.
        boolean bounded = max < Integer.MAX_VALUE;
        long last = bounded ? max : Math.max(Math.max(min, prefix), 1);
        if (last > limits.states() / 2) {
            throw GrammarException.limit(
                    parts.get(0).pointer(), "array items", last, limits.states() / 2);
        }
        int end = (int) last + 1;
        List<Edge> edges = new ArrayList<>();
        Expression comma = Expression.sequence(new Text(","), json.space());
        Expression close = new Text("]");
        Expression rest = value.apply(item(parts, prefix));
        for (int i = 0; i <= last; i++) {
            if (i >= min) {
                edges.add(
                        new Edge(
                                i, i == 0 ? close : Expression.sequence(json.space(), close), end));
            }
            Expression item = i < prefix ? value.apply(item(parts, i)) : rest;
            Expression next = i == 0 ? item : Expression.sequence(comma, item);
            if (i < last) {
                edges.add(new Edge(i, next, i + 1));
            } else if (!bounded) {
                edges.add(new Edge(i, next, i));
            }
        }
        return Expression.sequence(new Text("["), json.space(), new Graph(end + 1, edges));
    }

    /// What the parts say of the item at an index.
    private static List<SchemaPart> item(List<SchemaPart> parts, int index) {
        List<SchemaPart> result = new ArrayList<>();
        for (SchemaPart part : parts) {
            if (part.has("prefixItems") && index < part.node().get("prefixItems").size()) {
                result.add(part.at("prefixItems").at(index));
            } else if (part.has("items")) {
                result.add(part.at("items"));
            }
        }
        return result;
    }
}
