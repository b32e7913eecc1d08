package io.atoll.coordinator.http;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.atoll.coordinator.sequence.FinishReason;
import io.atoll.coordinator.sequence.GenerationEvent;
import io.atoll.coordinator.sequence.GenerationStats;
import java.util.Optional;

/// Writes one answer as JSON, whole or in chunks. The subclasses are the two endpoints' shapes.
abstract class Answer {
    /// What every object of an answer says about it.
    ///
    /// @param id names the answer
    /// @param createdSeconds when the request came, since 1970
    /// @param model the served name
    /// @param fingerprint changes with the weights or the arithmetic
    record Header(String id, long createdSeconds, String model, String fingerprint) {}

    private final Json json;
    private final Header header;
    private final boolean includeUsage;

    /// @param includeUsage whether chunks mention the usage that the last one carries
    Answer(Json json, Header header, boolean includeUsage) {
        this.json = json;
        this.header = header;
        this.includeUsage = includeUsage;
    }

    /// The chunk before any text, if the shape has one.
    abstract Optional<ObjectNode> firstChunk();

    abstract ObjectNode chunk(GenerationEvent.Text text);

    abstract ObjectNode lastChunk(FinishReason reason);

    abstract ObjectNode whole(String reasoning, String content, GenerationEvent.Finished end);

    /// The chunk with the token counts, after the last one.
    final ObjectNode usageChunk(GenerationStats stats) {
        ObjectNode chunk = envelope(chunkKind());
        chunk.putArray("choices");
        chunk.set("usage", usage(stats));
        return chunk;
    }

    final boolean includeUsage() {
        return includeUsage;
    }

    /// The `object` of a chunk.
    abstract String chunkKind();

    /// An object with one empty choice, for a subclass to fill.
    final ObjectNode chunkWithChoice() {
        ObjectNode chunk = envelope(chunkKind());
        chunk.putArray("choices").addObject().put("index", 0);
        if (includeUsage) {
            chunk.putNull("usage");
        }
        return chunk;
    }

    final ObjectNode wholeWithChoice(String kind, GenerationStats stats) {
        ObjectNode whole = envelope(kind);
        whole.putArray("choices").addObject().put("index", 0);
        whole.set("usage", usage(stats));
        return whole;
    }

    /// The one choice of an object made here.
    static ObjectNode choice(ObjectNode object) {
        return (ObjectNode) object.get("choices").get(0);
    }

    static String name(FinishReason reason) {
        return switch (reason) {
            case STOP -> "stop";
            case LENGTH -> "length";
        };
    }

    private ObjectNode envelope(String kind) {
        return json.object()
                .put("id", header.id())
                .put("object", kind)
                .put("created", header.createdSeconds())
                .put("model", header.model())
                .put("system_fingerprint", header.fingerprint());
    }

    private ObjectNode usage(GenerationStats stats) {
        ObjectNode usage =
                json.object()
                        .put("prompt_tokens", stats.promptTokens())
                        .put("completion_tokens", stats.outputTokens())
                        .put("total_tokens", stats.promptTokens() + stats.outputTokens());
        usage.putObject("prompt_tokens_details").put("cached_tokens", stats.cachedTokens());
        usage.putObject("completion_tokens_details")
                .put("reasoning_tokens", stats.reasoningTokens());
        return usage;
    }
}
