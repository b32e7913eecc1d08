package io.atoll.coordinator.http;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.atoll.coordinator.sequence.FinishReason;
import io.atoll.coordinator.sequence.GenerationEvent;
import io.atoll.coordinator.sequence.TokenLogprobs;
import io.atoll.model.chat.OutputDelta;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/// The answer of `/v1/chat/completions`: a message, with what the model thought and which tools it calls beside what it says.
final class ChatAnswer extends Answer {
    private final Optional<LogprobsJson> logprobs;

    /// @param logprobs writes them, if the request wants them
    ChatAnswer(Json json, Header header, boolean includeUsage, Optional<LogprobsJson> logprobs) {
        super(json, header, includeUsage, 1);
        this.logprobs = logprobs;
    }

    @Override
    Optional<ObjectNode> firstChunk(int choice) {
        ObjectNode delta = json().object().put("role", "assistant").put("content", "");
        return Optional.of(chunk(choice, delta, List.of()));
    }

    /// A chunk for each delta. The logprobs go with the first, or by themselves where the text is still held back.
    @Override
    List<ObjectNode> chunks(int choice, GenerationEvent.Output output) {
        List<ObjectNode> chunks = new ArrayList<>();
        List<TokenLogprobs> tokens = output.logprobs();
        for (OutputDelta delta : output.deltas()) {
            Optional<ObjectNode> written = delta(delta);
            if (written.isPresent()) {
                chunks.add(chunk(choice, written.get(), tokens));
                tokens = List.of();
            }
        }
        if (!tokens.isEmpty()) {
            chunks.add(chunk(choice, json().object(), tokens));
        }
        return chunks;
    }

    private Optional<ObjectNode> delta(OutputDelta delta) {
        ObjectNode written = json().object();
        switch (delta) {
            case OutputDelta.Reasoning(var text) -> written.put("reasoning_content", text);
            case OutputDelta.Content(var text) -> written.put("content", text);
            case OutputDelta.CallStarted(int index, var id, var name) ->
                    call(
                            written.putArray("tool_calls").addObject().put("index", index),
                            id,
                            name,
                            "");
            case OutputDelta.Arguments(int index, var text) ->
                    written.putArray("tool_calls")
                            .addObject()
                            .put("index", index)
                            .putObject("function")
                            .put("arguments", text);
            case OutputDelta.CallEnded _ -> {
                return Optional.empty(); // the next call, or the finish reason, says it
            }
        }
        return Optional.of(written);
    }

    private static void call(ObjectNode call, String id, String name, String arguments) {
        call.put("id", id).put("type", "function");
        call.putObject("function").put("name", name).put("arguments", arguments);
    }

    private ObjectNode chunk(int choice, ObjectNode delta, List<TokenLogprobs> tokens) {
        ObjectNode chunk = chunkWithChoice(choice);
        ObjectNode written = choice(chunk);
        written.set("delta", delta);
        if (tokens.isEmpty()) {
            written.putNull("logprobs");
        } else {
            written.set("logprobs", logprobs.orElseThrow().chat(tokens));
        }
        written.putNull("finish_reason");
        return chunk;
    }

    @Override
    ObjectNode lastChunk(int choice, FinishReason reason) {
        ObjectNode chunk = chunk(choice, json().object(), List.of());
        choice(chunk).put("finish_reason", name(reason));
        return chunk;
    }

    @Override
    void fill(int index, ObjectNode choice, ChoiceText text, FinishReason reason) {
        ObjectNode message = choice.putObject("message").put("role", "assistant");
        boolean onlyCalls = text.content().isEmpty() && !text.calls().isEmpty();
        message.put("content", onlyCalls ? null : text.content());
        if (!text.reasoning().isEmpty()) {
            message.put("reasoning_content", text.reasoning());
        }
        if (!text.calls().isEmpty()) {
            ArrayNode calls = message.putArray("tool_calls");
            for (ChoiceText.Call call : text.calls()) {
                call(calls.addObject(), call.id(), call.name(), call.arguments());
            }
        }
        logprobs.ifPresentOrElse(
                writer -> choice.set("logprobs", writer.chat(text.logprobs())),
                () -> choice.putNull("logprobs"));
        choice.put("finish_reason", name(reason));
    }

    @Override
    String chunkKind() {
        return "chat.completion.chunk";
    }

    @Override
    String wholeKind() {
        return "chat.completion";
    }
}
