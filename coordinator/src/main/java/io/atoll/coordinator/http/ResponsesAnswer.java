package io.atoll.coordinator.http;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.atoll.coordinator.sequence.FinishReason;
import io.atoll.coordinator.sequence.GenerationEvent;
import io.atoll.coordinator.sequence.GenerationStats;
import io.atoll.model.chat.OutputDelta;
import io.atoll.proto.Failure;
import java.util.List;
import java.util.Locale;
import java.util.Optional;

/// The answer of OpenAI's `/v1/responses`: items of reasoning, text and calls, in the order the model wrote them.
final class ResponsesAnswer implements AnswerWriter {
    private final Json json;
    private final Answer.Header header;
    private final ObjectNode echoed;
    private final ArrayNode messages;
    private final Optional<ResponseStore> store;
    private final ArrayNode output;

    // The item that is open, the last of the output.
    private Item open = Item.NONE;
    private final StringBuilder text = new StringBuilder();
    private int sequenceNumber;

    private enum Item {
        NONE,
        REASONING,
        MESSAGE,
        CALL
    }

    /// @param echoed fields of the request that the answer repeats
    /// @param messages the conversation before the answer; the answer is added where it is stored
    /// @param store keeps the conversation, if it is to be kept
    ResponsesAnswer(
            Json json,
            Answer.Header header,
            ObjectNode echoed,
            ArrayNode messages,
            Optional<ResponseStore> store) {
        this.json = json;
        this.header = header;
        this.echoed = echoed;
        this.messages = messages;
        this.store = store;
        output = json.object().arrayNode();
    }

    @Override
    public ObjectNode whole(List<ChoiceText> texts, List<GenerationEvent.Finished> ends) {
        ChoiceText all = texts.getFirst();
        if (!all.reasoning().isEmpty()) {
            fill(item(Item.REASONING, "", ""), Item.REASONING, all.reasoning());
        }
        if (!all.content().isEmpty()) {
            fill(item(Item.MESSAGE, "", ""), Item.MESSAGE, all.content());
        }
        for (ChoiceText.Call call : all.calls()) {
            fill(item(Item.CALL, call.id(), call.name()), Item.CALL, call.arguments());
        }
        return finished(ends.getFirst());
    }

    /// A new item at the end of the output, still empty.
    private ObjectNode item(Item kind, String callId, String name) {
        ObjectNode item = output.addObject();
        String id = header.id().substring(header.id().indexOf('_')) + "_" + output.size();
        switch (kind) {
            case REASONING -> {
                item.put("id", "rs" + id).put("type", "reasoning").putArray("summary");
                item.putArray("content");
            }
            case MESSAGE ->
                    item.put("id", "msg" + id)
                            .put("type", "message")
                            .put("status", "in_progress")
                            .put("role", "assistant")
                            .putArray("content");
            case CALL ->
                    item.put("id", "fc" + id)
                            .put("type", "function_call")
                            .put("status", "in_progress")
                            .put("call_id", callId)
                            .put("name", name)
                            .put("arguments", "");
            case NONE -> throw new IllegalArgumentException("no item");
        }
        return item;
    }

    private void fill(ObjectNode item, Item kind, String whole) {
        switch (kind) {
            case REASONING ->
                    item.withArray("content")
                            .addObject()
                            .put("type", "reasoning_text")
                            .put("text", whole);
            case MESSAGE -> {
                item.put("status", "completed").withArray("content").add(textPart(whole));
            }
            case CALL -> item.put("status", "completed").put("arguments", whole);
            case NONE -> throw new IllegalArgumentException("no item");
        }
    }

    private ObjectNode textPart(String whole) {
        ObjectNode part = json.object().put("type", "output_text").put("text", whole);
        part.putArray("annotations");
        return part;
    }

    private ObjectNode response(String status) {
        ObjectNode response =
                json.object()
                        .put("id", header.id())
                        .put("object", "response")
                        .put("created_at", header.createdSeconds())
                        .put("status", status)
                        .put("model", header.model());
        response.putNull("error").putNull("incomplete_details");
        response.set("output", output.deepCopy());
        response.setAll(echoed);
        return response;
    }

    /// The response at its end, which is stored if that is wanted.
    private ObjectNode finished(GenerationEvent.Finished end) {
        boolean cut = end.reason() == FinishReason.LENGTH;
        ObjectNode response = response(cut ? "incomplete" : "completed");
        if (cut) {
            response.putObject("incomplete_details").put("reason", "max_output_tokens");
        }
        response.set("usage", usage(end.stats()));
        if (store.isPresent()) {
            ArrayNode conversation = messages.deepCopy();
            conversation.add(turn());
            long size = json.write(response).length() + (long) json.write(conversation).length();
            store.get()
                    .put(
                            header.id(),
                            new ResponseStore.Conversation(response.deepCopy(), conversation),
                            size);
        }
        return response;
    }

    /// The answer as a message of a chat completion.
    private ObjectNode turn() {
        ObjectNode turn = json.object().put("role", "assistant").put("content", "");
        for (var item : output) {
            switch (item.path("type").asText()) {
                case "reasoning" ->
                        turn.put("reasoning_content", item.at("/content/0/text").asText());
                case "message" ->
                        turn.put(
                                "content",
                                turn.path("content").asText()
                                        + item.at("/content/0/text").asText());
                default -> {
                    ObjectNode call =
                            turn.withArray("tool_calls")
                                    .addObject()
                                    .put("id", item.path("call_id").asText())
                                    .put("type", "function");
                    call.putObject("function")
                            .put("name", item.path("name").asText())
                            .put("arguments", item.path("arguments").asText());
                }
            }
        }
        return turn;
    }

    private ObjectNode usage(GenerationStats stats) {
        ObjectNode usage =
                json.object()
                        .put("input_tokens", stats.promptTokens())
                        .put("output_tokens", stats.outputTokens())
                        .put("total_tokens", stats.promptTokens() + stats.outputTokens());
        usage.putObject("input_tokens_details").put("cached_tokens", stats.cachedTokens());
        usage.putObject("output_tokens_details").put("reasoning_tokens", stats.reasoningTokens());
        return usage;
    }

    @Override
    public String begin(int choice) {
        return event("response.created", withResponse(response("in_progress")))
                + event("response.in_progress", withResponse(response("in_progress")));
    }

    private ObjectNode withResponse(ObjectNode response) {
        ObjectNode event = json.object();
        event.set("response", response);
        return event;
    }

    @Override
    public String output(int choice, GenerationEvent.Output more) {
        StringBuilder events = new StringBuilder();
        for (OutputDelta delta : more.deltas()) {
            switch (delta) {
                case OutputDelta.Reasoning(var piece) -> add(Item.REASONING, piece, events);
                case OutputDelta.Content(var piece) -> add(Item.MESSAGE, piece, events);
                case OutputDelta.CallStarted(int _, var id, var name) ->
                        openItem(Item.CALL, id, name, events);
                case OutputDelta.Arguments(int _, var piece) -> add(Item.CALL, piece, events);
                case OutputDelta.CallEnded(int _, var arguments) -> {
                    text.setLength(0); // a parameter that came twice is once in the whole
                    text.append(arguments);
                    closeItem(events);
                }
            }
        }
        return events.toString();
    }

    private void add(Item kind, String piece, StringBuilder events) {
        if (open != kind) {
            openItem(kind, "", "", events);
        }
        text.append(piece);
        String type =
                switch (kind) {
                    case REASONING -> "response.reasoning_text.delta";
                    case MESSAGE -> "response.output_text.delta";
                    default -> "response.function_call_arguments.delta";
                };
        ObjectNode delta = about(kind).put("delta", piece);
        if (kind == Item.MESSAGE) {
            delta.putArray("logprobs");
        }
        events.append(event(type, delta));
    }

    /// An event about the open item; that of texts names its part, too.
    private ObjectNode about(Item kind) {
        ObjectNode event =
                json.object()
                        .put("item_id", current().path("id").asText())
                        .put("output_index", output.size() - 1);
        return kind == Item.CALL ? event : event.put("content_index", 0);
    }

    private ObjectNode current() {
        return (ObjectNode) output.get(output.size() - 1);
    }

    private void openItem(Item kind, String callId, String name, StringBuilder events) {
        closeItem(events);
        open = kind;
        ObjectNode item = item(kind, callId, name);
        events.append(event("response.output_item.added", withItem(item)));
        if (kind == Item.MESSAGE) {
            ObjectNode added = about(kind);
            added.set("part", textPart(""));
            events.append(event("response.content_part.added", added));
        }
    }

    private ObjectNode withItem(ObjectNode item) {
        ObjectNode event = json.object().put("output_index", output.size() - 1);
        event.set("item", item.deepCopy());
        return event;
    }

    private void closeItem(StringBuilder events) {
        if (open == Item.NONE) {
            return;
        }
        String whole = text.toString();
        fill(current(), open, whole);
        switch (open) {
            case REASONING ->
                    events.append(
                            event("response.reasoning_text.done", about(open).put("text", whole)));
            case MESSAGE -> {
                ObjectNode done = about(open).put("text", whole);
                done.putArray("logprobs");
                events.append(event("response.output_text.done", done));
                ObjectNode part = about(open);
                part.set("part", textPart(whole));
                events.append(event("response.content_part.done", part));
            }
            default ->
                    events.append(
                            event(
                                    "response.function_call_arguments.done",
                                    about(open)
                                            .put("name", current().path("name").asText())
                                            .put("arguments", whole)));
        }
        events.append(event("response.output_item.done", withItem(current())));
        open = Item.NONE;
        text.setLength(0);
    }

    @Override
    public String end(int choice, GenerationEvent.Finished finished) {
        StringBuilder events = new StringBuilder();
        closeItem(events);
        ObjectNode response = finished(finished);
        String type = "response." + response.path("status").asText();
        return events.append(event(type, withResponse(response))).toString();
    }

    @Override
    public String complete(List<GenerationEvent.Finished> ends) {
        return "";
    }

    @Override
    public String failed(Failure failure) {
        ObjectNode error = json.object();
        error.put("code", failure.code().name().toLowerCase(Locale.ROOT));
        error.put("message", failure.message()).putNull("param");
        return event("error", error);
    }

    /// A comment: clients ignore it.
    @Override
    public String heartbeat() {
        return ": waiting\n\n";
    }

    private String event(String type, ObjectNode data) {
        data.put("type", type).put("sequence_number", sequenceNumber++);
        return "event: " + type + "\ndata: " + json.write(data) + "\n\n";
    }
}
