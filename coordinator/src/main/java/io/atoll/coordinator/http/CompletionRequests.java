package io.atoll.coordinator.http;

import com.fasterxml.jackson.databind.JsonNode;
import io.atoll.attention.step.SequenceOptions;
import io.atoll.coordinator.http.GenerationService.Prepared;
import io.atoll.coordinator.http.JsonFields.Element;
import io.atoll.coordinator.sequence.GenerationRequest;
import io.atoll.coordinator.sequence.OutputFormat;
import io.atoll.coordinator.sequence.ServedModel;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;

/// Reads the body of `/v1/completions`.
final class CompletionRequests implements GenerationService.Preparation {
    private final ServedModel model;
    private final HttpSettings settings;
    private final RequestLimits limits;
    private final Json json;
    private final AnswerHeaders headers;

    CompletionRequests(
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
    }

    @Override
    public Prepared prepare(JsonFields body) {
        CommonParameters common = CommonParameters.read(body, limits, model);
        boolean echo = body.bool("echo", false);
        OptionalInt topLogprobs = body.integer("logprobs", 0, SequenceOptions.MAX_TOP_LOGPROBS);
        if (echo && topLogprobs.isPresent()) {
            throw RequestException.invalid("logprobs", "with echo is not supported yet");
        }
        int[] prompt = prompt(body.node("prompt").orElseThrow(() -> body.missing("prompt")));
        int outputTokens = limits.outputTokens(prompt.length, common.maxOutputTokens(), "prompt");
        List<GenerationRequest> requests =
                common.requests(
                        model,
                        settings,
                        prompt,
                        outputTokens,
                        OutputFormat.PLAIN,
                        topLogprobs,
                        StructuredOutput.constraint(
                                StructuredOutput.read(body, json),
                                model,
                                false,
                                OptionalInt.empty()),
                        Priority.of(body));
        Answer answer =
                new TextAnswer(
                        json,
                        headers.next("cmpl-"),
                        common.includeUsage(),
                        echo ? model.tokenizer().decode(prompt, false) : "",
                        topLogprobs.isPresent()
                                ? Optional.of(new LogprobsJson(json, model.tokenizer()))
                                : Optional.empty());
        return new Prepared(requests, answer, common.stream());
    }

    /// A text, an array with one text, or an array of token ids.
    private int[] prompt(JsonNode value) {
        if (value.isTextual()) {
            return encode(value.textValue());
        }
        if (!value.isArray()) {
            throw JsonFields.wrongType("prompt", "a string or an array of token ids", value);
        }
        List<Element> elements = JsonFields.elements(value, "prompt");
        if (elements.isEmpty()) {
            throw RequestException.invalid("prompt", "must not be empty");
        }
        if (elements.getFirst().value().isNumber()) {
            return JsonFields.tokens(elements, model.tokenizer());
        }
        if (elements.size() > 1 || elements.getFirst().value().isArray()) {
            throw RequestException.invalid("prompt", "of several texts is not supported yet");
        }
        return encode(JsonFields.string(elements.getFirst().value(), "prompt[0]"));
    }

    private int[] encode(String text) {
        int[] tokens = model.tokenizer().encode(text);
        if (tokens.length == 0) {
            throw RequestException.invalid("prompt", "must not be empty");
        }
        return tokens;
    }
}
