package io.atoll.coordinator.http;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.atoll.coordinator.http.JsonFields.Element;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/// Turns the messages of a chat request into what a chat template reads: maps, lists and strings.
final class ChatMessages {
    private static final Set<String> ROLES =
            Set.of("system", "developer", "user", "assistant", "tool");

    private final Json json;

    ChatMessages(Json json) {
        this.json = json;
    }

    List<Map<String, Object>> read(JsonFields body) {
        List<Element> elements = body.array("messages").orElseThrow(() -> body.missing("messages"));
        if (elements.isEmpty()) {
            throw RequestException.invalid("messages", "must not be empty");
        }
        List<Map<String, Object>> messages = new ArrayList<>(elements.size());
        for (Element element : elements) {
            messages.add(message(JsonFields.object(element.value(), element.path())));
        }
        return messages;
    }

    private Map<String, Object> message(JsonFields fields) {
        String role = fields.requiredString("role");
        if (!ROLES.contains(role)) {
            throw RequestException.invalid(
                    fields.path("role"),
                    "must be system, developer, user, assistant or tool: " + role);
        }
        boolean assistant = role.equals("assistant");
        Map<String, Object> message = new LinkedHashMap<>();
        // Newer clients say developer; the family's templates know only the older name.
        message.put("role", role.equals("developer") ? "system" : role);
        if (fields.has("content")) {
            message.put("content", content(fields));
        } else if (assistant) {
            message.put("content", ""); // a turn of nothing but tool calls
        } else {
            throw fields.missing("content");
        }
        fields.string("name").ifPresent(name -> message.put("name", name));
        fields.string("tool_call_id").ifPresent(id -> message.put("tool_call_id", id));
        if (assistant) {
            fields.string("reasoning_content")
                    .ifPresent(reasoning -> message.put("reasoning_content", reasoning));
            if (fields.has("function_call")) {
                throw RequestException.unsupported(fields.path("function_call"));
            }
            fields.array("tool_calls")
                    .filter(calls -> !calls.isEmpty())
                    .ifPresent(calls -> message.put("tool_calls", toolCalls(calls)));
        }
        return message;
    }

    /// A string, or parts that are all text.
    private static Object content(JsonFields fields) {
        JsonNode content = fields.node("content").orElseThrow();
        String path = fields.path("content");
        if (content.isTextual()) {
            return content.textValue();
        }
        if (!content.isArray()) {
            throw JsonFields.wrongType(path, "a string or an array of parts", content);
        }
        List<Map<String, Object>> parts = new ArrayList<>();
        for (Element element : JsonFields.elements(content, path)) {
            JsonFields part = JsonFields.object(element.value(), element.path());
            String type = part.requiredString("type");
            if (!type.equals("text")) {
                throw RequestException.invalid(
                        part.path("type"), "other than text is not supported yet: " + type);
            }
            parts.add(Map.of("type", "text", "text", part.requiredString("text")));
        }
        return parts;
    }

    private List<Map<String, Object>> toolCalls(List<Element> elements) {
        List<Map<String, Object>> calls = new ArrayList<>(elements.size());
        for (Element element : elements) {
            JsonFields call = JsonFields.object(element.value(), element.path());
            JsonFields function =
                    call.object("function").orElseThrow(() -> call.missing("function"));
            Map<String, Object> named = new LinkedHashMap<>();
            named.put("name", function.requiredString("name"));
            named.put("arguments", arguments(function));
            Map<String, Object> result = new LinkedHashMap<>();
            call.string("id").ifPresent(id -> result.put("id", id));
            result.put("type", "function");
            result.put("function", named);
            calls.add(result);
        }
        return calls;
    }

    /// Clients send arguments as JSON in a string; templates want the mapping.
    private Object arguments(JsonFields function) {
        String path = function.path("arguments");
        String text = function.string("arguments").orElse("");
        if (text.isBlank()) {
            return Map.of();
        }
        JsonNode arguments = json.embedded(text, path);
        if (!(arguments instanceof ObjectNode)) {
            throw RequestException.invalid(
                    path, "must hold a JSON object, not " + JsonFields.kind(arguments));
        }
        return json.mapping(arguments);
    }
}
