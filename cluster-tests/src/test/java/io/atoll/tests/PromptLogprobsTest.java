package io.atoll.tests;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.atoll.cli.roles.Serving;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/// How likely the tokens of a prompt are, over HTTP: `echo` with `logprobs`, as evaluation harnesses ask for it.
class PromptLogprobsTest {
    private static final Path MODEL = Path.of(System.getProperty("atoll.root"), "demo-model");
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final String PROMPT = "The quick brown fox jumps over the lazy dog. ".repeat(20);

    private static Serving serving;
    private static HttpClient client;

    @BeforeAll
    static void serve() throws Exception {
        serving = Serving.onLoopback(MODEL);
        client = HttpClient.newHttpClient();
    }

    @AfterAll
    static void stop() {
        client.close();
        serving.close();
    }

    @Test
    void aTokenIsAsLikelyInAPromptAsItWasWhenItWasChosen() throws Exception {
        int[] prompt = tokens(PROMPT);
        ObjectNode generate = request(prompt).put("max_tokens", 24).put("ignore_eos", true);
        JsonNode generated = choice(post(generate), 0);
        int[] longer = tokens(PROMPT + generated.get("text").textValue());

        // The prompt's checkpoint is there now, and must not hide its tokens' scores.
        JsonNode scored =
                choice(
                        post(
                                request(longer)
                                        .put("echo", true)
                                        .put("max_tokens", 1)
                                        .put("ignore_eos", true)),
                        0);
        JsonNode scores = scored.at("/logprobs/token_logprobs");
        assertEquals(longer.length + 1, scores.size());
        assertTrue(scores.get(0).isNull() && scored.at("/logprobs/top_logprobs/0").isNull());
        JsonNode chosen = generated.at("/logprobs/token_logprobs");
        int compared = 0;
        for (int i = 0; i < chosen.size() && prompt.length + i < longer.length; i++) {
            String then = generated.at("/logprobs/tokens/" + i).textValue();
            String now = scored.at("/logprobs/tokens/" + (prompt.length + i)).textValue();
            if (!then.equals(now)) {
                break; // the text is cut into other tokens from here on
            }
            assertEquals(chosen.get(i), scores.get(prompt.length + i), "token " + i);
            assertEquals(
                    generated.at("/logprobs/top_logprobs/" + i),
                    scored.at("/logprobs/top_logprobs/" + (prompt.length + i)));
            compared++;
        }
        assertTrue(compared >= 5, "only " + compared + " tokens could be compared");
    }

    @Test
    void offsetsPointIntoTheText() throws Exception {
        JsonNode scored =
                choice(post(request(tokens(PROMPT)).put("echo", true).put("max_tokens", 3)), 0);
        String text = scored.get("text").textValue();
        JsonNode tokens = scored.at("/logprobs/tokens");
        JsonNode offsets = scored.at("/logprobs/text_offset");
        for (int i = 0; i < tokens.size(); i++) {
            String token = tokens.get(i).textValue();
            int at = offsets.get(i).intValue();
            assertEquals(token, text.substring(at, at + token.length()));
        }
    }

    @Test
    void aStreamHasTheSameScores() throws Exception {
        ObjectNode request = request(tokens(PROMPT)).put("echo", true).put("max_tokens", 3);
        JsonNode whole = choice(post(request), 0).get("logprobs");
        List<JsonNode> scores = new ArrayList<>();
        List<JsonNode> offsets = new ArrayList<>();
        for (String line : post(request.put("stream", true)).body().split("\n\n", -1)) {
            if (line.startsWith("data: {")) {
                JsonNode part = JSON.readTree(line.substring(6)).at("/choices/0/logprobs");
                part.path("token_logprobs").forEach(scores::add);
                part.path("text_offset").forEach(offsets::add);
            }
        }
        assertEquals(list(whole.get("token_logprobs")), scores);
        assertEquals(list(whole.get("text_offset")), offsets);
    }

    @Test
    void severalPromptsAreAnsweredInOrderAndCountedOnce() throws Exception {
        List<String> prompts = List.of("One two three", "The quick brown fox");
        ObjectNode several = JSON.createObjectNode();
        several.putPOJO("prompt", prompts);
        several.put("temperature", 0).put("max_tokens", 4).put("n", 2).put("echo", true);
        HttpResponse<String> answer = post(several);
        int promptTokens = 0;
        for (int i = 0; i < prompts.size(); i++) {
            ObjectNode single = several.deepCopy();
            single.put("prompt", prompts.get(i));
            HttpResponse<String> alone = post(single);
            promptTokens += JSON.readTree(alone.body()).at("/usage/prompt_tokens").intValue();
            for (int j = 0; j < 2; j++) {
                assertEquals(choice(alone, j).get("text"), choice(answer, 2 * i + j).get("text"));
            }
        }
        assertEquals(
                promptTokens, JSON.readTree(answer.body()).at("/usage/prompt_tokens").intValue());
    }

    @Test
    void tooManyAnswersAreRefused() throws Exception {
        ObjectNode many = JSON.createObjectNode().put("n", 16);
        many.putPOJO("prompt", Collections.nCopies(9, "a"));
        HttpResponse<String> answer = post(many);
        assertEquals(400, answer.statusCode());
        assertTrue(answer.body().contains("more than 128 answers"), answer.body());
    }

    private static ObjectNode request(int[] prompt) {
        ObjectNode request = JSON.createObjectNode();
        request.putPOJO("prompt", prompt);
        return request.put("temperature", 0).put("logprobs", 2);
    }

    private static int[] tokens(String text) throws Exception {
        HttpResponse<String> answer =
                send("/tokenize", JSON.createObjectNode().put("prompt", text).toString());
        return JSON.treeToValue(JSON.readTree(answer.body()).get("tokens"), int[].class);
    }

    private static HttpResponse<String> post(ObjectNode request) throws Exception {
        return send("/v1/completions", request.toString());
    }

    private static HttpResponse<String> send(String path, String body) throws Exception {
        return client.send(
                HttpRequest.newBuilder(URI.create(serving.url() + path))
                        .header("Content-Type", "application/json")
                        .POST(HttpRequest.BodyPublishers.ofString(body))
                        .build(),
                HttpResponse.BodyHandlers.ofString());
    }

    private static JsonNode choice(HttpResponse<String> answer, int index) throws Exception {
        assertEquals(200, answer.statusCode(), answer::body);
        return JSON.readTree(answer.body()).at("/choices/" + index);
    }

    private static List<JsonNode> list(JsonNode array) {
        List<JsonNode> all = new ArrayList<>();
        array.forEach(all::add);
        return all;
    }
}
