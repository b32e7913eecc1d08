package io.atoll.coordinator.http;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.atoll.coordinator.sequence.FinishReason;
import io.atoll.coordinator.sequence.GenerationEvent;
import io.atoll.coordinator.sequence.TokenLogprobs;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/// The answer of `/v1/completions`: text as the model wrote it.
final class TextAnswer extends Answer {
    private final String echo;
    private final Optional<LogprobsJson> logprobs;
    private final Map<Integer, Integer> offsets = new HashMap<>(); // of each choice's next token

    /// @param echo what the text begins with: the prompt, or nothing
    /// @param logprobs writes them, if the request wants them
    TextAnswer(
            Json json,
            Header header,
            boolean includeUsage,
            String echo,
            Optional<LogprobsJson> logprobs) {
        super(json, header, includeUsage);
        this.echo = echo;
        this.logprobs = logprobs;
    }

    @Override
    Optional<ObjectNode> firstChunk(int choice) {
        return echo.isEmpty() ? Optional.empty() : Optional.of(chunk(choice, echo, List.of()));
    }

    @Override
    List<ObjectNode> chunks(int choice, GenerationEvent.Output output) {
        return List.of(chunk(choice, output.content(), output.logprobs()));
    }

    private ObjectNode chunk(int index, String text, List<TokenLogprobs> tokens) {
        ObjectNode chunk = chunkWithChoice(index);
        ObjectNode choice = choice(chunk).put("text", text);
        if (tokens.isEmpty()) {
            choice.putNull("logprobs");
        } else {
            LogprobsJson writer = logprobs.orElseThrow();
            int offset = offsets.getOrDefault(index, echo.length());
            choice.set("logprobs", writer.text(tokens, offset));
            offsets.put(index, offset + tokens.stream().mapToInt(writer::length).sum());
        }
        choice.putNull("finish_reason");
        return chunk;
    }

    @Override
    ObjectNode lastChunk(int index, FinishReason reason) {
        ObjectNode chunk = chunk(index, "", List.of());
        choice(chunk).put("finish_reason", name(reason));
        return chunk;
    }

    @Override
    void fill(ObjectNode choice, ChoiceText text, FinishReason reason) {
        choice.put("text", echo + text.content());
        logprobs.ifPresentOrElse(
                writer -> choice.set("logprobs", writer.text(text.logprobs(), echo.length())),
                () -> choice.putNull("logprobs"));
        choice.put("finish_reason", name(reason));
    }

    @Override
    String chunkKind() {
        return "text_completion";
    }

    @Override
    String wholeKind() {
        return chunkKind();
    }
}
