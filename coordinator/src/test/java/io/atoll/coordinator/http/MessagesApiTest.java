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

/// Anthropic's `/v1/messages`.
final class MessagesApiTest extends ApiTest {
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final String MESSAGES = "/v1/messages";
    private static final String HI =
            "{'max_tokens': 200, 'messages': [{'role': 'user', 'content': 'Hi'}]";
    private static final String TOOLS =
            ", 'tools': [{'name': 'add', 'description': 'Adds.', 'input_schema': {'type': 'object',"
                    + " 'properties': {'a': {'type': 'integer'}}}}]";
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

    private record Event(String name, JsonNode data) {}

    private List<Event> events(String openBody) throws Exception {
        Reply reply = coordinator.post(MESSAGES, openBody + ", 'stream': true}");
        assertEquals(200, reply.status(), reply.body());
        List<Event> events = new ArrayList<>();
        for (String event : reply.body().split("\n\n", -1)) {
            if (!event.isEmpty()) {
                String[] lines = event.split("\n", 2);
                assertTrue(lines[0].startsWith("event: "), event);
                JsonNode data = JSON.readTree(lines[1].substring("data: ".length()));
                assertEquals(lines[0].substring("event: ".length()), data.path("type").asText());
                if (!data.path("type").asText().equals("ping")) {
                    events.add(new Event(data.path("type").asText(), data));
                }
            }
        }
        return events;
    }

    @Test
    void answerIsAMessageOfBlocks() throws Exception {
        say("Hello.");
        JsonNode message = answer(MESSAGES, HI + "}");
        assertEquals("message", message.path("type").asText());
        assertTrue(message.path("id").asText().startsWith("msg_"));
        assertEquals("assistant", message.path("role").asText());
        assertEquals(1, message.path("content").size());
        assertEquals("text", message.at("/content/0/type").asText());
        assertEquals("Hello.", message.at("/content/0/text").asText());
        assertEquals("end_turn", message.path("stop_reason").asText());
        assertTrue(message.path("stop_sequence").isNull());
        assertTrue(message.at("/usage/input_tokens").intValue() > 0);
        assertTrue(message.at("/usage/output_tokens").intValue() > 0);
        assertTrue(prompt(1).endsWith("<think>\n\n</think>\n\n"), prompt(1));
    }

    @Test
    void thinkingIsABlockOfItsOwn() throws Exception {
        say("Let me see.\n</think>\n\nYes.");
        JsonNode message =
                answer(MESSAGES, HI + ", 'thinking': {'type': 'enabled', 'budget_tokens': 1024}}");
        assertEquals("thinking", message.at("/content/0/type").asText());
        assertEquals("Let me see.", message.at("/content/0/thinking").asText());
        assertEquals("Yes.", message.at("/content/1/text").asText());
    }

    @Test
    void callsAreToolUse() throws Exception {
        say("I will add.\n\n" + ADD);
        JsonNode message = answer(MESSAGES, HI + TOOLS + "}");
        assertEquals("tool_use", message.path("stop_reason").asText());
        JsonNode use = message.at("/content/1");
        assertEquals("tool_use", use.path("type").asText());
        assertEquals("add", use.path("name").asText());
        assertEquals(JSON.readTree("{\"a\": 1}"), use.path("input"));
    }

    @Test
    void limitAndStopSequenceAreSaid() throws Exception {
        say("One two three.", "One two three.");
        JsonNode stopped = answer(MESSAGES, HI + ", 'stop_sequences': ['nine', 'two']}");
        assertEquals("stop_sequence", stopped.path("stop_reason").asText());
        assertEquals("two", stopped.path("stop_sequence").asText());
        assertEquals("One ", stopped.at("/content/0/text").asText());
        JsonNode cut = answer(MESSAGES, HI.replace("200", "2") + "}");
        assertEquals("max_tokens", cut.path("stop_reason").asText());
    }

    @Test
    void streamOpensAndClosesBlocksInOrder() throws Exception {
        say("Hm.\n</think>\n\nI will add.\n\n" + ADD);
        List<Event> events = events(HI + TOOLS + ", 'thinking': {'type': 'adaptive'}");
        assertEquals("message_start", events.getFirst().name);
        assertEquals("message_stop", events.getLast().name);
        List<String> blocks = new ArrayList<>();
        List<StringBuilder> texts = new ArrayList<>();
        int open = -1;
        for (Event event : events.subList(1, events.size() - 2)) {
            int index = event.data.path("index").intValue();
            switch (event.name) {
                case "content_block_start" -> {
                    assertEquals(-1, open);
                    assertEquals(blocks.size(), index);
                    blocks.add(event.data.at("/content_block/type").asText());
                    texts.add(new StringBuilder());
                    open = index;
                }
                case "content_block_delta" -> {
                    assertEquals(open, index);
                    JsonNode delta = event.data.path("delta");
                    for (String field : List.of("thinking", "text", "partial_json")) {
                        texts.get(index).append(delta.path(field).asText(""));
                    }
                }
                case "content_block_stop" -> {
                    assertEquals(open, index);
                    open = -1;
                }
                default -> throw new AssertionError(event);
            }
        }
        assertEquals(-1, open);
        assertEquals(List.of("thinking", "text", "tool_use"), blocks);
        assertEquals("Hm.", texts.get(0).toString());
        assertEquals("I will add.", texts.get(1).toString().strip());
        assertEquals(JSON.readTree("{\"a\": 1}"), JSON.readTree(texts.get(2).toString()));
        JsonNode last = events.get(events.size() - 2).data;
        assertEquals("message_delta", last.path("type").asText());
        assertEquals("tool_use", last.at("/delta/stop_reason").asText());
        assertTrue(last.at("/usage/output_tokens").intValue() > 0);
    }

    /// The model reads the same as if the conversation had come as a chat completion.
    @Test
    void conversationIsTheSameOneAsAChatCompletions() throws Exception {
        say("Two.", "Two.");
        answer(
                MESSAGES,
                "{'max_tokens': 20, 'system': [{'type': 'text', 'text': 'Be brief.'}], 'messages':"
                        + " [{'role': 'user', 'content': 'Add.'}, {'role': 'assistant', 'content':"
                        + " [{'type': 'thinking', 'thinking': 'Add it.', 'signature': ''}, {'type':"
                        + " 'text', 'text': 'I add.'}, {'type': 'tool_use', 'id': 'c1', 'name':"
                        + " 'add', 'input': {'a': 1}}]}, {'role': 'user', 'content': [{'type':"
                        + " 'tool_result', 'tool_use_id': 'c1', 'content': [{'type': 'text',"
                        + " 'text': '2'}]}, {'type': 'text', 'text': 'So?'}]}]"
                        + TOOLS
                        + "}");
        answer(
                CHAT,
                "{'max_tokens': 20, 'chat_template_kwargs': {'enable_thinking': false}, 'messages':"
                        + " [{'role': 'system', 'content': 'Be brief.'}, {'role': 'user',"
                        + " 'content': 'Add.'}, {'role': 'assistant', 'content': 'I add.',"
                        + " 'reasoning_content': 'Add it.', 'tool_calls': [{'id': 'c1', 'type':"
                        + " 'function', 'function': {'name': 'add', 'arguments': '{\\\"a\\\":"
                        + " 1}'}}]}, {'role': 'tool', 'tool_call_id': 'c1', 'content': '2'},"
                        + " {'role': 'user', 'content': 'So?'}], 'tools': [{'type': 'function',"
                        + " 'function': {'name': 'add', 'description': 'Adds.', 'parameters':"
                        + " {'type': 'object', 'properties': {'a': {'type': 'integer'}}}}}]}");
        assertEquals(prompt(2), prompt(1));
    }

    @Test
    void tokensAreCountedWithoutAnAnswer() throws Exception {
        JsonNode counted = answer(MESSAGES + "/count_tokens", HI + "}");
        say("Hello.");
        JsonNode message = answer(MESSAGES, HI + "}");
        assertEquals(
                message.at("/usage/input_tokens").intValue(),
                counted.path("input_tokens").intValue());
    }

    @Test
    void forcedCallsAreConstrained() throws Exception {
        say(ADD, ADD);
        answer(MESSAGES, HI + TOOLS + ", 'tool_choice': {'type': 'any'}}");
        assertTrue(coordinator.worker().options(1).constraint().isPresent());
        answer(MESSAGES, HI + TOOLS + ", 'tool_choice': {'type': 'tool', 'name': 'add'}}");
        assertTrue(coordinator.worker().options(2).constraint().isPresent());
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            quoteCharacter = '"',
            value = {
                "{'messages': [{'role': 'user', 'content': 'Hi'}]} | max_tokens is missing",
                "{'max_tokens': 5} | messages is missing",
                "{'max_tokens': 5, 'messages': []} | messages must not be empty",
                "{'max_tokens': 5, 'messages': [{'role': 'tool', 'content': 'x'}]} |"
                        + " messages[0].role must be user or assistant: tool",
                "{'max_tokens': 5, 'messages': [{'role': 'user', 'content': [{'type': 'image'}]}]}"
                        + " | messages[0].content[0].type other than text is not supported yet:"
                        + " image",
                "{'max_tokens': 5, 'messages': [{'role': 'assistant', 'content': 'x'}]} |"
                        + " messages[0] must be the user's: an assistant's turn is not continued"
                        + " here",
                "{'max_tokens': 5, 'thinking': {'type': 'hard'}, 'messages': []} | thinking.type"
                        + " must be enabled, adaptive or disabled: hard",
                "{'max_tokens': 5, 'stop_sequences': 'x', 'messages': []} | stop_sequences must be"
                        + " an array, not a string",
                "{'max_tokens': 5, 'tools': [{'name': 'f'}], 'messages': []} |"
                        + " tools[0].input_schema is missing",
                "{'max_tokens': 5, 'tools': [{'type': 'bash_1', 'name': 'f'}], 'messages': []} |"
                        + " tools[0].type other than custom is not supported: bash_1",
                "{'max_tokens': 5, 'tool_choice': {'type': 'x'}, 'messages': []} |"
                        + " tool_choice.type must be auto, any, tool or none: x",
            })
    void badRequestIsRefusedInThisApisShape(String body, String message) throws Exception {
        Reply reply = coordinator.post(MESSAGES, body);
        assertEquals(400, reply.status(), reply.body());
        JsonNode error = reply.json();
        assertEquals("error", error.path("type").asText());
        assertEquals("invalid_request_error", error.at("/error/type").asText());
        assertEquals(message, error.at("/error/message").asText());
    }

    @Test
    void otherErrorsHaveTheirTypes() throws Exception {
        Reply model = coordinator.post(MESSAGES, HI + ", 'model': 'other'}");
        assertEquals(404, model.status());
        assertEquals("not_found_error", model.json().at("/error/type").asText());
        Reply route = coordinator.post(MESSAGES + "/batches", "{}");
        assertEquals(404, route.status());
        assertEquals("not_found_error", route.json().at("/error/type").asText());
        Reply method = coordinator.get(MESSAGES);
        assertEquals(405, method.status());
        assertEquals("error", method.json().path("type").asText());
    }
}
