package io.atoll.model.grammar;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.atoll.model.Seeds;
import io.atoll.model.chat.OutputDelta;
import io.atoll.model.chat.OutputParser;
import io.atoll.model.chat.ToolDefinitions;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class ToolCallGrammarTest {
    private static final ObjectMapper JSON = new ObjectMapper();

    private static final String WEATHER =
            """
            {"type": "object", "required": ["city", "days"], "properties": {
              "city": {"type": "string"},
              "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]},
              "days": {"type": "integer", "minimum": 1, "maximum": 14},
              "options": {"type": "object", "properties": {"wind": {"type": "boolean"}},
                          "required": ["wind"], "additionalProperties": false},
              "tags": {"type": "array", "items": {"enum": [1, 2, 3]}, "maxItems": 3}}}\
            """;
    private static final Constraint.Tool TOOL =
            new Constraint.Tool("weather", "tools[0].function.parameters", WEATHER);
    private static final Constraint.Tool PLAIN =
            new Constraint.Tool("now", "tools[1].function.parameters", "{\"type\": \"object\"}");

    private static boolean accepts(boolean several, String text) {
        return Vocabularies.accepts(new Constraint.ToolCalls(List.of(TOOL, PLAIN), several), text);
    }

    private static String call(String function) {
        return "<tool_call>\n" + function + "</tool_call>";
    }

    private static String parameter(String name, String value) {
        return "<parameter=" + name + ">\n" + value + "\n</parameter>\n";
    }

    private static String weather(String... parameters) {
        return call("<function=weather>\n" + String.join("", parameters) + "</function>\n");
    }

    private static final String NOW = call("<function=now>\n</function>\n");

    @Test
    void callsInTheFamilysNotationAreAccepted() {
        String days = parameter("days", "3");
        assertTrue(accepts(false, NOW));
        assertTrue(accepts(false, weather(parameter("city", "Paris"), days)));
        assertTrue(accepts(false, weather(parameter("city", ""), days)));
        assertTrue(accepts(false, weather(parameter("city", "a\n</paramete> <b>\n"), days)));
        assertTrue(
                accepts(
                        false,
                        weather(
                                parameter("city", "日本"),
                                parameter("unit", "celsius"),
                                days,
                                parameter("options", "{\"wind\": true}"),
                                parameter("tags", "[1, 3]"))));
        assertTrue(accepts(true, NOW + "\n" + weather(parameter("city", "x"), days)));
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            textBlock =
                    """
                    city | x | days | 15
                    city | x | days | three
                    city | x | unit | kelvin
                    days | 3 | city | x
                    city | x</parameter>y | days | 3
                    """)
    void whatTheSchemaDoesNotDescribeIsRefused(
            String first, String value, String second, String other) {
        assertEquals(
                false, accepts(true, weather(parameter(first, value), parameter(second, other))));
    }

    @Test
    void oneCallMeansOne() {
        assertEquals(false, accepts(false, NOW + "\n" + NOW));
        assertEquals(false, accepts(true, ""));
        assertEquals(false, accepts(true, "Sure. " + NOW));
        assertEquals(false, accepts(true, weather(parameter("city", "no days"))));
    }

    @Test
    void complaintsNameThePlace() {
        Constraint.Tool bad =
                new Constraint.Tool(
                        "f",
                        "tools[0].function.parameters",
                        "{\"properties\": {\"a\": {\"type\": \"array\", \"uniqueItems\": true}}}");
        GrammarException refused =
                assertThrows(
                        GrammarException.class,
                        () -> Vocabularies.compile(new Constraint.ToolCalls(List.of(bad), false)));
        assertEquals("tools[0].function.parameters/properties/a/uniqueItems", refused.where());
    }

    @Test
    void callsMayStandInPlaceOfAForm() {
        Constraint.ToolCalls calls = new Constraint.ToolCalls(List.of(TOOL, PLAIN), true);
        String call = call("<function=now>\n</function>\n");
        for (Constraint form :
                List.of(
                        new Constraint.JsonSchema("{\"enum\": [1, \"<tool\"]}"),
                        new Constraint.Regex("1|\"<tool\""),
                        new Constraint.ContextFree(
                                "root ::= \"1\" | word\nword ::= \"\\\"<tool\\\"\""))) {
            Constraint either = new Constraint.TextOrCalls(form, calls);
            assertTrue(Vocabularies.accepts(either, "1"), form::toString);
            assertTrue(Vocabularies.accepts(either, "\"<tool\""), form::toString);
            assertTrue(Vocabularies.accepts(either, call), form::toString);
            assertTrue(Vocabularies.accepts(either, call + "\n" + call), form::toString);
            assertFalse(Vocabularies.accepts(either, "1" + call), form::toString);
            assertFalse(Vocabularies.accepts(either, call + "1"), form::toString);
        }
        assertThrows(
                IllegalArgumentException.class, () -> new Constraint.TextOrCalls(calls, calls));
    }

    /// Whatever is sampled is read as calls of these tools, with arguments that the schema describes.
    @Test
    void whatIsSampledIsReadAsCallsWithValidArguments() throws Exception {
        ToolDefinitions definitions =
                ToolDefinitions.of(
                        List.of(
                                Map.of("function", function(TOOL)),
                                Map.of("function", function(PLAIN))));
        TinyValidator validator = new TinyValidator(JSON.readTree(WEATHER));
        TokenConstraint any =
                Vocabularies.compile(new Constraint.ToolCalls(List.of(TOOL, PLAIN), true));
        TokenConstraint named =
                Vocabularies.compile(new Constraint.ToolCalls(List.of(TOOL), false));
        Seeds.forAll(
                60,
                random -> {
                    boolean anyTool = random.nextBoolean();
                    String text = sample(anyTool ? any : named, random);
                    for (Map.Entry<String, String> call : read(definitions, text)) {
                        JsonNode arguments = parse(call.getValue());
                        if (call.getKey().equals("weather")) {
                            assertTrue(validator.valid(arguments), () -> arguments + " of " + text);
                        } else {
                            assertEquals("now", call.getKey());
                            assertTrue(anyTool, text);
                            assertTrue(arguments.isEmpty(), text);
                        }
                    }
                });
    }

    private static Map<String, Object> function(Constraint.Tool tool) throws Exception {
        return Map.of(
                "name",
                tool.name(),
                "parameters",
                JSON.convertValue(JSON.readTree(tool.parameters()), Map.class));
    }

    private static JsonNode parse(String json) {
        try {
            return JSON.readTree(json);
        } catch (Exception e) {
            throw new AssertionError(json, e);
        }
    }

    private static final String END = "\n</parameter>\n";

    /// Draws allowed tokens; from some length on those that bring the end nearer.
    private static String sample(TokenConstraint constraint, Random random) {
        TokenMatcher matcher = constraint.matcher();
        long[] mask = new long[Vocabularies.JSON.maskWords()];
        StringBuilder bytes = new StringBuilder();
        int target = random.nextInt(200);
        for (int step = 0; step < 5000; step++) {
            matcher.mask(mask);
            List<Integer> allowed = new ArrayList<>();
            for (int token = 0; token <= Vocabularies.STOP; token++) {
                if ((mask[token >> 6] >> token & 1) != 0) {
                    allowed.add(token);
                }
            }
            assertTrue(!allowed.isEmpty(), () -> "stuck after " + text(bytes));
            int token = allowed.get(random.nextInt(allowed.size()));
            if (step > target) {
                if (takes(matcher.fork(), END)) {
                    assertTrue(takes(matcher, END));
                    bytes.append(END);
                    continue;
                }
                for (int wanted : new int[] {Vocabularies.STOP, '<', '/', '\n', '}', ']', '"'}) {
                    if (allowed.contains(wanted) && random.nextInt(4) > 0) {
                        token = wanted;
                        break;
                    }
                }
            }
            assertTrue(matcher.accept(token));
            if (token == Vocabularies.STOP) {
                return text(bytes);
            }
            for (byte each : Vocabularies.JSON.bytes(token)) {
                bytes.append((char) (each & 0xFF));
            }
        }
        throw new AssertionError("no end of " + text(bytes));
    }

    private static boolean takes(TokenMatcher matcher, String text) {
        return text.chars().allMatch(matcher::accept);
    }

    private static String text(StringBuilder bytes) {
        return new String(
                bytes.toString().getBytes(StandardCharsets.ISO_8859_1), StandardCharsets.UTF_8);
    }

    /// Names and arguments, in order; nothing else may be in the output.
    private static List<Map.Entry<String, String>> read(ToolDefinitions tools, String text) {
        int[] ids = {0};
        OutputParser parser = new OutputParser(false, tools, () -> "call" + ids[0]++);
        List<OutputDelta> deltas = new ArrayList<>(parser.feed(text));
        deltas.addAll(parser.finish());
        List<String> names = new ArrayList<>();
        List<Map.Entry<String, String>> calls = new ArrayList<>();
        for (OutputDelta delta : deltas) {
            switch (delta) {
                case OutputDelta.CallStarted start -> names.add(start.name());
                case OutputDelta.Arguments _ -> {}
                case OutputDelta.CallEnded end ->
                        calls.add(Map.entry(names.get(end.index()), end.arguments()));
                case OutputDelta.Content _, OutputDelta.Reasoning _ ->
                        throw new AssertionError(delta + " in " + text);
            }
        }
        assertTrue(!calls.isEmpty(), text);
        return calls;
    }
}
