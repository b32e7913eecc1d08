package io.atoll.coordinator.http;

import com.fasterxml.jackson.databind.JsonNode;
import io.atoll.coordinator.http.GenerationService.Prepared;
import io.atoll.coordinator.http.JsonFields.Element;
import io.atoll.coordinator.sequence.GenerationRequest;
import io.atoll.coordinator.sequence.OutputFormat;
import io.atoll.coordinator.sequence.ServedModel;
import java.util.List;

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
        CommonParameters common =
                CommonParameters.read(body, limits, model.name(), model.generation());
        if (body.bool("echo", false)) {
            throw RequestException.unsupported("echo");
        }
        if (body.integer("logprobs", 0, Integer.MAX_VALUE).isPresent()) {
            throw RequestException.unsupported("logprobs");
        }
        int[] prompt = prompt(body.node("prompt").orElseThrow(() -> body.missing("prompt")));
        GenerationRequest request =
                new GenerationRequest(
                        prompt,
                        model.checkpoints(prompt),
                        limits.outputTokens(prompt.length, common.maxOutputTokens(), "prompt"),
                        common.sampling(),
                        common.stopTokens(model.generation()),
                        common.stopStrings(),
                        OutputFormat.PLAIN,
                        Priority.of(body),
                        settings.maxQueueTime(),
                        settings.requestTimeout());
        Answer answer = new TextAnswer(json, headers.next("cmpl-"), common.includeUsage());
        return new Prepared(request, answer, common.stream());
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
            return tokens(elements);
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

    private int[] tokens(List<Element> elements) {
        int[] tokens = new int[elements.size()];
        for (int i = 0; i < tokens.length; i++) {
            Element element = elements.get(i);
            int token = JsonFields.integer(element.value(), element.path(), 0, Integer.MAX_VALUE);
            if (!model.tokenizer().isToken(token)) {
                throw RequestException.invalid(
                        element.path(), "is no token of the model: " + token);
            }
            tokens[i] = token;
        }
        return tokens;
    }
}
