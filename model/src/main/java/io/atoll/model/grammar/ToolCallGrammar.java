package io.atoll.model.grammar;

import com.fasterxml.jackson.databind.JsonNode;
import io.atoll.model.grammar.Expression.Characters;
import io.atoll.model.grammar.Expression.Rule;
import io.atoll.model.grammar.Expression.Text;
import io.atoll.model.grammar.GrammarException.Kind;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.StreamSupport;

/// Tool calls in the family's notation (model spec, chat):
///
/// ```
/// <tool_call>
/// <function=NAME>
/// <parameter=KEY>
/// VALUE
/// </parameter>
/// </function>
/// </tool_call>
/// ```
///
/// Parameters come in the order of the schema's `properties`, those that are not `required` or not at all. A value that may be
/// text is any text without `</parameter>`, or one of the schema's `enum`; the other keywords of strings do not reach into it, as
/// the text is not JSON. Every other value is JSON by its schema. Parameters that the schema does not name are not written.
final class ToolCallGrammar {
    private static final String VALUE_END = "</parameter>";
    private static final int MAX_REFERENCES = 32;

    private final GrammarLimits limits;
    private final RuleList rules = new RuleList();
    private final JsonRules json = new JsonRules(rules);
    private final Rule text;

    private ToolCallGrammar(GrammarLimits limits) {
        this.limits = limits;
        text = textWithoutEnd();
    }

    /// @throws GrammarException if a tool's parameters are no schema of an object, or use what is not offered
    static Grammar of(Constraint.ToolCalls calls, GrammarLimits limits) {
        ToolCallGrammar grammar = new ToolCallGrammar(limits);
        List<Expression> functions = new ArrayList<>();
        for (Constraint.Tool tool : calls.tools()) {
            functions.add(grammar.function(tool));
        }
        Rule call =
                grammar.rules.add(
                        Expression.sequence(
                                new Text("<tool_call>\n"),
                                new Expression.Choice(functions),
                                new Text("</tool_call>")));
        Expression all =
                calls.several()
                        ? Expression.sequence(
                                call, Expression.any(Expression.sequence(new Text("\n"), call)))
                        : call;
        return grammar.rules.grammar(grammar.rules.add(all));
    }

    private Expression function(Constraint.Tool tool) {
        JsonNode root = SchemaCompiler.parse(tool.parameters(), limits);
        if (!root.isObject()) {
            throw new GrammarException(Kind.SYNTAX, tool.where(), "must be a schema of an object");
        }
        SchemaCompiler compiler = new SchemaCompiler(root, rules, json, limits);
        Set<String> required = new HashSet<>();
        root.path("required").forEach(name -> required.add(name.asText()));
        List<Expression> parts = new ArrayList<>();
        parts.add(new Text("<function=" + tool.name() + ">\n"));
        for (Map.Entry<String, JsonNode> property : root.path("properties").properties()) {
            String name = property.getKey();
            String where = tool.where() + "/properties/" + name;
            Expression parameter =
                    Expression.sequence(
                            new Text("<parameter=" + name + ">\n"),
                            value(property.getValue(), where, root, compiler),
                            new Text("\n" + VALUE_END + "\n"));
            parts.add(required.contains(name) ? parameter : Expression.optional(parameter));
        }
        parts.add(new Text("</function>\n"));
        return rules.add(new Expression.Sequence(parts));
    }

    private Expression value(
            JsonNode schema, String where, JsonNode root, SchemaCompiler compiler) {
        if (!mayBeText(schema, root, MAX_REFERENCES)) {
            return compiler.compile(new SchemaPart(schema, where));
        }
        JsonNode resolved = resolve(schema, root);
        JsonNode values = resolved.path("enum");
        boolean texts =
                values.isArray()
                        && !values.isEmpty()
                        && StreamSupport.stream(values.spliterator(), false)
                                .allMatch(value -> value.isTextual() && isWritable(value));
        if (texts) {
            List<Expression> options = new ArrayList<>();
            values.forEach(value -> options.add(new Text(value.textValue())));
            return new Expression.Choice(options);
        }
        JsonNode constant = resolved.path("const");
        return constant.isTextual() && isWritable(constant) ? new Text(constant.textValue()) : text;
    }

    private static boolean isWritable(JsonNode value) {
        return !value.textValue().contains(VALUE_END);
    }

    /// Whether what reads the calls takes the value for text where it is nothing else: the same rules as there.
    private static boolean mayBeText(JsonNode schema, JsonNode root, int depth) {
        if (depth == 0 || !schema.isObject()) {
            return true;
        }
        boolean says = false;
        JsonNode type = schema.path("type");
        for (JsonNode each : type.isArray() ? type : List.of(type)) {
            says |= !each.isMissingNode();
            if (each.asText().equals("string")) {
                return true;
            }
        }
        for (JsonNode value : schema.path("enum")) {
            says = true;
            if (value.isTextual()) {
                return true;
            }
        }
        for (String key : List.of("anyOf", "oneOf", "allOf")) {
            for (JsonNode choice : schema.path(key)) {
                says = true;
                if (mayBeText(choice, root, depth - 1)) {
                    return true;
                }
            }
        }
        if (schema.has("$ref")) {
            says = true;
            if (mayBeText(target(schema, root), root, depth - 1)) {
                return true;
            }
        }
        return !says;
    }

    private static JsonNode resolve(JsonNode schema, JsonNode root) {
        JsonNode at = schema;
        for (int i = 0; i < MAX_REFERENCES && at.has("$ref"); i++) {
            at = target(at, root);
        }
        return at;
    }

    private static JsonNode target(JsonNode schema, JsonNode root) {
        String reference = schema.path("$ref").asText();
        return reference.startsWith("#/") ? root.at(reference.substring(1)) : root.path("");
    }

    /// Any text in which [#VALUE_END] does not stand: a state for each number of its characters that came last. Its first character
    /// comes in it only once, so after a mismatch at most that one still counts.
    private Rule textWithoutEnd() {
        int length = VALUE_END.length();
        List<Rule> states = new ArrayList<>();
        for (int i = 0; i < length; i++) {
            states.add(rules.reserve());
        }
        int first = VALUE_END.charAt(0);
        for (int matched = 0; matched < length; matched++) {
            int next = VALUE_END.charAt(matched);
            List<Expression> options = new ArrayList<>(List.of(Expression.EMPTY));
            if (matched + 1 < length) {
                options.add(then(CodePoints.of(next), states.get(matched + 1)));
            }
            if (next != first) {
                options.add(then(CodePoints.of(first), states.get(1)));
            }
            CodePoints others = CodePoints.of(first).union(CodePoints.of(next)).complement();
            options.add(then(others, states.get(0)));
            rules.define(states.get(matched), new Expression.Choice(options));
        }
        return states.get(0);
    }

    private static Expression then(CodePoints characters, Rule rest) {
        return Expression.sequence(new Characters(characters), rest);
    }
}
