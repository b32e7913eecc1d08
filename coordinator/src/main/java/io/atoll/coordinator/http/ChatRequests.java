package io.atoll.coordinator.http;

import io.atoll.attention.step.SequenceOptions;
import io.atoll.coordinator.http.GenerationService.Prepared;
import io.atoll.coordinator.sequence.GenerationRequest;
import io.atoll.coordinator.sequence.OutputFormat;
import io.atoll.coordinator.sequence.ServedModel;
import io.atoll.coordinator.sequence.ServedModel.RenderedChat;
import io.atoll.model.jinja.TemplateException;
import io.atoll.proto.ErrorCode;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;

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
        return prepare(
                body,
                (common, _, logprobs) ->
                        new ChatAnswer(
                                json, headers.next("chatcmpl-"), common.includeUsage(), logprobs));
    }

    /// What writes the answer to a request that was understood.
    interface Writing {
        /// @param prompt its tokens
        /// @param logprobs writes them, if the request wants them
        AnswerWriter writer(CommonParameters common, int[] prompt, Optional<LogprobsJson> logprobs);
    }

    /// Reads a request that may have come in another shape.
    Prepared prepare(JsonFields body, Writing writing) {
        CommonParameters common = CommonParameters.read(body, limits, model);
        OptionalInt topLogprobs = topLogprobs(body);
        ToolFields tools = ToolFields.read(body, json);
        RenderedChat chat = render(body, tools);
        int[] prompt = model.tokenizer().encode(chat.prompt());
        int outputTokens = limits.outputTokens(prompt.length, common.maxOutputTokens(), "messages");
        OutputFormat format =
                new OutputFormat.Chat(
                        chat.opensThinking(), tools.definitions(), tools.parallelCalls());
        List<GenerationRequest> requests =
                common.requests(
                        model,
                        settings,
                        prompt,
                        outputTokens,
                        format,
                        topLogprobs,
                        false,
                        StructuredOutput.constraint(
                                tools.form(StructuredOutput.read(body, json)),
                                model,
                                chat.opensThinking(),
                                ThinkingFields.budget(body)),
                        Priority.of(body));
        AnswerWriter answer =
                writing.writer(
                        common,
                        prompt,
                        topLogprobs.isPresent()
                                ? Optional.of(new LogprobsJson(json, model.tokenizer()))
                                : Optional.empty());
        return new Prepared(requests, answer, common.stream());
    }

    /// Whether logprobs are wanted, and how many likely tokens beside each chosen one.
    private static OptionalInt topLogprobs(JsonFields body) {
        boolean wanted = body.bool("logprobs", false);
        OptionalInt top = body.integer("top_logprobs", 0, SequenceOptions.MAX_TOP_LOGPROBS);
        if (!wanted && top.orElse(0) > 0) {
            throw RequestException.invalid("top_logprobs", "needs logprobs to be true");
        }
        return wanted ? OptionalInt.of(top.orElse(0)) : OptionalInt.empty();
    }

    /// The prompt that a request's messages, tools and template options make.
    RenderedChat render(JsonFields body) {
        return render(body, ToolFields.read(body, json));
    }

    private RenderedChat render(JsonFields body, ToolFields tools) {
        List<Map<String, Object>> conversation = messages.read(body);
        Map<String, Object> options = ThinkingFields.templateOptions(body, json);
        try {
            return model.renderChat(conversation, tools.offered(), options);
        } catch (TemplateException e) {
            throw RequestException.of(
                    ErrorCode.INVALID_REQUEST,
                    "messages",
                    "the chat template refuses the messages: " + e.getMessage());
        }
    }
}
