package io.atoll.coordinator.http;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.atoll.coordinator.sequence.FinishReason;
import io.atoll.coordinator.sequence.GenerationEvent;
import io.atoll.coordinator.sequence.GenerationStats;
import io.atoll.coordinator.sequence.ServedModel;
import io.atoll.model.chat.OutputDelta;
import io.atoll.proto.Failure;
import java.util.List;
import java.util.Optional;

/// The answer of Anthropic's `/v1/messages`: blocks of thinking, text and tool use, in the order the model wrote them.
final class MessagesAnswer implements AnswerWriter {
    private final Json json;
    private final ServedModel model;
    private final Answer.Header header;
    private final int promptTokens;
    private final List<String> stopStrings;
    private final Errors errors;

    // The block that is open in the stream.
    private Block open = Block.NONE;
    private int index = -1;

    private enum Block {
        NONE,
        THINKING,
        TEXT,
        TOOL_USE
    }

    /// @param stopStrings that the request has
    MessagesAnswer(
            Json json,
            ServedModel model,
            Answer.Header header,
            int promptTokens,
            List<String> stopStrings) {
        this.json = json;
        this.model = model;
        this.header = header;
        this.promptTokens = promptTokens;
        this.stopStrings = stopStrings;
        this.errors = new Errors(json, Errors.Style.ANTHROPIC);
    }

    @Override
    public ObjectNode whole(List<ChoiceText> texts, List<GenerationEvent.Finished> ends) {
        ChoiceText text = texts.getFirst();
        GenerationEvent.Finished end = ends.getFirst();
        ObjectNode message = message();
        ArrayNode content = message.withArray("content");
        if (!text.reasoning().isEmpty()) {
            content.addObject()
                    .put("type", "thinking")
                    .put("thinking", text.reasoning())
                    .put("signature", "");
        }
        if (!text.content().isEmpty()) {
            content.addObject().put("type", "text").put("text", text.content());
        }
        for (ChoiceText.Call call : text.calls()) {
            content.addObject()
                    .put("type", "tool_use")
                    .put("id", call.id())
                    .put("name", call.name())
                    .set("input", json.embedded(call.arguments(), "input"));
        }
        putStop(message, end);
        message.set("usage", usage(end.stats()));
        return message;
    }

    private ObjectNode message() {
        ObjectNode message =
                json.object()
                        .put("id", header.id())
                        .put("type", "message")
                        .put("role", "assistant")
                        .put("model", header.model());
        message.putArray("content");
        return message;
    }

    /// Why the answer ended, and at which stop sequence.
    private void putStop(ObjectNode target, GenerationEvent.Finished end) {
        Optional<String> sequence =
                end.reason() == FinishReason.STOP ? stopSequence(end) : Optional.empty();
        String reason =
                switch (end.reason()) {
                    case STOP -> sequence.isPresent() ? "stop_sequence" : "end_turn";
                    case TOOL_CALLS -> "tool_use";
                    case LENGTH -> "max_tokens";
                };
        target.put("stop_reason", reason).put("stop_sequence", sequence.orElse(null));
    }

    /// The stop string that comes first in the output, unless a token ended it.
    private Optional<String> stopSequence(GenerationEvent.Finished end) {
        int[] tokens = end.tokens();
        boolean byToken =
                tokens.length > 0
                        && model.generation().eosTokenIds().contains(tokens[tokens.length - 1]);
        if (byToken || stopStrings.isEmpty()) {
            return Optional.empty();
        }
        String text = model.tokenizer().decode(tokens, false);
        Optional<String> first = Optional.empty();
        int at = Integer.MAX_VALUE;
        for (String stop : stopStrings) {
            int found = text.indexOf(stop);
            if (found >= 0 && found < at) {
                at = found;
                first = Optional.of(stop);
            }
        }
        return first;
    }

    /// Tokens from the cache are no input tokens in this API.
    private ObjectNode usage(GenerationStats stats) {
        return json.object()
                .put("input_tokens", stats.promptTokens() - stats.cachedTokens())
                .put("cache_creation_input_tokens", 0)
                .put("cache_read_input_tokens", stats.cachedTokens())
                .put("output_tokens", stats.outputTokens());
    }

    @Override
    public String begin(int choice) {
        ObjectNode start = json.object().put("type", "message_start");
        ObjectNode message = message();
        message.putNull("stop_reason").putNull("stop_sequence");
        message.putObject("usage").put("input_tokens", promptTokens).put("output_tokens", 0);
        start.set("message", message);
        return event("message_start", start);
    }

    @Override
    public String output(int choice, GenerationEvent.Output output) {
        StringBuilder events = new StringBuilder();
        for (OutputDelta delta : output.deltas()) {
            switch (delta) {
                case OutputDelta.Reasoning(var text) -> {
                    if (open != Block.THINKING) {
                        ObjectNode block = json.object().put("type", "thinking");
                        openBlock(
                                Block.THINKING,
                                block.put("thinking", "").put("signature", ""),
                                events);
                    }
                    delta(
                            json.object().put("type", "thinking_delta").put("thinking", text),
                            events);
                }
                case OutputDelta.Content(var text) -> {
                    if (open != Block.TEXT) {
                        ObjectNode block = json.object().put("type", "text").put("text", "");
                        openBlock(Block.TEXT, block, events);
                    }
                    delta(json.object().put("type", "text_delta").put("text", text), events);
                }
                case OutputDelta.CallStarted(int _, var id, var name) -> {
                    ObjectNode block =
                            json.object().put("type", "tool_use").put("id", id).put("name", name);
                    block.putObject("input");
                    openBlock(Block.TOOL_USE, block, events);
                }
                case OutputDelta.Arguments(int _, var text) ->
                        delta(
                                json.object()
                                        .put("type", "input_json_delta")
                                        .put("partial_json", text),
                                events);
                case OutputDelta.CallEnded _ -> closeBlock(events);
            }
        }
        return events.toString();
    }

    private void openBlock(Block kind, ObjectNode block, StringBuilder events) {
        closeBlock(events);
        open = kind;
        index++;
        ObjectNode start = json.object().put("type", "content_block_start").put("index", index);
        start.set("content_block", block);
        events.append(event("content_block_start", start));
    }

    private void delta(ObjectNode delta, StringBuilder events) {
        ObjectNode event = json.object().put("type", "content_block_delta").put("index", index);
        event.set("delta", delta);
        events.append(event("content_block_delta", event));
    }

    private void closeBlock(StringBuilder events) {
        if (open != Block.NONE) {
            ObjectNode stop = json.object().put("type", "content_block_stop").put("index", index);
            events.append(event("content_block_stop", stop));
            open = Block.NONE;
        }
    }

    @Override
    public String end(int choice, GenerationEvent.Finished finished) {
        StringBuilder events = new StringBuilder();
        closeBlock(events);
        ObjectNode last = json.object().put("type", "message_delta");
        putStop(last.putObject("delta"), finished);
        last.set("usage", usage(finished.stats()));
        return events.append(event("message_delta", last)).toString();
    }

    @Override
    public String complete(List<GenerationEvent.Finished> ends) {
        return event("message_stop", json.object().put("type", "message_stop"));
    }

    @Override
    public String failed(Failure failure) {
        return "event: error\ndata: " + errors.body(failure, Optional.empty()) + "\n\n";
    }

    @Override
    public String heartbeat() {
        return event("ping", json.object().put("type", "ping"));
    }

    private String event(String name, ObjectNode data) {
        return "event: " + name + "\ndata: " + json.write(data) + "\n\n";
    }
}
