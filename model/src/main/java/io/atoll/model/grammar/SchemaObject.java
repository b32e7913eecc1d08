package io.atoll.model.grammar;

import io.atoll.model.grammar.Expression.Edge;
import io.atoll.model.grammar.Expression.Graph;
import io.atoll.model.grammar.Expression.Text;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import java.util.function.Function;

/// The keywords of objects: `properties`, `required`, `additionalProperties`.
///
/// Properties come in the order in which the schema names them, those that are only required after those that are described, and
/// additional ones last. An optional property is there or not. An additional property's name is none of the named ones; that no two
/// additional ones have the same name cannot be said by a grammar.
final class SchemaObject {
    private SchemaObject() {}

    /// Names that must be there, in the order they are listed.
    static Set<String> required(List<SchemaPart> parts) {
        Set<String> names = new LinkedHashSet<>();
        for (SchemaPart part : parts) {
            if (!part.has("required")) {
                continue;
            }
            SchemaPart list = part.at("required");
            if (!list.node().isArray()) {
                throw list.syntax("must be a list of names");
            }
            for (int i = 0; i < list.node().size(); i++) {
                if (!list.node().get(i).isTextual()) {
                    throw list.at(i).syntax("must be a name");
                }
                names.add(list.node().get(i).textValue());
            }
        }
        return names;
    }

    /// What the parts say of one property's value.
    static List<SchemaPart> property(List<SchemaPart> parts, String name) {
        List<SchemaPart> result = new ArrayList<>();
        for (SchemaPart part : parts) {
            if (part.has("properties") && part.at("properties").has(name)) {
                result.add(part.at("properties").at(name));
            } else if (part.has("additionalProperties")) {
                result.add(part.at("additionalProperties"));
            }
        }
        return result;
    }

    private static List<SchemaPart> additional(List<SchemaPart> parts) {
        List<SchemaPart> result = new ArrayList<>();
        for (SchemaPart part : parts) {
            if (part.has("additionalProperties")) {
                result.add(part.at("additionalProperties"));
            }
        }
        return result;
    }

    private static Set<String> names(List<SchemaPart> parts) {
        Set<String> names = new LinkedHashSet<>();
        for (SchemaPart part : parts) {
            if (part.has("properties")) {
                SchemaPart properties = part.at("properties");
                if (!properties.node().isObject()) {
                    throw properties.syntax("must be an object of schemas");
                }
                properties.node().fieldNames().forEachRemaining(names::add);
            }
        }
        names.addAll(required(parts));
        return names;
    }

    /// @param value the expression of a value that schemas describe together
    static Expression expression(
            List<SchemaPart> parts, JsonRules json, Function<List<SchemaPart>, Expression> value) {
        List<String> names = List.copyOf(names(parts));
        Set<String> required = required(parts);
        int count = names.size();
        // Node i: names before i are decided and nothing is written; node count + 1 + i: something
        // is.
        int written = count + 1;
        int end = 2 * count + 2;
        List<Edge> edges = new ArrayList<>();
        Expression comma = Expression.sequence(new Text(","), json.space());
        for (int i = 0; i < count; i++) {
            String name = names.get(i);
            Expression pair =
                    Expression.sequence(
                            JsonText.string(name),
                            JsonRules.COLON,
                            value.apply(property(parts, name)));
            edges.add(new Edge(i, pair, written + i + 1));
            edges.add(new Edge(written + i, Expression.sequence(comma, pair), written + i + 1));
            if (!required.contains(name)) {
                edges.add(new Edge(i, Expression.EMPTY, i + 1));
                edges.add(new Edge(written + i, Expression.EMPTY, written + i + 1));
            }
        }
        Expression key = names.isEmpty() ? json.string() : JsonText.stringExcept(names);
        Expression more = Expression.sequence(key, JsonRules.COLON, value.apply(additional(parts)));
        edges.add(new Edge(count, more, written + count));
        edges.add(new Edge(written + count, Expression.sequence(comma, more), written + count));
        Expression close = new Text("}");
        edges.add(new Edge(count, close, end));
        edges.add(new Edge(written + count, Expression.sequence(json.space(), close), end));
        return Expression.sequence(new Text("{"), json.space(), new Graph(end + 1, edges));
    }
}
