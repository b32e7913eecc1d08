package io.atoll.model.chat;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.util.ArrayList;
import java.util.List;

/// All deltas of one output, joined.
///
/// @param content what stands before the first call
/// @param after content behind it
record ParsedOutput(String reasoning, String content, String after, List<Call> calls) {
    static final JsonMapper JSON =
            JsonMapper.builder()
                    .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
                    .enable(DeserializationFeature.USE_BIG_DECIMAL_FOR_FLOATS)
                    .build();

    /// @param text the fragments, joined
    record Call(String name, String text) {
        JsonNode arguments() {
            return json(text);
        }
    }

    static JsonNode json(String text) {
        try {
            return JSON.readTree(text);
        } catch (JsonProcessingException e) {
            throw new AssertionError("not JSON: " + text, e);
        }
    }

    static ParsedOutput parse(boolean thinking, ToolDefinitions tools, Iterable<String> pieces) {
        OutputParser parser = new OutputParser(thinking, tools, () -> "call_x");
        Collector collector = new Collector();
        for (String piece : pieces) {
            collector.add(parser.feed(piece));
        }
        collector.add(parser.finish());
        return collector.result();
    }

    static ParsedOutput parse(boolean thinking, ToolDefinitions tools, String... pieces) {
        return parse(thinking, tools, List.of(pieces));
    }

    /// Joins deltas and checks what holds for any of them.
    static final class Collector {
        private final StringBuilder reasoning = new StringBuilder();
        private final StringBuilder content = new StringBuilder();
        private final StringBuilder after = new StringBuilder();
        private final List<Call> calls = new ArrayList<>();
        private String openName;
        private StringBuilder arguments;

        void add(List<OutputDelta> deltas) {
            for (OutputDelta delta : deltas) {
                switch (delta) {
                    case OutputDelta.Reasoning(var text) -> {
                        assertFalse(text.isEmpty(), "an empty delta");
                        assertEquals("", content.toString(), "reasoning after content");
                        assertTrue(calls.isEmpty() && arguments == null, "reasoning after a call");
                        reasoning.append(text);
                    }
                    case OutputDelta.Content(var text) -> {
                        assertFalse(text.isEmpty(), "an empty delta");
                        assertEquals(null, arguments, "content inside a call");
                        (calls.isEmpty() ? content : after).append(text);
                    }
                    case OutputDelta.CallStarted(int index, var id, var name) -> {
                        assertEquals(calls.size(), index);
                        assertEquals("call_x", id);
                        assertEquals(null, arguments, "a call inside a call");
                        openName = name;
                        arguments = new StringBuilder();
                    }
                    case OutputDelta.Arguments(int index, var text) -> {
                        assertFalse(text.isEmpty(), "an empty delta");
                        assertEquals(calls.size(), index);
                        arguments.append(text);
                    }
                    case OutputDelta.CallEnded(int index, var whole) -> {
                        assertEquals(calls.size(), index);
                        assertEquals(json(whole), json(arguments.toString()));
                        calls.add(new Call(openName, arguments.toString()));
                        arguments = null;
                    }
                }
            }
        }

        ParsedOutput result() {
            assertEquals(null, arguments, "a call without an end");
            return new ParsedOutput(
                    reasoning.toString(), content.toString(), after.toString(), calls);
        }
    }
}
