package io.atoll.coordinator.http;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.atoll.coordinator.TestCoordinator.Reply;
import io.atoll.coordinator.TestModel;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

/// The golden conversations and tool calls of the model module, through the API: requests come in, answers go out, token by token.
final class GoldenApiTest extends ApiTest {
    private static final ObjectMapper JSON = new ObjectMapper();

    private static JsonNode golden(String file) throws IOException {
        Path path =
                Path.of(
                        System.getProperty("atoll.root"),
                        "model/src/test/resources/io/atoll/model/chat",
                        file);
        return JSON.readTree(Files.readString(path));
    }

    private Reply post(String path, ObjectNode body) throws Exception {
        // The coordinator of tests takes apostrophes for quotes.
        return coordinator.post(path, body.toString().replace("'", "\\u0027"));
    }

    @Test
    void toolCallsAreReadWhateverTheModelWrites() throws Exception {
        JsonNode golden = golden("toolcalls.json");
        int compared = 0;
        for (JsonNode testCase : golden.path("cases")) {
            String text = testCase.path("text").textValue();
            int[] tokens = TestModel.tokens(text);
            if (!TestModel.model().tokenizer().decode(tokens, true).equals(text)) {
                continue; // a text that no model writes: its characters are not in the normal form
            }
            compared++;
            ObjectNode request = request(testCase);
            if (testCase.path("tools_given").booleanValue()) {
                request.set("tools", golden.path("tools"));
            }
            String where = "case " + testCase.path("id");
            say(text, text);
            JsonNode whole = JSON.readTree(post(CHAT, request).body()).at("/choices/0/message");
            compare(where, testCase.path("expected"), whole);
            request.put("stream", true);
            assertEquals(
                    withoutIds(whole), withoutIds(joined(post(CHAT, request).events())), where);
        }
        assertTrue(compared > golden.path("cases").size() * 3 / 4, "compared: " + compared);
    }

    private static ObjectNode request(JsonNode testCase) {
        ObjectNode request = JSON.createObjectNode().put("max_tokens", 3000);
        request.putArray("messages").addObject().put("role", "user").put("content", "Hi");
        request.putObject("chat_template_kwargs")
                .put("enable_thinking", testCase.path("thinking").booleanValue());
        return request;
    }

    private static void compare(String where, JsonNode expected, JsonNode message)
            throws IOException {
        assertEquals(
                expected.path("reasoning").asText("").strip(),
                message.path("reasoning_content").asText("").strip(),
                where);
        assertEquals(
                squeezed(text(expected, "content") + text(expected, "text_after_first_call")),
                squeezed(text(message, "content")),
                where);
        JsonNode calls = message.path("tool_calls");
        assertEquals(expected.path("calls").size(), calls.size(), where);
        for (int i = 0; i < calls.size(); i++) {
            JsonNode wanted = expected.path("calls").path(i);
            JsonNode function = calls.path(i).path("function");
            assertEquals(wanted.path("name"), function.path("name"), where);
            JsonNode arguments = JSON.readTree(function.path("arguments").textValue());
            assertTrue(same(wanted.path("arguments"), arguments), where + ": " + arguments);
        }
    }

    private static String text(JsonNode node, String field) {
        return node.path(field).isTextual() ? node.path(field).textValue() : "";
    }

    /// The golden texts say nothing of the white space around calls.
    private static String squeezed(String text) {
        return text.replaceAll("\\s+", "");
    }

    /// 3 and 3.0 are equal.
    private static boolean same(JsonNode expected, JsonNode found) {
        return expected.equals(
                (left, right) ->
                        left.isNumber() && right.isNumber()
                                ? left.decimalValue().compareTo(right.decimalValue())
                                : left.equals(right) ? 0 : 1,
                found);
    }

    /// A streamed answer as the message it adds up to.
    private static JsonNode joined(List<JsonNode> chunks) throws IOException {
        StringBuilder content = new StringBuilder();
        StringBuilder reasoning = new StringBuilder();
        List<ObjectNode> calls = new ArrayList<>();
        List<StringBuilder> arguments = new ArrayList<>();
        for (JsonNode chunk : chunks) {
            JsonNode delta = chunk.at("/choices/0/delta");
            content.append(delta.path("content").asText(""));
            reasoning.append(delta.path("reasoning_content").asText(""));
            for (JsonNode call : delta.path("tool_calls")) {
                if (call.has("id")) {
                    calls.add(call.deepCopy());
                    arguments.add(new StringBuilder());
                }
                arguments
                        .get(call.path("index").intValue())
                        .append(call.at("/function/arguments").asText());
            }
        }
        ObjectNode message = JSON.createObjectNode().put("role", "assistant");
        message.put("content", content.isEmpty() && !calls.isEmpty() ? null : content.toString());
        if (!reasoning.isEmpty()) {
            message.put("reasoning_content", reasoning.toString());
        }
        for (int i = 0; i < calls.size(); i++) {
            ObjectNode call = calls.get(i);
            call.remove("index");
            // A parameter that came twice is once in the whole.
            String once = JSON.writeValueAsString(JSON.readTree(arguments.get(i).toString()));
            ((ObjectNode) call.path("function")).put("arguments", once);
            message.withArray("tool_calls").add(call);
        }
        return message;
    }

    private static JsonNode withoutIds(JsonNode message) throws IOException {
        JsonNode copy = message.deepCopy();
        for (JsonNode call : copy.path("tool_calls")) {
            ((ObjectNode) call).remove("id");
            ObjectNode function = (ObjectNode) call.path("function");
            function.set("arguments", JSON.readTree(function.path("arguments").textValue()));
        }
        return copy;
    }

    /// The prompts that `/tokenize` shows. What the API itself refuses does not get to the template.
    @Test
    void conversationsAreRenderedAsTheReferenceRendersThem() throws Exception {
        int compared = 0;
        int all = 0;
        for (JsonNode conversation : golden("chat.json").path("cases")) {
            JsonNode expected = conversation.path("demo");
            if (!expected.has("text")) {
                continue;
            }
            all++;
            ObjectNode request = JSON.createObjectNode();
            request.set("messages", conversation.path("messages").deepCopy());
            for (JsonNode message : request.path("messages")) {
                for (JsonNode call : message.path("tool_calls")) {
                    if (call.path("function") instanceof ObjectNode function
                            && function.path("arguments").isObject()) {
                        function.put("arguments", function.path("arguments").toString());
                    }
                }
            }
            if (conversation.has("tools")) {
                request.set("tools", conversation.path("tools"));
            }
            if (conversation.has("options")) {
                request.set("chat_template_kwargs", conversation.path("options"));
            }
            Reply reply = post("/tokenize", request);
            if (reply.status() == 200) {
                compared++;
                assertEquals(
                        expected.path("text").textValue(),
                        reply.json().path("prompt").textValue(),
                        "case " + conversation.path("id"));
            } else {
                assertEquals(400, reply.status(), reply.body());
            }
        }
        assertTrue(compared > all * 3 / 4, "compared: " + compared + " of " + all);
    }
}
