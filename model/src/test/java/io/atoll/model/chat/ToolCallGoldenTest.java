package io.atoll.model.chat;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.DynamicTest.dynamicTest;

import com.fasterxml.jackson.core.type.TypeReference;
import com.fasterxml.jackson.databind.JsonNode;
import io.atoll.model.DemoModel;
import io.atoll.model.tokenizer.StreamDecoder;
import io.atoll.model.tokenizer.Tokenizer;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Objects;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;

/// The cases of `toolcalls.json`: outputs, and what they mean.
class ToolCallGoldenTest {
    private static final JsonNode FILE = read();
    private static final ToolDefinitions TOOLS =
            ToolDefinitions.of(
                    ParsedOutput.JSON.convertValue(
                            FILE.get("tools"),
                            new TypeReference<List<LinkedHashMap<String, Object>>>() {}));

    private static JsonNode read() {
        try (InputStream in = ToolCallGoldenTest.class.getResourceAsStream("toolcalls.json")) {
            return ParsedOutput.JSON.readTree(Objects.requireNonNull(in));
        } catch (IOException e) {
            throw new AssertionError(e);
        }
    }

    @TestFactory
    List<DynamicTest> everyOutputMeansWhatTheGoldenFileSays() {
        List<DynamicTest> tests = new ArrayList<>();
        for (JsonNode testCase : FILE.get("cases")) {
            String name = testCase.get("id") + " " + testCase.get("note").textValue();
            tests.add(dynamicTest(name, () -> check(testCase)));
        }
        assertEquals(87, tests.size(), "cases of toolcalls.json");
        return tests;
    }

    private static void check(JsonNode testCase) {
        ParsedOutput found = parse(testCase, List.of(testCase.get("text").textValue()));
        JsonNode expected = testCase.get("expected");
        assertEquals(expected.get("reasoning").asText(""), found.reasoning().strip());
        assertEquals(expected.get("content").asText(""), found.content().strip());
        assertEquals(
                expected.path("text_after_first_call").asText("").strip(), found.after().strip());
        JsonNode calls = expected.get("calls");
        assertEquals(calls.size(), found.calls().size(), "calls");
        for (int i = 0; i < calls.size(); i++) {
            assertEquals(calls.get(i).get("name").textValue(), found.calls().get(i).name());
            assertSame(calls.get(i).get("arguments"), found.calls().get(i).arguments());
        }
    }

    /// Equal values in the same order; 3 and 3.0 are equal.
    private static void assertSame(JsonNode expected, JsonNode found) {
        if (expected.isNumber() && found.isNumber()) {
            assertEquals(
                    0,
                    expected.decimalValue().compareTo(found.decimalValue()),
                    expected + " and " + found);
        } else if (expected.isObject() && found.isObject()) {
            assertEquals(names(expected), names(found));
            names(expected).forEach(name -> assertSame(expected.get(name), found.get(name)));
        } else {
            assertEquals(expected, found);
        }
    }

    private static List<String> names(JsonNode object) {
        List<String> names = new ArrayList<>();
        for (Iterator<String> i = object.fieldNames(); i.hasNext(); ) {
            names.add(i.next());
        }
        return names;
    }

    private static ParsedOutput parse(JsonNode testCase, List<String> pieces) {
        ToolDefinitions tools =
                testCase.get("tools_given").booleanValue() ? TOOLS : ToolDefinitions.NONE;
        return ParsedOutput.parse(testCase.get("thinking").booleanValue(), tools, pieces);
    }

    @Test
    void everyCutBetweenTwoBytesGivesTheSame() {
        for (JsonNode testCase : FILE.get("cases")) {
            byte[] bytes = testCase.get("text").textValue().getBytes(StandardCharsets.UTF_8);
            ParsedOutput whole = parse(testCase, List.of(testCase.get("text").textValue()));
            for (int cut = 0; cut <= bytes.length; cut++) {
                List<String> pieces = decode(bytes, cut);
                assertEquals(whole, parse(testCase, pieces), testCase.get("id") + " at " + cut);
            }
        }
    }

    @Test
    void oneByteAtATimeGivesTheSame() {
        for (JsonNode testCase : FILE.get("cases")) {
            String text = testCase.get("text").textValue();
            byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
            int[] cuts = new int[bytes.length];
            for (int i = 0; i < cuts.length; i++) {
                cuts[i] = i;
            }
            assertEquals(
                    parse(testCase, List.of(text)),
                    parse(testCase, decode(bytes, cuts)),
                    testCase.get("id") + "");
        }
    }

    @Test
    void cutsInsideCharactersGiveTheSame() {
        for (JsonNode testCase : FILE.get("cases")) {
            String text = testCase.get("text").textValue();
            assertEquals(
                    parse(testCase, List.of(text)),
                    parse(testCase, text.chars().mapToObj(c -> "" + (char) c).toList()),
                    testCase.get("id") + "");
        }
    }

    @Test
    void tokenBoundariesGiveTheSame() {
        try (Tokenizer tokenizer = Tokenizer.load(DemoModel.path().resolve("tokenizer.json"))) {
            checkTokenBoundaries(tokenizer);
        }
    }

    private static void checkTokenBoundaries(Tokenizer tokenizer) {
        for (JsonNode testCase : FILE.get("cases")) {
            String text = testCase.get("text").textValue();
            StreamDecoder decoder = new StreamDecoder(tokenizer, false);
            List<String> pieces = new ArrayList<>();
            for (int token : tokenizer.encode(text)) {
                pieces.add(decoder.next(token));
            }
            pieces.add(decoder.finish());
            assertEquals(text, String.join("", pieces));
            assertTrue(pieces.size() > text.length() / 8, "too few tokens");
            assertEquals(
                    parse(testCase, List.of(text)),
                    parse(testCase, pieces),
                    testCase.get("id") + "");
        }
    }

    /// The text between cuts, as a decoder gives it out: a character that a cut divides comes behind it.
    private static List<String> decode(byte[] bytes, int... cuts) {
        List<String> pieces = new ArrayList<>();
        int from = 0;
        for (int i = 0; i <= cuts.length; i++) {
            int to = i < cuts.length ? cuts[i] : bytes.length;
            while (to < bytes.length && (bytes[to] & 0xC0) == 0x80) {
                to--;
            }
            pieces.add(new String(bytes, from, to - from, StandardCharsets.UTF_8));
            from = to;
        }
        return pieces;
    }
}
