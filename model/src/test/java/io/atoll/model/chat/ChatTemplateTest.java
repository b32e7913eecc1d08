package io.atoll.model.chat;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.DynamicTest.dynamicTest;

import com.fasterxml.jackson.core.type.TypeReference;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.atoll.model.jinja.TemplateException;
import io.atoll.model.jinja.TemplateLimits;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;

class ChatTemplateTest {
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final ChatTemplate DEMO =
            ChatTemplate.compile(
                    read(
                            Path.of(
                                    System.getProperty("atoll.root"),
                                    "demo-model/chat_template.jinja")));
    private static final ChatTemplate QWEN =
            ChatTemplate.compile(resource("qwen35_chat_template.jinja"));

    /// Each case of `chat.json` was rendered by the `transformers` library itself.
    @TestFactory
    List<DynamicTest> everyConversationRendersAsTheReferenceRendersIt() throws IOException {
        List<DynamicTest> tests = new ArrayList<>();
        for (JsonNode testCase : JSON.readTree(resource("chat.json")).get("cases")) {
            String name = testCase.get("id") + " " + testCase.get("note").textValue();
            tests.add(
                    dynamicTest(
                            name + " (demo)", () -> check(DEMO, testCase, testCase.get("demo"))));
            tests.add(
                    dynamicTest(
                            name + " (qwen35)",
                            () -> check(QWEN, testCase, testCase.get("qwen35"))));
        }
        assertEquals(134, tests.size(), "cases of chat.json");
        return tests;
    }

    private static void check(ChatTemplate template, JsonNode testCase, JsonNode expected) {
        if (expected.has("text")) {
            assertEquals(expected.get("text").textValue(), render(template, testCase));
            return;
        }
        TemplateException refusal =
                assertThrows(TemplateException.class, () -> render(template, testCase));
        if (expected.get("raised_by").textValue().equals("template")) {
            assertEquals(TemplateException.Kind.TEMPLATE, refusal.kind());
            assertEquals(expected.get("error").textValue(), refusal.getMessage());
        } else {
            assertEquals(TemplateException.Kind.ENGINE, refusal.kind());
        }
    }

    private static String render(ChatTemplate template, JsonNode testCase) {
        Optional<List<Map<String, Object>>> tools =
                testCase.has("tools")
                        ? Optional.of(objects(testCase.get("tools")))
                        : Optional.empty();
        Map<String, Object> options =
                testCase.has("options")
                        ? JSON.convertValue(testCase.get("options"), new TypeReference<>() {})
                        : Map.of();
        return template.render(objects(testCase.get("messages")), tools, options);
    }

    private static List<Map<String, Object>> objects(JsonNode array) {
        return JSON.convertValue(array, new TypeReference<>() {});
    }

    @Test
    void jsonNodesRenderLikePlainValues() throws IOException {
        for (JsonNode testCase : JSON.readTree(resource("chat.json")).get("cases")) {
            if (!testCase.get("qwen35").has("text")) {
                continue;
            }
            List<Map<String, Object>> messages = new ArrayList<>();
            for (JsonNode message : testCase.get("messages")) {
                Map<String, Object> fields = new LinkedHashMap<>();
                message.properties().forEach(field -> fields.put(field.getKey(), field.getValue()));
                messages.add(fields);
            }
            Map<String, Object> options = new LinkedHashMap<>();
            testCase.path("options")
                    .properties()
                    .forEach(field -> options.put(field.getKey(), field.getValue()));
            Optional<List<Map<String, Object>>> tools =
                    testCase.has("tools")
                            ? Optional.of(objects(testCase.get("tools")))
                            : Optional.empty();
            assertEquals(
                    testCase.get("qwen35").get("text").textValue(),
                    QWEN.render(messages, tools, options));
        }
    }

    @Test
    void toolDefinitionsKeepKeyOrderAndCharacters() {
        String tool =
                "{\"type\": \"function\", \"function\": {\"name\": \"f\", \"description\":"
                        + " \"é<b>\", \"parameters\": {\"type\": \"object\", \"properties\": {}}}}";
        String prompt =
                QWEN.render(
                        List.of(message("system", "S"), message("user", "x")),
                        Optional.of(List.of(parse(tool))),
                        Map.of());
        assertEquals(true, prompt.contains("<tools>\n" + tool + "\n</tools>"), prompt);
        assertEquals(true, prompt.contains("</IMPORTANT>\n\nS<|im_end|>\n"), prompt);
    }

    @Test
    void callsAndResultsOfOneTurnRenderAsTheGoldenText() {
        Map<String, Object> calls =
                parse(
                        "{\"role\": \"assistant\", \"content\": \"\", \"reasoning_content\": \"r\","
                            + " \"tool_calls\": [{\"function\": {\"name\": \"f\", \"arguments\":"
                            + " {\"s\": \"x\", \"n\": 3, \"b\": true, \"z\": null, \"o\": {\"k\":"
                            + " [1, \"é<\"]}}}}, {\"function\": {\"name\": \"g\", \"arguments\":"
                            + " {}}}]}");
        String expected =
                """
                <|im_start|>user
                w?<|im_end|>
                <|im_start|>assistant
                <think>
                r
                </think>

                <tool_call>
                <function=f>
                <parameter=s>
                x
                </parameter>
                <parameter=n>
                3
                </parameter>
                <parameter=b>
                True
                </parameter>
                <parameter=z>
                None
                </parameter>
                <parameter=o>
                {"k": [1, "é<"]}
                </parameter>
                </function>
                </tool_call>
                <tool_call>
                <function=g>
                </function>
                </tool_call><|im_end|>
                <|im_start|>user
                <tool_response>
                1
                </tool_response>
                <tool_response>
                2
                </tool_response><|im_end|>
                <|im_start|>assistant
                <think>
                """;
        assertEquals(
                expected,
                QWEN.render(
                        List.of(
                                message("user", "w?"),
                                calls,
                                message("tool", "1"),
                                message("tool", "2")),
                        Optional.empty(),
                        Map.of()));
    }

    @Test
    void specialTokensAndDateAreVariables() {
        ChatTemplate template =
                ChatTemplate.compile(
                        "{{ bos_token }}{{ strftime_now('%d %b %Y') }}{{ tools is none }}{{"
                                + " documents is none }}",
                        Map.of("bos_token", "<s>"),
                        Clock.fixed(Instant.parse("2024-07-05T03:04:05Z"), ZoneOffset.UTC),
                        TemplateLimits.DEFAULT);
        assertEquals(
                "<s>05 Jul 2024TrueTrue", template.render(List.of(), Optional.empty(), Map.of()));
    }

    @Test
    void optionsOverrideSpecialTokensButNotTheConversation() {
        ChatTemplate template = ChatTemplate.compile("{{ bos_token }}{{ messages|length }}");
        assertEquals("x0", template.render(List.of(), Optional.empty(), Map.of("bos_token", "x")));
        TemplateException refusal =
                assertThrows(
                        TemplateException.class,
                        () ->
                                template.render(
                                        List.of(),
                                        Optional.empty(),
                                        Map.of("messages", List.of())));
        assertEquals(TemplateException.Kind.ENGINE, refusal.kind());
    }

    @Test
    void threadsShareOneTemplate() throws Exception {
        List<Map<String, Object>> messages =
                List.of(message("user", "a"), message("assistant", "b"), message("user", "c"));
        String expected = QWEN.render(messages, Optional.empty(), Map.of());
        try (ExecutorService threads = Executors.newFixedThreadPool(4)) {
            List<Future<String>> renderings = new ArrayList<>();
            for (int i = 0; i < 200; i++) {
                renderings.add(
                        threads.submit(() -> QWEN.render(messages, Optional.empty(), Map.of())));
            }
            for (Future<String> rendering : renderings) {
                assertEquals(expected, rendering.get());
            }
        }
    }

    private static Map<String, Object> message(String role, String content) {
        return Map.of("role", role, "content", content);
    }

    private static Map<String, Object> parse(String json) {
        try {
            return JSON.readValue(json, new TypeReference<LinkedHashMap<String, Object>>() {});
        } catch (IOException e) {
            throw new AssertionError(e);
        }
    }

    private static String resource(String name) {
        try (InputStream in = ChatTemplateTest.class.getResourceAsStream(name)) {
            return new String(in.readAllBytes(), StandardCharsets.UTF_8);
        } catch (IOException e) {
            throw new AssertionError(e);
        }
    }

    private static String read(Path path) {
        try {
            return Files.readString(path);
        } catch (IOException e) {
            throw new AssertionError(e);
        }
    }
}
