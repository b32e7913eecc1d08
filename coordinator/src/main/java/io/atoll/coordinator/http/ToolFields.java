package io.atoll.coordinator.http;

import com.fasterxml.jackson.databind.JsonNode;
import io.atoll.coordinator.http.JsonFields.Element;
import io.atoll.model.chat.ToolDefinitions;
import io.atoll.model.grammar.Constraint;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/// The tools of a chat request: `tools`, `tool_choice` and `parallel_tool_calls`.
///
/// @param offered the definitions as the template gets them; absent if the model may not call any
/// @param calls those that the model may make, for an answer with a form; absent if it may make none
/// @param forced whether the answer has to be calls
/// @param parallelCalls whether the model may call several at once
record ToolFields(
        Optional<List<Map<String, Object>>> offered,
        Optional<Constraint.ToolCalls> calls,
        boolean forced,
        boolean parallelCalls) {
    private static final String CHOICE = "tool_choice";
    private static final String NO_PARAMETERS = "{\"type\": \"object\"}";

    static ToolFields read(JsonFields body, Json json) {
        List<Map<String, Object>> tools = new ArrayList<>();
        List<Constraint.Tool> callable = new ArrayList<>();
        for (Element element : body.array("tools").orElse(List.of())) {
            check(JsonFields.object(element.value(), element.path()));
            tools.add(json.mapping(element.value()));
            callable.add(callable(element, json));
        }
        boolean several = body.bool("parallel_tool_calls", true);
        Choice choice = body.node(CHOICE).map(ToolFields::choice).orElse(Choice.AUTO);
        boolean offers = choice.offers() && !tools.isEmpty();
        return new ToolFields(
                offers ? Optional.of(tools) : Optional.empty(),
                offers || choice.forces()
                        ? Optional.of(calls(choice, callable, several))
                        : Optional.empty(),
                choice.forces(),
                several);
    }

    /// What `tool_choice` says.
    ///
    /// @param offers whether the model may call tools
    /// @param forces whether the answer has to be a call
    /// @param name of the one tool that may be called then, if it names one
    private record Choice(boolean offers, boolean forces, Optional<String> name) {
        static final Choice AUTO = new Choice(true, false, Optional.empty());
        static final Choice NONE = new Choice(false, false, Optional.empty());
    }

    private static Constraint.Tool callable(Element tool, Json json) {
        JsonNode function = tool.value().path("function");
        JsonNode parameters = function.path("parameters");
        return new Constraint.Tool(
                function.path("name").textValue(),
                tool.path() + ".function.parameters",
                parameters.isObject() ? json.write(parameters) : NO_PARAMETERS);
    }

    private static Constraint.ToolCalls calls(
            Choice choice, List<Constraint.Tool> callable, boolean several) {
        List<Constraint.Tool> tools =
                callable.stream()
                        .filter(tool -> choice.name.map(tool.name()::equals).orElse(true))
                        .toList();
        if (tools.isEmpty()) {
            throw RequestException.invalid(
                    CHOICE,
                    choice.name
                            .map(name -> "names a tool that is not in tools: " + name)
                            .orElse("needs tools"));
        }
        return new Constraint.ToolCalls(tools, several && choice.name.isEmpty());
    }

    /// What the answer has to be: calls, if they are forced; the form that is asked for, or calls in its place; or nothing special.
    Optional<StructuredOutput> form(Optional<StructuredOutput> asked) {
        if (forced) {
            return calls.map(forcedCalls -> new StructuredOutput(forcedCalls, CHOICE));
        }
        return asked.map(form -> calls.map(form::or).orElse(form));
    }

    /// What reading the model's calls needs.
    ToolDefinitions definitions() {
        return offered.map(ToolDefinitions::of).orElse(ToolDefinitions.NONE);
    }

    private static void check(JsonFields tool) {
        String type = tool.requiredString("type");
        if (!type.equals("function")) {
            throw RequestException.invalid(
                    tool.path("type"), "other than function is not supported yet: " + type);
        }
        JsonFields function = tool.object("function").orElseThrow(() -> tool.missing("function"));
        String name = function.requiredString("name");
        if (name.isBlank()) {
            throw RequestException.invalid(function.path("name"), "must not be blank");
        }
        function.string("description");
        function.object("parameters").ifPresent(parameters -> parameters.object("properties"));
        function.bool("strict", false);
    }

    private static Choice choice(JsonNode choice) {
        if (choice.isTextual()) {
            return switch (choice.textValue()) {
                case "auto" -> Choice.AUTO;
                case "none" -> Choice.NONE;
                case "required" -> new Choice(true, true, Optional.empty());
                default ->
                        throw RequestException.invalid(
                                CHOICE, "must be auto, none, required or a function: " + choice);
            };
        }
        JsonFields fields = JsonFields.object(choice, CHOICE);
        String type = fields.requiredString("type");
        if (!type.equals("function")) {
            throw RequestException.invalid(
                    fields.path("type"), "other than function is not supported yet: " + type);
        }
        JsonFields function =
                fields.object("function").orElseThrow(() -> fields.missing("function"));
        return new Choice(true, true, Optional.of(function.requiredString("name")));
    }
}
