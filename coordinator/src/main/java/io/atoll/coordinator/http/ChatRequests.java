package io.atoll.coordinator.http;

import com.fasterxml.jackson.databind.JsonNode;
import io.atoll.coordinator.http.GenerationService.Prepared;
import io.atoll.coordinator.http.JsonFields.Element;
import io.atoll.coordinator.sequence.GenerationRequest;
import io.atoll.coordinator.sequence.ServedModel;
import io.atoll.coordinator.sequence.ServedModel.RenderedChat;
import io.atoll.model.jinja.TemplateException;
import io.atoll.proto.ErrorCode;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/// Reads the body of `/v1/chat/completions`.
final class ChatRequests implements GenerationService.Preparation {
    private final ServedModel model;
    private final HttpSettings settings;
    private final RequestLimits limits;
    private final Json json;
    private final AnswerHeaders headers;
    private final ChatMessages messages;

    ChatRequests(
            ServedModel model,
            HttpSettings settings,
            RequestLimits limits,
            Json json,
            AnswerHeaders headers) {
        this.model = model;
        this.settings = settings;
        this.limits = limits;
        this.json = json;
        this.headers = headers;
        this.messages = new ChatMessages(json);
    }

    @Override
    public Prepared prepare(JsonFields body) {
        CommonParameters common =
                CommonParameters.read(body, limits, model.name(), model.generation());
        refuseLogprobs(body);
        RenderedChat chat = render(body);
        int[] prompt = model.tokenizer().encode(chat.prompt());
        GenerationRequest request =
                new GenerationRequest(
                        prompt,
                        model.checkpoints(prompt),
                        limits.outputTokens(prompt.length, common.maxOutputTokens(), "messages"),
                        common.sampling(),
                        common.stopTokens(model.generation()),
                        common.stopStrings(),
                        chat.format(),
                        Priority.of(body),
                        settings.maxQueueTime(),
                        settings.requestTimeout());
        Answer answer = new ChatAnswer(json, headers.next("chatcmpl-"), common.includeUsage());
        return new Prepared(request, answer, common.stream());
    }

    private static void refuseLogprobs(JsonFields body) {
        if (body.bool("logprobs", false)) {
            throw RequestException.unsupported("logprobs");
        }
        if (body.integer("top_logprobs", 0, Integer.MAX_VALUE).orElse(0) > 0) {
            throw RequestException.unsupported("top_logprobs");
        }
    }

    private RenderedChat render(JsonFields body) {
        List<Map<String, Object>> conversation = messages.read(body);
        Optional<List<Map<String, Object>>> tools = tools(body);
        try {
            return model.renderChat(conversation, tools, templateOptions(body));
        } catch (TemplateException e) {
            throw RequestException.of(
                    ErrorCode.INVALID_REQUEST,
                    "messages",
                    "the chat template refuses the messages: " + e.getMessage());
        }
    }

    /// The tools as the template gets them: none if the model may not call any.
    private Optional<List<Map<String, Object>>> tools(JsonFields body) {
        List<Map<String, Object>> tools = new ArrayList<>();
        for (Element element : body.array("tools").orElse(List.of())) {
            JsonFields tool = JsonFields.object(element.value(), element.path());
            String type = tool.requiredString("type");
            if (!type.equals("function")) {
                throw RequestException.invalid(
                        tool.path("type"), "other than function is not supported yet: " + type);
            }
            tool.object("function")
                    .orElseThrow(() -> tool.missing("function"))
                    .requiredString("name");
            tools.add(json.mapping(element.value()));
        }
        boolean allowed = body.node("tool_choice").map(ChatRequests::allowsTools).orElse(true);
        return allowed && !tools.isEmpty() ? Optional.of(tools) : Optional.empty();
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

    private Map<String, Object> templateOptions(JsonFields body) {
        return body.object("chat_template_kwargs")
                .map(_ -> json.mapping(body.node("chat_template_kwargs").orElseThrow()))
                .orElse(Map.of());
    }
}
