package io.atoll.coordinator.http;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.atoll.coordinator.http.GenerationService.Prepared;
import io.atoll.coordinator.http.JsonFields.Element;
import io.atoll.proto.ErrorCode;
import java.util.List;
import java.util.Optional;

/// Reads the body of OpenAI's `/v1/responses`: says it as a chat completion, which is then read like any other.
final class ResponsesRequests implements GenerationService.Preparation {
    /// Fields that both APIs have, with the same meaning.
    private static final List<String> SHARED =
            List.of(
                    "model",
                    "stream",
                    "temperature",
                    "top_p",
                    "parallel_tool_calls",
                    "service_tier",
                    "user");

    private static final List<String> UNSUPPORTED = List.of("conversation", "prompt");

    private final ChatRequests chats;
    private final Json json;
    private final AnswerHeaders headers;
    private final ResponseStore store;

    ResponsesRequests(ChatRequests chats, Json json, AnswerHeaders headers, ResponseStore store) {
        this.chats = chats;
        this.json = json;
        this.headers = headers;
        this.store = store;
    }

    @Override
    public Prepared prepare(JsonFields body) {
        for (String field : UNSUPPORTED) {
            if (body.has(field)) {
                throw RequestException.unsupported(field);
            }
        }
        if (body.bool("background", false)) {
            throw RequestException.unsupported("background");
        }
        ObjectNode chat = json.object();
        for (String field : SHARED) {
            body.node(field).ifPresent(value -> chat.set(field, value));
        }
        body.node("max_output_tokens").ifPresent(value -> chat.set("max_tokens", value));
        body.object("reasoning")
                .flatMap(reasoning -> reasoning.string("effort"))
                .ifPresent(effort -> chat.put("reasoning_effort", effort));
        body.object("text")
                .flatMap(text -> text.object("format"))
                .ifPresent(format -> format(format, chat));
        tools(body, chat);
        ArrayNode messages = json.object().putArray("messages");
        previous(body).ifPresent(before -> messages.addAll(before.messages()));
        input(body.node("input").orElseThrow(() -> body.missing("input")), messages);
        ArrayNode all = chat.putArray("messages");
        body.string("instructions")
                .ifPresent(text -> all.addObject().put("role", "system").put("content", text));
        all.addAll(messages);
        boolean stores = body.bool("store", true);
        return chats.prepare(
                new JsonFields(chat, ""),
                (common, _, _) ->
                        new ResponsesAnswer(
                                json,
                                headers.next("resp_"),
                                echoed(body, common),
                                messages,
                                stores ? Optional.of(store) : Optional.empty()));
    }

    private Optional<ResponseStore.Conversation> previous(JsonFields body) {
        return body.string("previous_response_id")
                .map(
                        id ->
                                store.get(id)
                                        .orElseThrow(
                                                () ->
                                                        RequestException.of(
                                                                ErrorCode.INVALID_REQUEST,
                                                                "previous_response_id",
                                                                "previous_response_id is not kept"
                                                                        + " here (any more): "
                                                                        + id)));
    }

    /// What an answer repeats of its request.
    private ObjectNode echoed(JsonFields body, CommonParameters common) {
        ObjectNode echo = json.object();
        echo.put("instructions", body.string("instructions").orElse(null));
        echo.set("metadata", body.node("metadata").orElse(json.object()));
        body.node("max_output_tokens").ifPresent(value -> echo.set("max_output_tokens", value));
        echo.put("parallel_tool_calls", body.bool("parallel_tool_calls", true));
        echo.put("previous_response_id", body.string("previous_response_id").orElse(null));
        echo.put("store", body.bool("store", true));
        echo.put("temperature", common.sampling().temperature());
        echo.put("top_p", common.sampling().topP());
        echo.set("tool_choice", body.node("tool_choice").orElse(json.object().textNode("auto")));
        echo.set("tools", body.node("tools").orElse(json.object().arrayNode()));
        return echo;
    }

    /// Here the parts of a schema's format stand side by side.
    private void format(JsonFields format, ObjectNode chat) {
        ObjectNode wanted = chat.putObject("response_format");
        String type = format.requiredString("type");
        wanted.put("type", type);
        if (type.equals("json_schema")) {
            ObjectNode schema = wanted.putObject("json_schema");
            for (String field : List.of("name", "schema", "strict")) {
                format.node(field).ifPresent(value -> schema.set(field, value));
            }
        }
    }

    private static void tools(JsonFields body, ObjectNode chat) {
        for (Element element : body.array("tools").orElse(List.of())) {
            JsonFields tool = JsonFields.object(element.value(), element.path());
            String type = tool.requiredString("type");
            if (!type.equals("function")) {
                throw RequestException.invalid(
                        tool.path("type"), "other than function is not supported: " + type);
            }
            ObjectNode function =
                    chat.withArray("tools")
                            .addObject()
                            .put("type", "function")
                            .putObject("function")
                            .put("name", tool.requiredString("name"));
            for (String field : List.of("description", "parameters")) {
                tool.node(field).ifPresent(value -> function.set(field, value));
            }
        }
        JsonNode choice = body.node("tool_choice").orElse(null);
        if (choice instanceof ObjectNode) {
            JsonFields fields = JsonFields.object(choice, "tool_choice");
            ObjectNode named = chat.putObject("tool_choice");
            named.put("type", fields.requiredString("type"));
            fields.string("name").ifPresent(name -> named.putObject("function").put("name", name));
        } else if (choice != null) {
            chat.set("tool_choice", choice);
        }
    }

    private void input(JsonNode input, ArrayNode messages) {
        if (input.isTextual()) {
            messages.addObject().put("role", "user").set("content", input);
            return;
        }
        for (Element element : JsonFields.elements(input, "input")) {
            JsonFields item = JsonFields.object(element.value(), element.path());
            String type = item.string("type").orElse("message");
            switch (type) {
                case "message" -> message(item, messages);
                case "function_call" -> {
                    ObjectNode call =
                            assistant(messages)
                                    .withArray("tool_calls")
                                    .addObject()
                                    .put("id", item.requiredString("call_id"))
                                    .put("type", "function");
                    call.putObject("function")
                            .put("name", item.requiredString("name"))
                            .put("arguments", item.requiredString("arguments"));
                }
                case "function_call_output" ->
                        messages.addObject()
                                .put("role", "tool")
                                .put("tool_call_id", item.requiredString("call_id"))
                                .put("content", text(item, "output"));
                case "reasoning" ->
                        item.node("content")
                                .ifPresent(
                                        content ->
                                                assistant(messages)
                                                        .put(
                                                                "reasoning_content",
                                                                text(item, "content")));
                default ->
                        throw RequestException.invalid(
                                item.path("type"), "is not supported yet: " + type);
            }
        }
    }

    private void message(JsonFields item, ArrayNode messages) {
        String role = item.requiredString("role");
        String content = text(item, "content");
        if (role.equals("assistant")) {
            ObjectNode turn = assistant(messages);
            turn.put("content", turn.path("content").asText() + content);
        } else {
            messages.addObject().put("role", role).put("content", content);
        }
    }

    /// The assistant's turn at the end of the conversation: what the model wrote in one turn comes in several items.
    private static ObjectNode assistant(ArrayNode messages) {
        JsonNode last = messages.isEmpty() ? null : messages.get(messages.size() - 1);
        if (last instanceof ObjectNode turn && turn.path("role").asText().equals("assistant")) {
            return turn;
        }
        return messages.addObject().put("role", "assistant").put("content", "");
    }

    /// A string, or parts that are all text.
    private static String text(JsonFields item, String field) {
        JsonNode value = item.node(field).orElseThrow(() -> item.missing(field));
        if (value.isTextual()) {
            return value.textValue();
        }
        StringBuilder text = new StringBuilder();
        for (Element element : JsonFields.elements(value, item.path(field))) {
            JsonFields part = JsonFields.object(element.value(), element.path());
            String type = part.requiredString("type");
            if (!type.endsWith("text")) {
                throw RequestException.invalid(
                        part.path("type"), "other than text is not supported yet: " + type);
            }
            text.append(part.requiredString("text"));
        }
        return text.toString();
    }
}
