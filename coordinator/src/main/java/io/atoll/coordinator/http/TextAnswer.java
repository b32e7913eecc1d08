package io.atoll.coordinator.http;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.atoll.coordinator.sequence.FinishReason;
import io.atoll.coordinator.sequence.GenerationEvent;
import java.util.Optional;

/// The answer of `/v1/completions`: text as the model wrote it.
final class TextAnswer extends Answer {
    TextAnswer(Json json, Header header, boolean includeUsage) {
        super(json, header, includeUsage);
    }

    @Override
    Optional<ObjectNode> firstChunk() {
        return Optional.empty();
    }

    @Override
    ObjectNode chunk(GenerationEvent.Text text) {
        ObjectNode chunk = chunkWithChoice();
        choice(chunk).put("text", text.content()).putNull("logprobs").putNull("finish_reason");
        return chunk;
    }

    @Override
    ObjectNode lastChunk(FinishReason reason) {
        ObjectNode chunk = chunkWithChoice();
        choice(chunk).put("text", "").putNull("logprobs").put("finish_reason", name(reason));
        return chunk;
    }

    @Override
    ObjectNode whole(String reasoning, String content, GenerationEvent.Finished end) {
        ObjectNode whole = wholeWithChoice(chunkKind(), end.stats());
        choice(whole)
                .put("text", content)
                .putNull("logprobs")
                .put("finish_reason", name(end.reason()));
        return whole;
    }

    @Override
    String chunkKind() {
        return "text_completion";
    }
}
