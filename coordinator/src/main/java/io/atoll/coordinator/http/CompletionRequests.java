package io.atoll.coordinator.http;

import com.fasterxml.jackson.databind.JsonNode;
import io.atoll.attention.step.OutputConstraint;
import io.atoll.attention.step.SequenceOptions;
import io.atoll.coordinator.http.GenerationService.Prepared;
import io.atoll.coordinator.http.JsonFields.Element;
import io.atoll.coordinator.sequence.GenerationRequest;
import io.atoll.coordinator.sequence.OutputFormat;
import io.atoll.coordinator.sequence.ServedModel;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;

/// Reads the body of `/v1/completions`.
final class CompletionRequests implements GenerationService.Preparation {
    /// Prompts times `n`.
    private static final int MAX_ANSWERS = 128;

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
        List<int[]> prompts =
                prompts(body.node("prompt").orElseThrow(() -> body.missing("prompt")));
        Optional<OutputConstraint> constraint =
                StructuredOutput.constraint(
                        StructuredOutput.read(body, json), model, false, OptionalInt.empty());
        List<GenerationRequest> requests = new ArrayList<>();
        for (int[] prompt : prompts) {
            requests.addAll(
                    common.requests(
                            model,
                            settings,
                            prompt,
                            limits.outputTokens(prompt.length, common.maxOutputTokens(), "prompt"),
                            OutputFormat.PLAIN,
                            topLogprobs,
                            echo && topLogprobs.isPresent(),
                            constraint,
                            Priority.of(body)));
            if (requests.size() > MAX_ANSWERS) {
                throw RequestException.invalid(
                        "prompt",
                        "has %d entries, which with n ask for more than %d answers"
                                .formatted(prompts.size(), MAX_ANSWERS));
            }
        }
        Answer answer =
                new TextAnswer(
                        json,
                        headers.next("cmpl-"),
                        common.includeUsage(),
                        prompts.size(),
                        echo ? requests.stream().map(this::echo).toList() : List.of(),
                        topLogprobs.isPresent()
                                ? Optional.of(new LogprobsJson(json, model.tokenizer()))
                                : Optional.empty());
        return new Prepared(requests, answer, common.stream());
    }

    private TextAnswer.Echo echo(GenerationRequest request) {
        return new TextAnswer.Echo(
                model.tokenizer().decode(request.prompt(), false),
                request.promptLogprobs() ? request.prompt().length : 0);
    }

    /// One text or array of token ids, or an array of either.
    private List<int[]> prompts(JsonNode value) {
        if (value.isTextual()) {
            return List.of(encode(value.textValue(), "prompt"));
        }
        if (!value.isArray()) {
            throw JsonFields.wrongType(
                    "prompt", "a string, an array of token ids, or an array of either", value);
        }
        List<Element> elements = JsonFields.elements(value, "prompt");
        if (elements.isEmpty()) {
            throw RequestException.invalid("prompt", "must not be empty");
        }
        if (elements.getFirst().value().isNumber()) {
            return List.of(JsonFields.tokens(elements, model.tokenizer()));
        }
        List<int[]> prompts = new ArrayList<>(elements.size());
        for (int i = 0; i < elements.size(); i++) {
            JsonNode one = elements.get(i).value();
            String path = "prompt[" + i + "]";
            if (one.isArray()) {
                List<Element> ids = JsonFields.elements(one, path);
                if (ids.isEmpty()) {
                    throw RequestException.invalid(path, "must not be empty");
                }
                prompts.add(JsonFields.tokens(ids, model.tokenizer()));
            } else {
                prompts.add(encode(JsonFields.string(one, path), path));
            }
        }
        return prompts;
    }

    private int[] encode(String text, String path) {
        int[] tokens = model.tokenizer().encode(text);
        if (tokens.length == 0) {
            throw RequestException.invalid(path, "must not be empty");
        }
        return tokens;
    }
}
