package io.atoll.tests;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
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
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/// Answers of the demo model that must have a form, over HTTP. At a high temperature the model itself would write nothing like it.
class StructuredOutputTest {
    private static final Path MODEL = Path.of(System.getProperty("atoll.root"), "demo-model");
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final String PERSON =
            """
            {"type": "json_schema", "json_schema": {"name": "person", "strict": true, "schema":
              {"type": "object", "required": ["name", "age", "tags"], "additionalProperties": false,
               "properties": {
                 "name": {"type": "string", "maxLength": 12},
                 "age": {"type": "integer", "minimum": 0, "maximum": 150},
                 "tags": {"type": "array", "items": {"enum": ["a", "b"]}, "maxItems": 4}}}}}\
            """;
    private static final String TOOLS =
            """
            [{"type": "function", "function": {"name": "get_weather", "parameters":
               {"type": "object", "required": ["city", "days"], "properties": {
                 "city": {"type": "string", "enum": ["Paris", "Rome"]},
                 "days": {"type": "integer", "minimum": 1, "maximum": 9}}}}},
             {"type": "function", "function": {"name": "get_time", "parameters":
               {"type": "object", "required": ["zone"], "properties": {
                 "zone": {"enum": [1, 2, 3]}}}}}]\
            """;

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

    private static ObjectNode request(long seed, double temperature, boolean thinking)
            throws Exception {
        ObjectNode request = JSON.createObjectNode();
        request.put("max_tokens", 400).put("seed", seed).put("temperature", temperature);
        request.putObject("chat_template_kwargs").put("enable_thinking", thinking);
        request.putArray("messages").addObject().put("role", "user").put("content", "Say hello.");
        return request;
    }

    private static HttpResponse<String> post(ObjectNode request) throws Exception {
        return client.send(http(request), HttpResponse.BodyHandlers.ofString());
    }

    private static HttpRequest http(ObjectNode request) {
        return HttpRequest.newBuilder(URI.create(serving.url() + "/v1/chat/completions"))
                .header("Content-Type", "application/json")
                .POST(HttpRequest.BodyPublishers.ofString(request.toString()))
                .build();
    }

    private static JsonNode choice(HttpResponse<String> answer) throws Exception {
        assertEquals(200, answer.statusCode(), answer::body);
        return JSON.readTree(answer.body()).at("/choices/0");
    }

    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void schemaIsKeptWhateverTheModelWouldRatherSay(boolean thinking) throws Exception {
        int complete = 0;
        for (int seed = 0; seed < 6; seed++) {
            ObjectNode request = request(seed, thinking ? 0.7 : 2, thinking);
            request.set("response_format", JSON.readTree(PERSON));
            JsonNode choice = choice(post(request));
            if (choice.at("/finish_reason").textValue().equals("length")) {
                continue; // cut, which the client is told
            }
            complete++;
            JsonNode person = JSON.readTree(choice.at("/message/content").textValue());
            assertEquals(Set.of("name", "age", "tags"), names(person), person::toString);
            assertTrue(person.path("name").textValue().length() <= 12, person::toString);
            assertTrue(person.path("age").isInt() && person.path("age").intValue() <= 150);
            person.path("tags").forEach(tag -> assertTrue(Set.of("a", "b").contains(tag.asText())));
        }
        assertTrue(complete >= 3, "complete answers: " + complete);
    }

    private static Set<String> names(JsonNode object) {
        Set<String> names = new TreeSet<>();
        object.fieldNames().forEachRemaining(names::add);
        return names;
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 4, 1000})
    void thinkingEndsWithinItsBudget(int budget) throws Exception {
        for (int seed = 0; seed < 4; seed++) {
            ObjectNode request = request(seed, 0.7, true).put("thinking_budget", budget);
            if (seed % 2 == 1) {
                request.putObject("structured_outputs").put("regex", "[a-z]{3,9}");
            }
            HttpResponse<String> answer = post(request);
            JsonNode choice = choice(answer);
            assertEquals("stop", choice.at("/finish_reason").textValue());
            int reasoning =
                    JSON.readTree(answer.body())
                            .at("/usage/completion_tokens_details/reasoning_tokens")
                            .intValue();
            // What closes it and the blank line behind it are four tokens at most.
            assertTrue(reasoning <= budget + 4, "tokens of reasoning: " + reasoning);
            String content = choice.at("/message/content").textValue();
            assertFalse(content.isBlank(), choice::toString);
            assertFalse(content.contains("think>"), content);
            if (seed % 2 == 1) {
                assertTrue(content.matches("[a-z]{3,9}"), content);
            }
        }
    }

    @Test
    void otherFormsAreKept() throws Exception {
        ObjectNode any = request(1, 1, false);
        any.putObject("response_format").put("type", "json_object");
        JsonNode choice = choice(post(any));
        if (!choice.at("/finish_reason").textValue().equals("length")) {
            assertTrue(JSON.readTree(choice.at("/message/content").textValue()).isObject());
        }
        ObjectNode one = request(2, 2, false);
        one.putObject("structured_outputs").putArray("choice").add("yes (1+1)").add("no");
        String answer = choice(post(one)).at("/message/content").textValue();
        assertTrue(Set.of("yes (1+1)", "no").contains(answer), answer);
        ObjectNode date = request(3, 2, false);
        date.putObject("structured_outputs").put("regex", "[12][0-9]{3}-[01][0-9]");
        answer = choice(post(date)).at("/message/content").textValue();
        assertTrue(answer.matches("[12][0-9]{3}-[01][0-9]"), answer);
    }

    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void forcedCallsAreMadeWithValidArguments(boolean thinking) throws Exception {
        Set<String> called = new TreeSet<>();
        for (int seed = 0; seed < 8; seed++) {
            ObjectNode request = request(seed, thinking ? 0.7 : 2, thinking);
            request.set("tools", JSON.readTree(TOOLS));
            if (seed < 4) {
                request.put("tool_choice", "required").put("parallel_tool_calls", false);
            } else {
                request.putObject("tool_choice")
                        .put("type", "function")
                        .putObject("function")
                        .put("name", "get_weather");
            }
            JsonNode choice = choice(post(request));
            if (choice.at("/finish_reason").textValue().equals("length")) {
                continue;
            }
            assertEquals("tool_calls", choice.at("/finish_reason").textValue());
            assertEquals(1, choice.at("/message/tool_calls").size(), choice::toString);
            JsonNode function = choice.at("/message/tool_calls/0/function");
            JsonNode arguments = JSON.readTree(function.path("arguments").textValue());
            called.add(function.path("name").textValue());
            if (function.path("name").textValue().equals("get_weather")) {
                assertTrue(Set.of("Paris", "Rome").contains(arguments.path("city").asText()));
                int days = arguments.path("days").intValue();
                assertTrue(days >= 1 && days <= 9, arguments::toString);
            } else {
                assertTrue(seed < 4, "not the one that was named");
                assertTrue(arguments.path("zone").isInt(), arguments::toString);
            }
        }
        assertTrue(called.contains("get_weather"), called::toString);
    }

    /// At such a temperature the model says nearly anything that it may say, so both come.
    @Test
    void answerIsOfTheFormOrCalls() throws Exception {
        int forms = 0;
        int calls = 0;
        for (int seed = 0; seed < 12; seed++) {
            ObjectNode request = request(seed, 2, false);
            request.set("tools", JSON.readTree(TOOLS));
            request.putObject("structured_outputs").putArray("choice").add("yes").add("<no>");
            JsonNode choice = choice(post(request));
            JsonNode message = choice.path("message");
            switch (choice.path("finish_reason").textValue()) {
                case "stop" -> {
                    forms++;
                    assertTrue(Set.of("yes", "<no>").contains(message.path("content").asText()));
                    assertFalse(message.has("tool_calls"), message::toString);
                }
                case "tool_calls" -> {
                    calls++;
                    assertTrue(message.path("content").isNull(), message::toString);
                    String name = message.at("/tool_calls/0/function/name").textValue();
                    assertTrue(Set.of("get_weather", "get_time").contains(name), name);
                }
                default -> {} // cut, which the client is told
            }
        }
        assertTrue(forms > 0 && calls > 0, "forms: " + forms + ", calls: " + calls);
    }

    /// The same bits alone and in company, twice from the prefix cache.
    @Test
    void companyDoesNotChangeAConstrainedAnswer() throws Exception {
        ObjectNode request = request(7, 2, false);
        request.set("response_format", JSON.readTree(PERSON));
        String alone = choice(post(request)).toString();
        List<CompletableFuture<HttpResponse<String>>> company = new ArrayList<>();
        for (int seed = 100; seed < 105; seed++) {
            ObjectNode other = request(seed, 2, seed % 2 == 0);
            if (seed % 3 == 0) {
                other.set("response_format", JSON.readTree(PERSON));
            }
            company.add(client.sendAsync(http(other), HttpResponse.BodyHandlers.ofString()));
        }
        assertEquals(alone, choice(post(request)).toString());
        for (CompletableFuture<HttpResponse<String>> other : company) {
            assertEquals(200, other.get().statusCode());
        }
    }

    @Test
    void whatCannotBeHonouredIsRefusedWithItsField() throws Exception {
        ObjectNode keyword = request(1, 1, false);
        keyword.set(
                "response_format",
                JSON.readTree(
                        """
                        {"type": "json_schema", "json_schema": {"schema":
                          {"type": "array", "uniqueItems": true}}}\
                        """));
        refused(keyword, "response_format.json_schema.schema", "uniqueItems");
        ObjectNode unknown = request(1, 1, false);
        unknown.set("tools", JSON.readTree(TOOLS));
        unknown.putObject("tool_choice")
                .put("type", "function")
                .putObject("function")
                .put("name", "launch");
        refused(unknown, "tool_choice", "launch");
        ObjectNode none = request(1, 1, false);
        none.put("tool_choice", "required");
        refused(none, "tool_choice", "needs tools");
        ObjectNode regex = request(1, 1, false);
        regex.putObject("structured_outputs").put("regex", "(a");
        refused(regex, "structured_outputs.regex", "regex");
    }

    private static void refused(ObjectNode request, String field, String word) throws Exception {
        HttpResponse<String> answer = post(request);
        assertEquals(400, answer.statusCode(), answer::body);
        JsonNode error = JSON.readTree(answer.body()).path("error");
        assertEquals(field, error.path("param").textValue());
        assertTrue(error.path("message").textValue().contains(word), answer::body);
        assertFalse(answer.body().contains("Exception"), answer::body);
    }
}
