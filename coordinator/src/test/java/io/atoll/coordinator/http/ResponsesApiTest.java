package io.atoll.coordinator.http;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.atoll.coordinator.TestCoordinator.Reply;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/// OpenAI's `/v1/responses`.
final class ResponsesApiTest extends ApiTest {
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final String RESPONSES = "/v1/responses";
    private static final String HI = "{'input': 'Hi', 'reasoning': {'effort': 'none'}";
    private static final String TOOLS =
            ", 'tools': [{'type': 'function', 'name': 'add', 'description': 'Adds.', 'parameters':"
                    + " {'type': 'object', 'properties': {'a': {'type': 'integer'}}}}]";
    private static final String ADD =
            """
            <tool_call>
            <function=add>
            <parameter=a>
            1
            </parameter>
            </function>
            </tool_call>\
            """;

    private List<JsonNode> events(String openBody) throws Exception {
        Reply reply = coordinator.post(RESPONSES, openBody + ", 'stream': true}");
        assertEquals(200, reply.status(), reply.body());
        List<JsonNode> events = new ArrayList<>();
        for (String event : reply.body().split("\n\n", -1)) {
            if (!event.isEmpty() && !event.startsWith(":")) {
                String[] lines = event.split("\n", 2);
                JsonNode data = JSON.readTree(lines[1].substring("data: ".length()));
                assertEquals("event: " + data.path("type").asText(), lines[0]);
                assertEquals(events.size(), data.path("sequence_number").intValue());
                events.add(data);
            }
        }
        return events;
    }

    @Test
    void answerIsAResponseOfItems() throws Exception {
        say("Hm.\n</think>\n\nI will add.\n\n" + ADD);
        JsonNode response = answer(RESPONSES, "{'input': 'Hi'" + TOOLS + "}");
        assertEquals("response", response.path("object").asText());
        assertEquals("completed", response.path("status").asText());
        assertTrue(response.path("id").asText().startsWith("resp_"));
        assertEquals("reasoning", response.at("/output/0/type").asText());
        assertEquals("Hm.", response.at("/output/0/content/0/text").asText());
        assertEquals("message", response.at("/output/1/type").asText());
        assertEquals("I will add.", response.at("/output/1/content/0/text").asText());
        assertEquals("function_call", response.at("/output/2/type").asText());
        assertEquals("add", response.at("/output/2/name").asText());
        assertEquals(
                JSON.readTree("{\"a\": 1}"),
                JSON.readTree(response.at("/output/2/arguments").asText()));
        assertTrue(response.at("/usage/output_tokens_details/reasoning_tokens").intValue() > 0);
        assertTrue(response.at("/usage/input_tokens").intValue() > 0);
    }

    @Test
    void cutAnswerIsIncomplete() throws Exception {
        say("One two three four five.");
        JsonNode response = answer(RESPONSES, HI + ", 'max_output_tokens': 2}");
        assertEquals("incomplete", response.path("status").asText());
        assertEquals("max_output_tokens", response.at("/incomplete_details/reason").asText());
    }

    /// The deltas of each item join into its end, and the items into the response.
    @Test
    void streamSaysTheSameAsTheWhole() throws Exception {
        String text = "Hm.\n</think>\n\nBoth.\n\n" + ADD + "\n" + ADD;
        say(text, text);
        JsonNode whole = answer(RESPONSES, "{'input': 'Hi'" + TOOLS + "}");
        List<JsonNode> events = events("{'input': 'Hi'" + TOOLS);
        assertEquals("response.created", events.get(0).path("type").asText());
        assertEquals("response.in_progress", events.get(1).path("type").asText());
        JsonNode end = events.getLast();
        assertEquals("response.completed", end.path("type").asText());
        StringBuilder joined = new StringBuilder();
        int done = 0;
        for (JsonNode event : events) {
            String type = event.path("type").asText();
            if (type.equals("response.output_item.added")) {
                assertEquals(done, event.path("output_index").intValue());
                joined.setLength(0);
            } else if (type.endsWith(".delta")) {
                joined.append(event.path("delta").asText());
            } else if (type.equals("response.output_item.done")) {
                JsonNode item = event.path("item");
                assertEquals(end.at("/response/output/" + done), item);
                String full =
                        item.has("arguments")
                                ? item.path("arguments").asText()
                                : item.at("/content/0/text").asText();
                if (item.has("arguments")) {
                    assertEquals(JSON.readTree(full), JSON.readTree(joined.toString()));
                } else {
                    assertEquals(full, joined.toString());
                }
                done++;
            }
        }
        assertEquals(4, done);
        JsonNode output = end.at("/response/output");
        for (int i = 0; i < 4; i++) {
            for (String field : List.of("type", "content", "arguments", "status", "name")) {
                assertEquals(whole.at("/output/" + i).path(field), output.path(i).path(field));
            }
        }
    }

    /// What follows a kept response reads as if the whole conversation had been sent, without its instructions.
    @Test
    void conversationGoesOnFromAKeptResponse() throws Exception {
        say("I add.\n\n" + ADD, "Two.", "Two.");
        JsonNode first = answer(RESPONSES, HI + TOOLS + ", 'instructions': 'Be brief.'}");
        String call = first.at("/output/1/call_id").asText();
        String output =
                "{'type': 'function_call_output', 'call_id': '" + call + "', 'output': '2'}";
        answer(
                RESPONSES,
                "{'previous_response_id': '"
                        + first.path("id").asText()
                        + "', 'reasoning': {'effort': 'none'}, 'input': ["
                        + output
                        + "]"
                        + TOOLS
                        + "}");
        answer(
                RESPONSES,
                "{'reasoning': {'effort': 'none'}, 'input': [{'role': 'user', 'content': 'Hi'},"
                        + " {'type': 'message', 'role': 'assistant', 'content': [{'type':"
                        + " 'output_text', 'text': 'I add.'}]}, {'type': 'function_call',"
                        + " 'call_id': '"
                        + call
                        + "', 'name': 'add', 'arguments': '{\\\"a\\\": 1}'}, "
                        + output
                        + "]"
                        + TOOLS
                        + "}");
        assertEquals(prompt(3), prompt(2));
        assertTrue(prompt(1).contains("Be brief."));
        assertTrue(!prompt(2).contains("Be brief."), prompt(2));
    }

    @Test
    void responseIsKeptUntilItIsDeleted() throws Exception {
        say("Hello.", "Hello.");
        JsonNode kept = answer(RESPONSES, HI + "}");
        String path = RESPONSES + "/" + kept.path("id").asText();
        assertEquals(kept, coordinator.get(path).json());
        Reply deleted = coordinator.exchange("DELETE", path, "");
        assertEquals(200, deleted.status(), deleted.body());
        assertTrue(deleted.json().path("deleted").booleanValue());
        assertEquals(404, coordinator.get(path).status());
        JsonNode unkept = answer(RESPONSES, HI + ", 'store': false}");
        String other = RESPONSES + "/" + unkept.path("id").asText();
        assertEquals(404, coordinator.get(other).status());
        assertEquals(405, coordinator.exchange("PUT", other, "").status());
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            quoteCharacter = '"',
            value = {
                "{} | input",
                "{'input': 5} | input",
                "{'input': [{'type': 'item_reference', 'id': 'x'}]} | input[0].type",
                "{'input': [{'role': 'user', 'content': [{'type': 'input_image'}]}]} |"
                        + " input[0].content[0].type",
                "{'input': [{'type': 'function_call', 'name': 'f'}]} | input[0].call_id",
                "{'input': 'a', 'background': true} | background",
                "{'input': 'a', 'conversation': 'c'} | conversation",
                "{'input': 'a', 'previous_response_id': 'resp_1'} | previous_response_id",
                "{'input': 'a', 'tools': [{'type': 'web_search'}]} | tools[0].type",
                "{'input': 'a', 'tool_choice': 'required'} | tool_choice",
                "{'input': 'a', 'max_output_tokens': 0} | max_tokens",
                "{'input': 'a', 'text': {'format': {'type': 'xml'}}} | response_format.type",
                "{'input': 'a', 'store': 'no'} | store",
            })
    void badRequestIsRefusedByName(String body, String param) throws Exception {
        Reply reply = coordinator.post(RESPONSES, body);
        assertEquals(400, reply.status(), reply.body());
        assertEquals(param, reply.json().at("/error/param").textValue());
    }

    @Test
    void formsAndForcedCallsAreConstraints() throws Exception {
        say("{}", ADD);
        answer(RESPONSES, HI + ", 'text': {'format': {'type': 'json_object'}}}");
        assertTrue(coordinator.worker().options(1).constraint().isPresent());
        answer(RESPONSES, HI + TOOLS + ", 'tool_choice': {'type': 'function', 'name': 'add'}}");
        assertTrue(coordinator.worker().options(2).constraint().isPresent());
    }
}
