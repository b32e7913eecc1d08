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
    private final List<Echo> echoes;
    private final Optional<LogprobsJson> logprobs;
    private final Map<Integer, Echo> rest = new HashMap<>(); // of each choice's echo, in a stream
    private final Map<Integer, Integer> offsets = new HashMap<>(); // of each choice's next token

    /// What a text begins with: its prompt.
    ///
    /// @param scoredTokens how many tokens it has, if their logprobs come before the answer's; else 0
    record Echo(String text, int scoredTokens) {
        static final Echo NONE = new Echo("", 0);
    }

    /// @param prompts how many there are; each has equally many choices, in its order
    /// @param echoes of each choice, or empty
    /// @param logprobs writes them, if the request wants them
    TextAnswer(
            Json json,
            Header header,
            boolean includeUsage,
            int prompts,
            List<Echo> echoes,
            Optional<LogprobsJson> logprobs) {
        super(json, header, includeUsage, prompts);
        this.echoes = echoes;
        this.logprobs = logprobs;
    }

    private Echo echo(int choice) {
        return echoes.isEmpty() ? Echo.NONE : echoes.get(choice);
    }

    @Override
    Optional<ObjectNode> firstChunk(int choice) {
        Echo echo = echo(choice);
        rest.put(choice, echo);
        offsets.put(choice, echo.scoredTokens() > 0 ? 0 : echo.text().length());
        return echo.text().isEmpty()
                ? Optional.empty()
                : Optional.of(chunk(choice, echo.text(), List.of()));
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
            int echoed = Math.min(rest.get(index).scoredTokens(), tokens.size());
            int offset = offsets.get(index);
            choice.set("logprobs", writer.text(tokens, offset, echoed));
            offsets.put(index, offset + writer.length(tokens, echoed));
            rest.put(index, new Echo("", rest.get(index).scoredTokens() - echoed));
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
    void fill(int index, ObjectNode choice, ChoiceText text, FinishReason reason) {
        Echo echo = echo(index);
        choice.put("text", echo.text() + text.content());
        int echoed = echo.scoredTokens();
        int offset = echoed > 0 ? 0 : echo.text().length();
        logprobs.ifPresentOrElse(
                writer -> choice.set("logprobs", writer.text(text.logprobs(), offset, echoed)),
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
