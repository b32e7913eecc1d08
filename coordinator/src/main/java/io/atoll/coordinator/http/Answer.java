package io.atoll.coordinator.http;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.atoll.coordinator.sequence.FinishReason;
import io.atoll.coordinator.sequence.GenerationEvent;
import io.atoll.coordinator.sequence.GenerationStats;
import io.atoll.proto.Failure;
import java.util.List;
import java.util.Optional;
import java.util.stream.Collectors;

/// Writes one answer as OpenAI's completions have it. The subclasses are the two endpoints' shapes.
abstract class Answer implements AnswerWriter {
    private static final String DONE = "data: [DONE]\n\n";

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
    private final Errors errors;
    private final int prompts;

    /// @param includeUsage whether chunks mention the usage that the last one carries
    /// @param prompts how many there are; each has equally many choices, in its order
    Answer(Json json, Header header, boolean includeUsage, int prompts) {
        this.json = json;
        this.errors = new Errors(json, Errors.Style.OPENAI);
        this.header = header;
        this.includeUsage = includeUsage;
        this.prompts = prompts;
    }

    /// The chunk before a choice's text, if the shape has one.
    abstract Optional<ObjectNode> firstChunk(int choice);

    abstract List<ObjectNode> chunks(int choice, GenerationEvent.Output output);

    abstract ObjectNode lastChunk(int choice, FinishReason reason);

    /// Fills one choice of a whole answer.
    abstract void fill(int index, ObjectNode choice, ChoiceText text, FinishReason reason);

    /// The `object` of a chunk.
    abstract String chunkKind();

    /// The `object` of a whole answer.
    abstract String wholeKind();

    @Override
    public final ObjectNode whole(List<ChoiceText> texts, List<GenerationEvent.Finished> ends) {
        ObjectNode whole = envelope(wholeKind());
        ArrayNode choices = whole.putArray("choices");
        for (int i = 0; i < texts.size(); i++) {
            fill(i, choices.addObject().put("index", i), texts.get(i), ends.get(i).reason());
        }
        whole.set("usage", usage(ends));
        return whole;
    }

    @Override
    public final String begin(int choice) {
        return firstChunk(choice).map(this::event).orElse("");
    }

    @Override
    public final String output(int choice, GenerationEvent.Output output) {
        return chunks(choice, output).stream().map(this::event).collect(Collectors.joining());
    }

    @Override
    public final String end(int choice, GenerationEvent.Finished finished) {
        return event(lastChunk(choice, finished.reason()));
    }

    @Override
    public final String complete(List<GenerationEvent.Finished> ends) {
        return includeUsage ? event(usageChunk(ends)) + DONE : DONE;
    }

    /// An error in the place of `[DONE]`.
    @Override
    public final String failed(Failure failure) {
        return "data: " + errors.body(failure, Optional.empty()) + "\n\n";
    }

    /// A comment: clients ignore it.
    @Override
    public final String heartbeat() {
        return ": waiting\n\n";
    }

    private String event(ObjectNode chunk) {
        return "data: " + json.write(chunk) + "\n\n";
    }

    /// The chunk with the token counts, after the last one.
    private ObjectNode usageChunk(List<GenerationEvent.Finished> ends) {
        ObjectNode chunk = envelope(chunkKind());
        chunk.putArray("choices");
        chunk.set("usage", usage(ends));
        return chunk;
    }

    final Json json() {
        return json;
    }

    /// An object with one empty choice, for a subclass to fill.
    final ObjectNode chunkWithChoice(int choice) {
        ObjectNode chunk = envelope(chunkKind());
        chunk.putArray("choices").addObject().put("index", choice);
        if (includeUsage) {
            chunk.putNull("usage");
        }
        return chunk;
    }

    /// The one choice of a chunk made here.
    static ObjectNode choice(ObjectNode chunk) {
        return (ObjectNode) chunk.get("choices").get(0);
    }

    static String name(FinishReason reason) {
        return switch (reason) {
            case STOP -> "stop";
            case TOOL_CALLS -> "tool_calls";
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

    /// The prompt counts once, the outputs of all choices together.
    private ObjectNode usage(List<GenerationEvent.Finished> ends) {
        int prompt = 0;
        int cached = 0;
        for (int i = 0; i < ends.size(); i += ends.size() / prompts) { // a prompt's first choice
            prompt += ends.get(i).stats().promptTokens();
            cached += ends.get(i).stats().cachedTokens();
        }
        int output = 0;
        int reasoning = 0;
        for (GenerationEvent.Finished end : ends) {
            GenerationStats stats = end.stats();
            output += stats.outputTokens();
            reasoning += stats.reasoningTokens();
        }
        ObjectNode usage =
                json.object()
                        .put("prompt_tokens", prompt)
                        .put("completion_tokens", output)
                        .put("total_tokens", prompt + output);
        usage.putObject("prompt_tokens_details").put("cached_tokens", cached);
        usage.putObject("completion_tokens_details").put("reasoning_tokens", reasoning);
        return usage;
    }
}
