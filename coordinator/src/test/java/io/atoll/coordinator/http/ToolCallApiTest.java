package io.atoll.coordinator.http;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.atoll.coordinator.TestModel;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

/// Tool calls through the API, whole and streamed.
final class ToolCallApiTest extends ApiTest {
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final String TOOLS =
            ", 'tools': [{'type': 'function', 'function': {'name': 'add', 'parameters': {'type':"
                    + " 'object', 'properties': {'a': {'type': 'integer'}, 'note': {'type':"
                    + " 'string'}}}}}]";
    private static final String ADD =
            "<tool_call>\n<function=add>\n<parameter=a>\n1\n</parameter>\n<parameter=note>\nto be"
                    + " sure\n</parameter>\n</function>\n</tool_call>";

    @Test
    void callIsPartOfTheMessage() throws Exception {
        say("I will add.\n\n" + ADD);
        JsonNode choice = choice(answer(CHAT, HELLO + TOOLS + "}"));
        assertEquals("tool_calls", choice.path("finish_reason").asText());
        JsonNode message = choice.path("message");
        assertEquals("I will add.", message.path("content").asText());
        assertEquals(1, message.path("tool_calls").size());
        JsonNode call = message.path("tool_calls").path(0);
        assertTrue(call.path("id").asText().startsWith("call_"), call.toString());
        assertEquals("function", call.path("type").asText());
        assertEquals("add", call.path("function").path("name").asText());
        assertEquals(
                JSON.readTree("{\"a\": 1, \"note\": \"to be sure\"}"),
                JSON.readTree(call.path("function").path("arguments").textValue()));
    }

    @Test
    void contentIsNullWhereThereAreOnlyCalls() throws Exception {
        say(ADD + "\n" + ADD);
        JsonNode message = choice(answer(CHAT, HELLO + TOOLS + "}")).path("message");
        assertTrue(message.has("content") && message.path("content").isNull());
        JsonNode calls = message.path("tool_calls");
        assertEquals(2, calls.size());
        assertNotEquals(calls.path(0).path("id"), calls.path(1).path("id"));
    }

    @Test
    void streamHasAHeadThenArgumentsForEachCall() throws Exception {
        say("Both.\n" + ADD + ADD);
        List<JsonNode> chunks = stream(CHAT, HELLO + TOOLS);
        List<JsonNode> heads = new ArrayList<>();
        int fragments = 0;
        for (JsonNode chunk : chunks) {
            for (JsonNode call : choice(chunk).path("delta").path("tool_calls")) {
                if (call.has("id")) {
                    heads.add(call);
                    assertEquals("function", call.path("type").asText());
                    assertEquals("", call.path("function").path("arguments").asText("none"));
                } else {
                    fragments++;
                    assertFalse(call.path("function").has("name"), call.toString());
                    assertEquals(heads.size() - 1, call.path("index").asInt(-1));
                }
            }
        }
        assertEquals(2, heads.size());
        assertEquals(0, heads.get(0).path("index").asInt(-1));
        assertEquals(1, heads.get(1).path("index").asInt(-1));
        assertTrue(fragments >= 8, "arguments in pieces: " + fragments);
        assertEquals("tool_calls", choice(chunks.getLast()).path("finish_reason").asText());
    }

    @Test
    void answerCutInACallEndsWithLength() throws Exception {
        say(ADD);
        JsonNode choice = choice(answer(CHAT, HELLO + TOOLS + ", 'max_tokens': 20}"));
        assertEquals("length", choice.path("finish_reason").asText());
        assertEquals(1, choice.path("message").path("tool_calls").size());
    }

    @Test
    void withoutParallelCallsTheAnswerEndsWithTheFirst() throws Exception {
        say(ADD + ADD, ADD + ADD);
        String request = HELLO + TOOLS + ", 'parallel_tool_calls': false";
        JsonNode body = answer(CHAT, request + "}");
        assertEquals(1, choice(body).path("message").path("tool_calls").size());
        assertEquals("tool_calls", choice(body).path("finish_reason").asText());
        int tokens = body.path("usage").path("completion_tokens").asInt();
        assertTrue(tokens < TestModel.tokens(ADD + ADD).length, "" + tokens);
        Joined joined = Joined.of(stream(CHAT, request));
        assertEquals(1, joined.message.path("tool_calls").size());
    }

    @Test
    void markupIsContentWhereNoToolsMayBeCalled() throws Exception {
        say(ADD, ADD);
        JsonNode none = choice(answer(CHAT, HELLO + TOOLS + ", 'tool_choice': 'none'}"));
        assertEquals(ADD, none.path("message").path("content").asText());
        assertEquals("stop", none.path("finish_reason").asText());
        JsonNode without = choice(answer(CHAT, HELLO + "}"));
        assertEquals(ADD, without.path("message").path("content").asText());
    }

    /// Every case of the golden file, said by the worker.
    @Test
    void everyOutputMeansWhatTheGoldenFileSays() throws Exception {
        Path root = Path.of(System.getProperty("atoll.root"));
        JsonNode file =
                JSON.readTree(
                        root.resolve("model/src/test/resources/io/atoll/model/chat/toolcalls.json")
                                .toFile());
        int cases = 0;
        for (JsonNode testCase : file.path("cases")) {
            ObjectNode request = JSON.createObjectNode();
            request.putArray("messages").addObject().put("role", "user").put("content", "Go.");
            request.putObject("chat_template_kwargs")
                    .set("enable_thinking", testCase.get("thinking"));
            if (testCase.get("tools_given").booleanValue()) {
                request.set("tools", file.get("tools"));
            }
            String text = testCase.get("text").textValue();
            say(text, text);
            String body = request.toString();
            JsonNode whole = choice(answer(CHAT, body)).path("message");
            Joined joined = Joined.of(stream(CHAT, body.substring(0, body.length() - 1)));
            check(testCase, whole);
            check(testCase, joined.message);
            cases++;
        }
        assertEquals(87, cases);
    }

    private static void check(JsonNode testCase, JsonNode message) throws Exception {
        String note = testCase.get("id") + " " + testCase.get("note") + ": " + message;
        JsonNode expected = testCase.get("expected");
        assertEquals(text(expected, "reasoning"), text(message, "reasoning_content"), note);
        assertEquals(
                text(expected, "content") + text(expected, "text_after_first_call"),
                text(message, "content"),
                note);
        JsonNode calls = expected.get("calls");
        assertEquals(calls.size(), message.path("tool_calls").size(), note);
        for (int i = 0; i < calls.size(); i++) {
            JsonNode function = message.path("tool_calls").path(i).path("function");
            assertEquals(calls.get(i).get("name"), function.get("name"), note);
            assertTrue(
                    calls.get(i)
                            .get("arguments")
                            .equals(
                                    ToolCallApiTest::compare,
                                    JSON.readTree(function.path("arguments").textValue())),
                    note);
        }
    }

    private static String text(JsonNode object, String field) {
        return object.path(field).isTextual() ? object.path(field).textValue().strip() : "";
    }

    /// 3 and 3.0 are equal.
    private static int compare(JsonNode left, JsonNode right) {
        if (left.isNumber() && right.isNumber()) {
            return left.decimalValue().compareTo(right.decimalValue());
        }
        return left.equals(right) ? 0 : 1;
    }

    /// A message put together from chunks, as a client does it.
    private static final class Joined {
        private final ObjectNode message = JSON.createObjectNode();

        static Joined of(List<JsonNode> chunks) {
            Joined joined = new Joined();
            ArrayNode calls = joined.message.putArray("tool_calls");
            for (JsonNode chunk : chunks) {
                JsonNode delta = choice(chunk).path("delta");
                joined.append(joined.message, delta, "reasoning_content");
                joined.append(joined.message, delta, "content");
                for (JsonNode piece : delta.path("tool_calls")) {
                    int index = piece.get("index").intValue();
                    if (index == calls.size()) {
                        calls.addObject().putObject("function");
                    }
                    ObjectNode function = (ObjectNode) calls.get(index).get("function");
                    joined.append(function, piece.path("function"), "name");
                    joined.append(function, piece.path("function"), "arguments");
                }
            }
            return joined;
        }

        private void append(ObjectNode object, JsonNode delta, String field) {
            if (delta.has(field)) {
                object.put(field, object.path(field).asText("") + delta.get(field).textValue());
            }
        }
    }
}
