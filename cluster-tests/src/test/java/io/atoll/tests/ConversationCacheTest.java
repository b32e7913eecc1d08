package io.atoll.tests;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.atoll.cli.roles.Serving;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Path;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/// The next turn of a conversation, over HTTP: it goes on from what the turn before has left, says so in `cached_tokens`, and is
/// answered as a server answers that has seen nothing of it.
class ConversationCacheTest {
    private static final Path MODEL = Path.of(System.getProperty("atoll.root"), "demo-model");
    private static final ObjectMapper JSON = new ObjectMapper();

    /// Most tokens that only the end of a prompt has: the beginning of an answer, which the next turn may render otherwise.
    private static final int GENERATION_PROMPT = 12;

    private static Serving warm;
    private static Serving cold;
    private static HttpClient client;

    @BeforeAll
    static void serve() throws Exception {
        warm = Serving.onLoopback(MODEL);
        cold = Serving.onLoopback(MODEL);
        client = HttpClient.newHttpClient();
    }

    @AfterAll
    static void stop() {
        client.close();
        warm.close();
        cold.close();
    }

    @Test
    void theTurnAfterAToolCallGoesOnFromIt() throws Exception {
        ObjectNode request = request("What is the weather in Paris?", false);
        request.putArray("tools")
                .add(
                        JSON.readTree(
                                """
                                {"type": "function", "function": {"name": "get_weather",
                                 "description": "Current weather of a city", "parameters": {"type": "object",
                                 "properties": {"city": {"type": "string"}}, "required": ["city"]}}}\
                                """));
        request.put("tool_choice", "required");
        JsonNode first = post(warm, request);
        JsonNode message = first.at("/choices/0/message");
        assertEquals("tool_calls", first.at("/choices/0/finish_reason").textValue());

        ArrayNode messages = (ArrayNode) request.get("messages");
        messages.add(message);
        messages.addObject()
                .put("role", "tool")
                .put("tool_call_id", message.at("/tool_calls/0/id").textValue())
                .put("content", "sunny, 21 degrees");
        request.put("tool_choice", "auto");
        JsonNode second = secondTurn(request);
        assertTrue(cached(second) >= promptTokens(first) - GENERATION_PROMPT, second::toString);
    }

    /// The template strips earlier reasoning, and the empty one of an answer without.
    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    void aTurnAfterStrippedReasoningGoesOnFromTheLastStablePoint(boolean thinking)
            throws Exception {
        ObjectNode request =
                request(thinking ? "Say hello in Spanish." : "Say hello in French.", thinking);
        JsonNode first = post(warm, request);
        JsonNode message = first.at("/choices/0/message");
        assertEquals(thinking, message.hasNonNull("reasoning_content"), first::toString);

        ArrayNode messages = (ArrayNode) request.get("messages");
        messages.addObject()
                .put("role", "assistant")
                .put("content", message.get("content").textValue());
        messages.addObject().put("role", "user").put("content", "And in Korean?");
        JsonNode second = secondTurn(request);
        assertTrue(cached(second) >= promptTokens(first) - GENERATION_PROMPT, second::toString);
        assertTrue(cached(second) < promptTokens(first), second::toString);
    }

    /// The answer of the server that has seen the first turn, which must be that of the other.
    private static JsonNode secondTurn(ObjectNode request) throws Exception {
        JsonNode unseen = post(cold, request);
        assertEquals(0, cached(unseen));
        JsonNode seen = post(warm, request);
        assertEquals(content(unseen), content(seen));
        assertEquals(promptTokens(unseen), promptTokens(seen));
        return seen;
    }

    /// All of an answer but its ids.
    private static JsonNode content(JsonNode answer) {
        ObjectNode choice = answer.at("/choices/0").deepCopy();
        choice.at("/message/tool_calls").forEach(call -> ((ObjectNode) call).remove("id"));
        return choice;
    }

    private static int cached(JsonNode answer) {
        return answer.at("/usage/prompt_tokens_details/cached_tokens").intValue();
    }

    private static int promptTokens(JsonNode answer) {
        return answer.at("/usage/prompt_tokens").intValue();
    }

    private static ObjectNode request(String question, boolean thinking) {
        ObjectNode request = JSON.createObjectNode();
        request.put("temperature", 0).put("max_tokens", 80).put("logprobs", true);
        request.putObject("chat_template_kwargs").put("enable_thinking", thinking);
        request.putArray("messages").addObject().put("role", "user").put("content", question);
        return request;
    }

    private static JsonNode post(Serving server, ObjectNode request) throws Exception {
        HttpResponse<String> answer =
                client.send(
                        HttpRequest.newBuilder(URI.create(server.url() + "/v1/chat/completions"))
                                .header("Content-Type", "application/json")
                                .POST(HttpRequest.BodyPublishers.ofString(request.toString()))
                                .build(),
                        HttpResponse.BodyHandlers.ofString());
        assertEquals(200, answer.statusCode(), answer::body);
        return JSON.readTree(answer.body());
    }
}
