package io.atoll.coordinator.http;

import com.fasterxml.jackson.databind.JsonNode;
import io.atoll.attention.step.OutputConstraint;
import io.atoll.attention.step.OutputConstraint.Reasoning;
import io.atoll.coordinator.sequence.ServedModel;
import io.atoll.model.grammar.Constraint;
import io.atoll.model.grammar.GrammarException;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.stream.Collectors;

/// The form that an answer is asked to have: `response_format` as OpenAI has it, or `structured_outputs` as vLLM has it, with one of
/// `json` (a schema), `json_object`, `regex`, `choice` and `grammar`.
///
/// @param constraint what the content has to match
/// @param field the field that asks for it
record StructuredOutput(Constraint constraint, String field) {
    private static final String FORMAT = "response_format";
    private static final String STRUCTURED = "structured_outputs";
    private static final List<String> KINDS =
            List.of("json", "json_object", "regex", "choice", "grammar");
    private static final String THINKING_END = "</think>";
    private static final String THINKING_CLOSE = "\n" + THINKING_END;
    private static final String BEHIND_THINKING = "\n\n";
    private static final String REGEX_SYNTAX = "\\.[]{}()<>*+-=!?^$|/&#~\"";
    private static final int MAX_CHOICES = 1024;

    /// What the request asks for, if it asks for a form.
    static Optional<StructuredOutput> read(JsonFields body, Json json) {
        Optional<StructuredOutput> format =
                body.object(FORMAT).flatMap(fields -> format(fields, json));
        Optional<StructuredOutput> structured =
                body.object(STRUCTURED).map(fields -> structured(fields, json));
        if (format.isPresent() && structured.isPresent()) {
            throw RequestException.invalid(STRUCTURED, "cannot be combined with " + FORMAT);
        }
        Optional<StructuredOutput> asked = format.or(() -> structured);
        if (asked.isPresent() && body.bool("ignore_eos", false)) {
            throw RequestException.invalid(
                    "ignore_eos", "cannot be combined with " + asked.get().field);
        }
        return asked;
    }

    private static Optional<StructuredOutput> format(JsonFields format, Json json) {
        String type = format.requiredString("type");
        return switch (type) {
            case "text" -> Optional.empty();
            case "json_object" ->
                    Optional.of(new StructuredOutput(new Constraint.JsonObject(), FORMAT));
            case "json_schema" -> {
                JsonFields wrapper =
                        format.object("json_schema")
                                .orElseThrow(() -> format.missing("json_schema"));
                wrapper.string("name");
                wrapper.bool("strict", false); // it is always strict
                JsonNode schema =
                        wrapper.node("schema").orElseThrow(() -> wrapper.missing("schema"));
                yield Optional.of(
                        new StructuredOutput(
                                new Constraint.JsonSchema(json.write(schema)),
                                wrapper.path("schema")));
            }
            default ->
                    throw RequestException.invalid(
                            format.path("type"),
                            "must be text, json_object or json_schema: " + type);
        };
    }

    private static StructuredOutput structured(JsonFields fields, Json json) {
        List<String> given = KINDS.stream().filter(fields::has).toList();
        if (given.size() != 1) {
            throw RequestException.invalid(STRUCTURED, "must have exactly one of " + KINDS);
        }
        String kind = given.getFirst();
        Constraint constraint =
                switch (kind) {
                    case "json" -> new Constraint.JsonSchema(schema(fields, json));
                    case "regex" -> new Constraint.Regex(fields.requiredString(kind));
                    case "grammar" -> new Constraint.ContextFree(fields.requiredString(kind));
                    case "choice" -> new Constraint.Regex(anyOf(fields));
                    default -> anyObject(fields);
                };
        return new StructuredOutput(constraint, fields.path(kind));
    }

    /// A schema, or its text.
    private static String schema(JsonFields fields, Json json) {
        JsonNode schema = fields.node("json").orElseThrow();
        return schema.isTextual() ? schema.textValue() : json.write(schema);
    }

    private static Constraint anyObject(JsonFields fields) {
        if (!fields.bool("json_object", false)) {
            throw RequestException.invalid(fields.path("json_object"), "must be true");
        }
        return new Constraint.JsonObject();
    }

    private static String anyOf(JsonFields fields) {
        List<JsonFields.Element> choices = fields.array("choice").orElseThrow();
        if (choices.isEmpty() || choices.size() > MAX_CHOICES) {
            throw RequestException.invalid(
                    fields.path("choice"),
                    "must have from 1 to " + MAX_CHOICES + " texts: " + choices.size());
        }
        return choices.stream()
                .map(choice -> escaped(JsonFields.string(choice.value(), choice.path())))
                .collect(Collectors.joining("|"));
    }

    private static String escaped(String text) {
        StringBuilder escaped = new StringBuilder();
        for (int i = 0; i < text.length(); i++) {
            char c = text.charAt(i);
            if (REGEX_SYNTAX.indexOf(c) >= 0) {
                escaped.append('\\');
            }
            escaped.append(c);
        }
        return escaped.toString();
    }

    /// This form, or tool calls in its place.
    StructuredOutput or(Constraint.ToolCalls calls) {
        return new StructuredOutput(new Constraint.TextOrCalls(constraint, calls), field);
    }

    /// The constraint as the attention worker gets it; none if the output is free. What is wrong with a form is found here.
    ///
    /// @param form of the answer behind the reasoning
    /// @param opensThinking whether the answer begins with reasoning
    /// @param thinkingBudget most tokens of it, if they are bounded
    static Optional<OutputConstraint> constraint(
            Optional<StructuredOutput> form,
            ServedModel model,
            boolean opensThinking,
            OptionalInt thinkingBudget) {
        form.ifPresent(asked -> asked.check(model));
        OptionalInt end = model.tokenizer().tokenId(THINKING_END);
        boolean thinks = opensThinking && end.isPresent();
        if (form.isEmpty() && !(thinks && thinkingBudget.isPresent())) {
            return Optional.empty();
        }
        Optional<Reasoning> reasoning =
                thinks
                        ? Optional.of(
                                new Reasoning(
                                        end.getAsInt(),
                                        thinkingBudget.orElse(Reasoning.UNLIMITED),
                                        tokens(model, THINKING_CLOSE),
                                        tokens(model, BEHIND_THINKING)))
                        : Optional.empty();
        return Optional.of(new OutputConstraint(reasoning, form.map(StructuredOutput::constraint)));
    }

    private void check(ServedModel model) {
        try {
            model.constraints().get(constraint);
        } catch (GrammarException e) {
            throw RequestException.invalid(field, e.getMessage());
        }
    }

    private static List<Integer> tokens(ServedModel model, String text) {
        return Arrays.stream(model.tokenizer().encode(text)).boxed().toList();
    }
}
