package io.atoll.tests;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.atoll.cli.roles.Serving;
import io.atoll.cluster.config.ClusterFile;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/// Answers over HTTP with and without speculation: texts, logprobs and finish reasons are equal, whatever a request asks for and whoever
/// runs beside it.
class SpeculatedAnswersTest {
    private static final Path MODEL = Path.of(System.getProperty("atoll.root"), "demo-model");
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final List<String> REQUESTS =
            List.of(
                    "{'temperature': 0, 'max_tokens': 60, 'logprobs': true, 'top_logprobs': 3}",
                    "{'temperature': 0.8, 'seed': 3, 'max_tokens': 60, 'logprobs': true}",
                    "{'temperature': 1.2, 'seed': 4, 'top_p': 0.9, 'top_k': 30, 'max_tokens': 50}",
                    "{'temperature': 0.6, 'seed': 5, 'frequency_penalty': 0.7, 'presence_penalty':"
                            + " 0.4, 'repetition_penalty': 1.1, 'max_tokens': 50}",
                    "{'temperature': 0, 'stop': ['a ', 'is'], 'max_tokens': 60}",
                    "{'temperature': 0.7, 'seed': 6, 'max_tokens': 80, 'response_format': {'type':"
                        + " 'json_schema', 'json_schema': {'name': 'p', 'schema': {'type':"
                        + " 'object', 'required': ['name', 'age'], 'additionalProperties': false,"
                        + " 'properties': {'name': {'type': 'string', 'maxLength': 12}, 'age':"
                        + " {'type': 'integer', 'maximum': 99}}}}}}",
                    "{'temperature': 0, 'max_tokens': 1}",
                    "{'temperature': 0, 'max_tokens': 2}");

    @TempDir private static Path directory;

    private static HttpClient client;
    private static List<JsonNode> plain;

    @BeforeAll
    static void answerPlainly() throws Exception {
        client = HttpClient.newHttpClient();
        try (Serving serving = serve("off")) {
            plain = answers(serving, false);
            assertEquals(0, total(serving, "atoll_drafted_tokens_total"));
        }
    }

    @AfterAll
    static void close() {
        client.close();
    }

    private static Serving serve(String drafter) throws Exception {
        Path file = directory.resolve(drafter + ".yaml");
        Files.writeString(file, "attention-worker: {speculation: {drafter: '" + drafter + "'}}");
        return Serving.onLoopback(MODEL, ClusterFile.read(file));
    }

    @ParameterizedTest
    @ValueSource(strings = {"mtp", "ngram"})
    void answersAreThoseOfAPlainRun(String drafter) throws Exception {
        try (Serving serving = serve(drafter)) {
            assertEquals(plain, answers(serving, false));
            assertEquals(plain, answers(serving, true), "together");
            if (drafter.equals("mtp")) {
                assertTrue(total(serving, "atoll_drafted_tokens_total") > 0);
                assertTrue(total(serving, "atoll_accepted_tokens_total") > 0);
            }
        }
    }

    private static List<JsonNode> answers(Serving serving, boolean together) throws Exception {
        List<CompletableFuture<HttpResponse<String>>> sent = new ArrayList<>();
        for (String fields : REQUESTS) {
            ObjectNode request = (ObjectNode) JSON.readTree(fields.replace('\'', '"'));
            request.putArray("messages")
                    .addObject()
                    .put("role", "user")
                    .put("content", "What is the capital of France?");
            CompletableFuture<HttpResponse<String>> answer =
                    client.sendAsync(
                            HttpRequest.newBuilder(
                                            URI.create(serving.url() + "/v1/chat/completions"))
                                    .header("Content-Type", "application/json")
                                    .POST(HttpRequest.BodyPublishers.ofString(request.toString()))
                                    .build(),
                            HttpResponse.BodyHandlers.ofString());
            if (!together) {
                answer.join();
            }
            sent.add(answer);
        }
        List<JsonNode> choices = new ArrayList<>();
        for (CompletableFuture<HttpResponse<String>> each : sent) {
            HttpResponse<String> answer = each.get();
            assertEquals(200, answer.statusCode(), answer::body);
            ObjectNode body = (ObjectNode) JSON.readTree(answer.body());
            choices.add(body.get("choices"));
            choices.add(body.at("/usage/completion_tokens"));
        }
        return choices;
    }

    /// The sum of a metric over its labels.
    private static double total(Serving serving, String metric) throws Exception {
        String text =
                client.send(
                                HttpRequest.newBuilder(URI.create(serving.url() + "/metrics"))
                                        .build(),
                                HttpResponse.BodyHandlers.ofString())
                        .body();
        return text.lines()
                .filter(line -> line.startsWith(metric))
                .mapToDouble(line -> Double.parseDouble(line.substring(line.lastIndexOf(' '))))
                .sum();
    }
}
