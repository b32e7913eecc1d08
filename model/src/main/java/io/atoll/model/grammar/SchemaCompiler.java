package io.atoll.model.grammar;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.StreamReadConstraints;
import com.fasterxml.jackson.core.StreamReadFeature;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.cfg.JsonNodeFeature;
import com.fasterxml.jackson.databind.json.JsonMapper;
import io.atoll.model.grammar.Expression.Intersection;
import io.atoll.model.grammar.Expression.Rule;
import io.atoll.model.grammar.Expression.Text;
import io.atoll.model.grammar.GrammarException.Kind;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/// Reads a JSON Schema (draft 2020-12) into a grammar of the JSON documents it describes.
///
/// Offered: `type` (one or a list), `enum`, `const`, `properties`, `required`, `additionalProperties`, `items`, `prefixItems`,
/// `minItems`, `maxItems`, `minLength`, `maxLength`, `pattern`, `format` (see [StringFormats]), `minimum`, `maximum`,
/// `exclusiveMinimum`, `exclusiveMaximum`, `anyOf`, `allOf`, `oneOf` where its branches exclude each other, and `$ref` within the
/// document, recursion included. Annotations such as `title` and `default` change nothing. Every other keyword is refused with its
/// JSON pointer, as the document would otherwise be taken for valid and is not.
///
/// As in the standard, a keyword holds for values of its own type only, and what is not excluded is allowed: a schema without
/// `additionalProperties: false` has additional properties. Bounded numbers are written without an exponent.
final class SchemaCompiler {
    private final GrammarLimits limits;
    private final RuleList rules;
    private final JsonRules json;
    private final SchemaAlternatives alternatives;
    private final Map<List<String>, Rule> known = new HashMap<>();
    // Written one after the other rather than each inside the one before: a chain of references can
    // be longer than a stack.
    private final ArrayDeque<Runnable> todo = new ArrayDeque<>();

    /// @param root the document that references lead into
    /// @param rules get those of the schemas
    SchemaCompiler(JsonNode root, RuleList rules, JsonRules json, GrammarLimits limits) {
        this.limits = limits;
        this.rules = rules;
        this.json = json;
        alternatives = new SchemaAlternatives(root, limits);
    }

    /// @throws GrammarException if it is no schema or uses what is not offered
    static Grammar compile(String schema, GrammarLimits limits) {
        JsonNode root = parse(schema, limits);
        RuleList rules = new RuleList();
        Rule start = rules.reserve();
        SchemaCompiler compiler = new SchemaCompiler(root, rules, new JsonRules(rules), limits);
        rules.define(start, compiler.compile(new SchemaPart(root, "#")));
        return rules.grammar(start);
    }

    /// The values that one schema of the document describes.
    Expression compile(SchemaPart schema) {
        Expression value = value(List.of(schema));
        while (!todo.isEmpty()) {
            todo.poll().run();
        }
        return value;
    }

    /// Any JSON object.
    static Grammar anyObject() {
        RuleList rules = new RuleList();
        return rules.grammar(new JsonRules(rules).object());
    }

    static JsonNode parse(String schema, GrammarLimits limits) {
        if (schema.length() > limits.inputChars()) {
            throw GrammarException.limit("#", "characters", schema.length(), limits.inputChars());
        }
        JsonFactory factory =
                JsonFactory.builder()
                        .streamReadConstraints(
                                StreamReadConstraints.builder()
                                        .maxNestingDepth(limits.depth())
                                        .build())
                        .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
                        .build();
        JsonMapper mapper =
                JsonMapper.builder(factory)
                        .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
                        .enable(DeserializationFeature.USE_BIG_DECIMAL_FOR_FLOATS)
                        .disable(JsonNodeFeature.STRIP_TRAILING_BIGDECIMAL_ZEROES)
                        .build();
        try {
            return mapper.readTree(schema);
        } catch (JsonProcessingException e) {
            throw new GrammarException(
                    Kind.SYNTAX, "#", "not valid JSON: " + e.getOriginalMessage());
        }
    }

    /// Values that the schemas describe together.
    private Expression value(List<SchemaPart> parts) {
        List<Expression> options = new ArrayList<>();
        for (List<SchemaPart> alternative : alternatives.of(parts)) {
            options.add(alternative.isEmpty() ? json.value() : rule(alternative));
        }
        return Expression.choice(options.toArray(new Expression[0]));
    }

    private Rule rule(List<SchemaPart> parts) {
        List<String> key = parts.stream().map(SchemaPart::pointer).toList();
        Rule rule = known.get(key);
        if (rule == null) {
            rule = rules.reserve();
            known.put(key, rule);
            Rule reserved = rule;
            todo.add(() -> rules.define(reserved, describe(parts)));
            if (rules.size() > limits.states()) {
                throw GrammarException.limit(key.get(0), "rules", rules.size(), limits.states());
            }
        }
        return rule;
    }

    private Expression describe(List<SchemaPart> parts) {
        Set<SchemaTypes.Type> types = SchemaTypes.of(parts);
        Optional<Set<JsonNode>> values = SchemaValues.of(parts);
        if (values.isPresent()) {
            refuseBesideValues(parts);
            return Expression.choice(
                    values.get().stream()
                            .filter(value -> SchemaTypes.allow(types, value))
                            .map(this::literal)
                            .toArray(Expression[]::new));
        }
        if (types.contains(SchemaTypes.Type.NUMBER)) {
            types.remove(SchemaTypes.Type.INTEGER);
        }
        return Expression.choice(
                types.stream()
                        .map(
                                type ->
                                        switch (type) {
                                            case NULL -> new Text("null");
                                            case BOOLEAN -> JsonRules.bool();
                                            case INTEGER, NUMBER ->
                                                    number(parts, type == SchemaTypes.Type.INTEGER);
                                            case STRING ->
                                                    SchemaString.expression(parts, json, limits);
                                            case ARRAY ->
                                                    SchemaArray.expression(
                                                            parts, json, limits, this::value);
                                            case OBJECT ->
                                                    SchemaObject.expression(
                                                            parts, json, this::value);
                                        })
                        .toArray(Expression[]::new));
    }

    /// Listed values are written as they are listed, so another keyword could only strike some out; nobody needs that.
    private static void refuseBesideValues(List<SchemaPart> parts) {
        for (SchemaPart part : parts) {
            part.node()
                    .fieldNames()
                    .forEachRemaining(
                            keyword -> {
                                if (SchemaPart.narrows(keyword)) {
                                    throw part.at(keyword)
                                            .unsupported(
                                                    "`" + keyword + "` beside `enum` or `const`");
                                }
                            });
        }
    }

    private Expression number(List<SchemaPart> parts, boolean integer) {
        List<Expression> bounds = new ArrayList<>();
        for (SchemaPart part : parts) {
            part.bound("minimum").ifPresent(b -> bounds.add(NumberRange.from(b, false)));
            part.bound("exclusiveMinimum").ifPresent(b -> bounds.add(NumberRange.from(b, true)));
            part.bound("maximum").ifPresent(b -> bounds.add(NumberRange.upTo(b, false)));
            part.bound("exclusiveMaximum").ifPresent(b -> bounds.add(NumberRange.upTo(b, true)));
        }
        if (bounds.isEmpty()) {
            return integer ? json.integer() : json.number();
        }
        if (integer) {
            bounds.add(JsonRules.INTEGER);
        }
        return new Intersection(bounds);
    }

    /// This value, with white space where values have it.
    private Expression literal(JsonNode value) {
        return switch (value.getNodeType()) {
            case STRING -> JsonText.string(value.textValue());
            case ARRAY -> {
                List<Expression> parts = new ArrayList<>(List.of(new Text("["), json.space()));
                for (int i = 0; i < value.size(); i++) {
                    if (i > 0) {
                        parts.add(Expression.sequence(new Text(","), json.space()));
                    }
                    parts.add(literal(value.get(i)));
                }
                yield closed(parts, value.isEmpty(), "]");
            }
            case OBJECT -> {
                List<Expression> parts = new ArrayList<>(List.of(new Text("{"), json.space()));
                value.properties()
                        .forEach(
                                member -> {
                                    if (parts.size() > 2) {
                                        parts.add(Expression.sequence(new Text(","), json.space()));
                                    }
                                    parts.add(JsonText.string(member.getKey()));
                                    parts.add(JsonRules.COLON);
                                    parts.add(literal(member.getValue()));
                                });
                yield closed(parts, value.isEmpty(), "}");
            }
            default -> new Text(value.toString());
        };
    }

    private Expression closed(List<Expression> parts, boolean empty, String close) {
        if (!empty) {
            parts.add(json.space());
        }
        parts.add(new Text(close));
        return new Expression.Sequence(parts);
    }
}
