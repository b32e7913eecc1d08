package io.atoll.coordinator.http;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.atoll.coordinator.sequence.FinishReason;
import io.atoll.coordinator.sequence.GenerationEvent;
import java.util.Optional;

/// The answer of `/v1/chat/completions`: a message, with what the model thought beside what it says.
final class ChatAnswer extends Answer {
    ChatAnswer(Json json, Header header, boolean includeUsage) {
        super(json, header, includeUsage);
    }

    @Override
    Optional<ObjectNode> firstChunk() {
        ObjectNode chunk = chunkWithChoice();
        ObjectNode choice = choice(chunk);
        choice.putObject("delta").put("role", "assistant").put("content", "");
        choice.putNull("logprobs").putNull("finish_reason");
        return Optional.of(chunk);
    }

    @Override
    ObjectNode chunk(GenerationEvent.Text text) {
        ObjectNode chunk = chunkWithChoice();
        ObjectNode choice = choice(chunk);
        ObjectNode delta = choice.putObject("delta");
        if (!text.reasoning().isEmpty()) {
            delta.put("reasoning_content", text.reasoning());
        }
        if (!text.content().isEmpty()) {
            delta.put("content", text.content());
        }
        choice.putNull("logprobs").putNull("finish_reason");
        return chunk;
    }

    @Override
    ObjectNode lastChunk(FinishReason reason) {
        ObjectNode chunk = chunkWithChoice();
        ObjectNode choice = choice(chunk);
        choice.putObject("delta");
        choice.putNull("logprobs").put("finish_reason", name(reason));
        return chunk;
    }

    @Override
    ObjectNode whole(String reasoning, String content, GenerationEvent.Finished end) {
        ObjectNode whole = wholeWithChoice("chat.completion", end.stats());
        ObjectNode choice = choice(whole);
        ObjectNode message =
                choice.putObject("message").put("role", "assistant").put("content", content);
        if (!reasoning.isEmpty()) {
            message.put("reasoning_content", reasoning);
        }
        choice.putNull("logprobs").put("finish_reason", name(end.reason()));
        return whole;
    }

    @Override
    String chunkKind() {
        return "chat.completion.chunk";
    }
}
