package io.atoll.coordinator.http;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.linecorp.armeria.common.HttpResponseWriter;
import io.atoll.coordinator.http.GenerationService.Prepared;
import io.atoll.coordinator.http.JsonFields.Element;
import io.atoll.coordinator.sequence.ServedModel;
import java.util.ArrayList;
import java.util.List;

/// Reads the body of Anthropic's `/v1/messages`: says it as a chat completion, which is then read like any other.
final class MessagesRequests implements GenerationService.Preparation {
    /// Fields that both APIs have, with the same meaning.
    private static final List<String> SHARED =
            List.of("model", "max_tokens", "stream", "temperature", "top_p", "top_k");

    private final ServedModel model;
    private final ChatRequests chats;
    private final Json json;
    private final AnswerHeaders headers;

    MessagesRequests(ServedModel model, ChatRequests chats, Json json, AnswerHeaders headers) {
        this.model = model;
        this.chats = chats;
        this.json = json;
        this.headers = headers;
    }

    @Override
    public Prepared prepare(JsonFields body) {
        if (!body.has("max_tokens")) {
            throw body.missing("max_tokens");
        }
        return chats.prepare(
                chat(body),
                (common, prompt, _) ->
                        new MessagesAnswer(
                                json,
                                model,
                                headers.next("msg_"),
                                prompt.length,
                                common.stopStrings()));
    }

    /// Answers `/v1/messages/count_tokens`.
    void countTokens(Caller caller, JsonFields body, HttpResponseWriter out) {
        CommonParameters.checkModel(body, model);
        int tokens = model.tokenizer().encode(chats.render(chat(body)).prompt()).length;
        out.close(HttpApi.ok(json.write(json.object().put("input_tokens", tokens))));
    }

    private JsonFields chat(JsonFields body) {
        ObjectNode chat = json.object();
        for (String field : SHARED) {
            body.node(field).ifPresent(value -> chat.set(field, value));
        }
        body.node("stop_sequences").ifPresent(value -> chat.set("stop", stops(value)));
        thinking(body, chat);
        tools(body, chat);
        ArrayNode messages = chat.putArray("messages");
        body.node("system").ifPresent(system -> system(system, messages));
        List<Element> elements = body.array("messages").orElseThrow(() -> body.missing("messages"));
        for (Element element : elements) {
            message(JsonFields.object(element.value(), element.path()), messages);
        }
        if (!elements.isEmpty()
                && elements.getLast().value().path("role").asText().equals("assistant")) {
            throw RequestException.invalid(
                    elements.getLast().path(),
                    "must be the user's: an assistant's turn is not continued here");
        }
        return new JsonFields(chat, "");
    }

    private static JsonNode stops(JsonNode value) {
        JsonFields.elements(value, "stop_sequences");
        return value;
    }

    /// Without the field the model does not think, as in that API.
    private static void thinking(JsonFields body, ObjectNode chat) {
        boolean thinks =
                body.object("thinking")
                        .map(
                                thinking -> {
                                    String type = thinking.requiredString("type");
                                    if (!List.of("enabled", "adaptive", "disabled")
                                            .contains(type)) {
                                        throw RequestException.invalid(
                                                thinking.path("type"),
                                                "must be enabled, adaptive or disabled: " + type);
                                    }
                                    thinking.integer("budget_tokens", 1, Integer.MAX_VALUE)
                                            .ifPresent(
                                                    tokens -> chat.put("thinking_budget", tokens));
                                    return !type.equals("disabled");
                                })
                        .orElse(false);
        chat.putObject("chat_template_kwargs").put("enable_thinking", thinks);
    }

    private static void system(JsonNode system, ArrayNode messages) {
        ObjectNode message = messages.addObject().put("role", "system");
        if (system.isTextual()) {
            message.set("content", system);
            return;
        }
        ArrayNode parts = message.putArray("content");
        for (Element block : JsonFields.elements(system, "system")) {
            JsonFields fields = JsonFields.object(block.value(), block.path());
            requireText(fields);
            text(parts, fields.requiredString("text"));
        }
    }

    private static void requireText(JsonFields block) {
        String type = block.requiredString("type");
        if (!type.equals("text")) {
            throw RequestException.invalid(
                    block.path("type"), "other than text is not supported yet: " + type);
        }
    }

    private static void text(ArrayNode parts, String text) {
        parts.addObject().put("type", "text").put("text", text);
    }

    private void message(JsonFields fields, ArrayNode messages) {
        String role = fields.requiredString("role");
        JsonNode content = fields.node("content").orElseThrow(() -> fields.missing("content"));
        if (!role.equals("user") && !role.equals("assistant")) {
            throw RequestException.invalid(
                    fields.path("role"), "must be user or assistant: " + role);
        }
        if (content.isTextual()) {
            messages.addObject().put("role", role).set("content", content);
            return;
        }
        List<JsonFields> blocks = new ArrayList<>();
        for (Element block : JsonFields.elements(content, fields.path("content"))) {
            blocks.add(JsonFields.object(block.value(), block.path()));
        }
        if (role.equals("user")) {
            user(blocks, messages);
        } else {
            assistant(blocks, messages);
        }
    }

    /// Results of tools are messages of their own; what stands beside them follows.
    private static void user(List<JsonFields> blocks, ArrayNode messages) {
        List<String> texts = new ArrayList<>();
        for (JsonFields block : blocks) {
            if (block.requiredString("type").equals("tool_result")) {
                result(block, messages);
            } else {
                requireText(block);
                texts.add(block.requiredString("text"));
            }
        }
        if (!texts.isEmpty()) {
            ArrayNode parts = messages.addObject().put("role", "user").putArray("content");
            texts.forEach(text -> text(parts, text));
        }
    }

    private static void result(JsonFields block, ArrayNode messages) {
        ObjectNode message =
                messages.addObject()
                        .put("role", "tool")
                        .put("tool_call_id", block.requiredString("tool_use_id"));
        block.bool("is_error", false); // the text says it
        JsonNode content = block.node("content").orElse(null);
        if (content == null) {
            message.put("content", "");
        } else if (content.isTextual()) {
            message.set("content", content);
        } else {
            ArrayNode parts = message.putArray("content");
            for (Element part : JsonFields.elements(content, block.path("content"))) {
                JsonFields fields = JsonFields.object(part.value(), part.path());
                requireText(fields);
                text(parts, fields.requiredString("text"));
            }
        }
    }

    private void assistant(List<JsonFields> blocks, ArrayNode messages) {
        ObjectNode message = messages.addObject().put("role", "assistant");
        StringBuilder content = new StringBuilder();
        StringBuilder reasoning = new StringBuilder();
        for (JsonFields block : blocks) {
            String type = block.requiredString("type");
            switch (type) {
                case "text" -> content.append(block.requiredString("text"));
                case "thinking" -> reasoning.append(block.requiredString("thinking"));
                case "redacted_thinking" -> {} // of another model
                case "tool_use" -> {
                    ObjectNode call =
                            message.withArray("tool_calls")
                                    .addObject()
                                    .put("id", block.requiredString("id"))
                                    .put("type", "function");
                    block.object("input");
                    call.putObject("function")
                            .put("name", block.requiredString("name"))
                            .put("arguments", block.node("input").map(json::write).orElse("{}"));
                }
                default ->
                        throw RequestException.invalid(
                                block.path("type"), "is not supported yet: " + type);
            }
        }
        message.put("content", content.toString());
        if (!reasoning.isEmpty()) {
            message.put("reasoning_content", reasoning.toString());
        }
    }

    private static void tools(JsonFields body, ObjectNode chat) {
        for (Element element : body.array("tools").orElse(List.of())) {
            JsonFields tool = JsonFields.object(element.value(), element.path());
            String type = tool.string("type").orElse("custom");
            if (!type.equals("custom")) {
                throw RequestException.invalid(
                        tool.path("type"), "other than custom is not supported: " + type);
            }
            ObjectNode function =
                    chat.withArray("tools")
                            .addObject()
                            .put("type", "function")
                            .putObject("function")
                            .put("name", tool.requiredString("name"));
            tool.string("description").ifPresent(text -> function.put("description", text));
            JsonNode schema =
                    tool.node("input_schema").orElseThrow(() -> tool.missing("input_schema"));
            JsonFields.object(schema, tool.path("input_schema"));
            function.set("parameters", schema);
        }
        body.object("tool_choice").ifPresent(choice -> toolChoice(choice, chat));
    }

    private static void toolChoice(JsonFields choice, ObjectNode chat) {
        String type = choice.requiredString("type");
        switch (type) {
            case "auto", "none" -> chat.put("tool_choice", type);
            case "any" -> chat.put("tool_choice", "required");
            case "tool" ->
                    chat.putObject("tool_choice")
                            .put("type", "function")
                            .putObject("function")
                            .put("name", choice.requiredString("name"));
            default ->
                    throw RequestException.invalid(
                            choice.path("type"), "must be auto, any, tool or none: " + type);
        }
        chat.put("parallel_tool_calls", !choice.bool("disable_parallel_tool_use", false));
    }
}
