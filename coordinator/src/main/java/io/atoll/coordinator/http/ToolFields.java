package io.atoll.coordinator.http;

import com.fasterxml.jackson.databind.JsonNode;
import io.atoll.coordinator.http.JsonFields.Element;
import io.atoll.model.chat.ToolDefinitions;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/// The tools of a chat request: `tools`, `tool_choice` and `parallel_tool_calls`.
///
/// @param offered the definitions as the template gets them; absent if the model may not call any
/// @param parallelCalls whether the model may call several at once
record ToolFields(Optional<List<Map<String, Object>>> offered, boolean parallelCalls) {
    static ToolFields read(JsonFields body, Json json) {
        List<Map<String, Object>> tools = new ArrayList<>();
        for (Element element : body.array("tools").orElse(List.of())) {
            check(JsonFields.object(element.value(), element.path()));
            tools.add(json.mapping(element.value()));
        }
        boolean allowed = body.node("tool_choice").map(ToolFields::allowsTools).orElse(true);
        return new ToolFields(
                allowed && !tools.isEmpty() ? Optional.of(tools) : Optional.empty(),
                body.bool("parallel_tool_calls", true));
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

    private static boolean allowsTools(JsonNode choice) {
        if (choice.isTextual()) {
            switch (choice.textValue()) {
                case "auto" -> {
                    return true;
                }
                case "none" -> {
                    return false;
                }
                default -> {}
            }
        }
        throw RequestException.invalid(
                "tool_choice", "other than auto and none is not supported yet: " + choice);
    }
}
