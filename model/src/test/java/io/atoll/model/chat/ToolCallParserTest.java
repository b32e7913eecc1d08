package io.atoll.model.chat;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.atoll.model.Seeds;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class ToolCallParserTest {
    private static final ToolDefinitions TOOLS =
            ToolDefinitions.of(
                    List.of(
                            tool(
                                    "save",
                                    Map.of(
                                            "path", Map.of("type", "string"),
                                            "text", Map.of("type", "string"),
                                            "mode", Map.of("type", "integer"),
                                            "when", Map.of("type", List.of("integer", "string")),
                                            "tags", Map.of("type", "array"))),
                            tool("ping", Map.of())));

    private static Map<String, Object> tool(String name, Map<String, Object> properties) {
        return Map.of(
                "type",
                "function",
                "function",
                Map.of("name", name, "parameters", Map.of("properties", properties)));
    }

    // Whatever the output

    /// Pieces that outputs are made of, right and wrong.
    private static final List<String> WORDS =
            List.of(
                    "<tool_call>",
                    "<tool_call>\n",
                    "</tool_call>",
                    "</tool_call>\n",
                    "<function=save>",
                    "\n<function=save>\n",
                    "<function=ping>",
                    "\n<function=",
                    "<function=other>\n",
                    "</function>",
                    "</function>\n",
                    "<parameter=path>\n",
                    "\n<parameter=text>\n",
                    "<parameter=mode>",
                    "\n<parameter=when>",
                    "\n<parameter=tags>\n",
                    "\n<parameter=unknown>",
                    "\n<parameter=",
                    "</parameter>",
                    "\n</parameter>\n",
                    "<think>",
                    "</think>",
                    "<",
                    "</",
                    ">",
                    "\n",
                    " ",
                    "\t",
                    "word",
                    "null",
                    "tru",
                    "12",
                    "-3.5e1",
                    "[1, 'x']",
                    "\"q\\",
                    "é",
                    "🌧️");

    @Test
    void outputsOfAnyKindMeanTheSameAsReadAtLeisure() {
        Seeds.forAll(
                2_000,
                random -> {
                    String text = output(random);
                    boolean thinking = random.nextInt(4) == 0;
                    ParsedOutput expected = PlainOutput.parse(thinking, TOOLS, text);
                    assertSame(expected, ParsedOutput.parse(thinking, TOOLS, text), text);
                    assertSame(
                            expected, ParsedOutput.parse(thinking, TOOLS, cut(text, random)), text);
                });
    }

    private static String output(Random random) {
        StringBuilder text = new StringBuilder();
        boolean wellFormed = random.nextBoolean();
        int length = random.nextInt(30);
        for (int i = 0; i < length; i++) {
            if (wellFormed && random.nextInt(3) == 0) {
                text.append("<tool_call>\n<function=save>\n<parameter=text>\n")
                        .append(WORDS.get(random.nextInt(WORDS.size())))
                        .append(random.nextInt(3) == 0 ? "" : "\n</parameter>\n</function>\n")
                        .append(random.nextInt(3) == 0 ? "" : "</tool_call>");
            }
            text.append(WORDS.get(random.nextInt(WORDS.size())));
        }
        return text.toString();
    }

    private static List<String> cut(String text, Random random) {
        List<String> pieces = new ArrayList<>();
        int longest = 1 + random.nextInt(10);
        for (int at = 0; at < text.length(); ) {
            int to = Math.min(text.length(), at + random.nextInt(longest + 1));
            pieces.add(text.substring(at, to));
            at = to;
        }
        return pieces;
    }

    private static void assertSame(ParsedOutput expected, ParsedOutput found, String text) {
        assertEquals(expected.reasoning(), found.reasoning().strip(), text);
        assertEquals(spaced(expected.content()), spaced(found.content()), text);
        assertEquals(spaced(expected.after()), spaced(found.after()), text);
        assertEquals(expected.calls().size(), found.calls().size(), text);
        for (int i = 0; i < expected.calls().size(); i++) {
            assertEquals(expected.calls().get(i).name(), found.calls().get(i).name(), text);
            assertEquals(
                    expected.calls().get(i).arguments(), found.calls().get(i).arguments(), text);
        }
    }

    /// How much of the white space beside a call stays is not compared.
    private static String spaced(String text) {
        return text.strip().replaceAll("[ \\t\\r\\n]+", " ");
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "<tool_call>\n<function=save>\n<parameter=text>\n1\n</function>\n</tool_call>\n",
                "\n<parameter=path>\n1",
                "\n<parameter=unknown>\n1",
                "\n<parameter=unknown>\n</parameter>",
                "</parameter> ",
                "</parameter> x",
                "</function> ",
                "</function></tool_call>x",
                "<tool_call>  ",
                "\n<function=sav",
                "<function=",
                "</thin",
                " \n",
                "<",
                "1",
                "[",
                "word word "
            })
    void workGrowsWithTheLengthOfTheOutput(String repeated) {
        List<String> heads =
                List.of(
                        "",
                        "<tool_call>\n",
                        "<tool_call>\n<function=",
                        "<tool_call>\n<function=save>\n",
                        "<tool_call>\n<function=save>\n<parameter=text>\n",
                        "<tool_call>\n<function=save>\n<parameter=tags>\n",
                        "<tool_call>\n<function=save>\n<parameter=when>\n");
        for (String head : heads) {
            for (boolean thinking : new boolean[] {false, true}) {
                String text = head + repeated.repeat(10_000 / repeated.length());
                for (int piece : new int[] {1, 7, text.length()}) {
                    OutputParser parser = new OutputParser(thinking, TOOLS, () -> "");
                    for (int at = 0; at < text.length(); at += piece) {
                        parser.feed(text.substring(at, Math.min(text.length(), at + piece)));
                    }
                    parser.finish();
                    double looks = (double) parser.looks() / text.length();
                    assertTrue(looks < 40, looks + " looks a character: " + head + repeated);
                }
            }
        }
    }

    // As soon as possible

    /// What one more piece makes known, as text.
    private static String next(OutputParser parser, String piece) {
        StringBuilder out = new StringBuilder();
        for (OutputDelta delta : parser.feed(piece)) {
            out.append(
                    switch (delta) {
                        case OutputDelta.Reasoning(var text) -> "R(" + text + ")";
                        case OutputDelta.Content(var text) -> "C(" + text + ")";
                        case OutputDelta.CallStarted(int index, var _, var name) ->
                                "S" + index + "(" + name + ")";
                        case OutputDelta.Arguments(int _, var text) -> "A(" + text + ")";
                        case OutputDelta.CallEnded(int index, var all) ->
                                "E" + index + "(" + all + ")";
                    });
        }
        return out.toString();
    }

    private static OutputParser inCall(String parameter) {
        OutputParser parser = new OutputParser(false, TOOLS, () -> "");
        String quote = parameter.equals("text") ? "\"" : ""; // there is nothing to decide
        assertEquals(
                "S0(save)A({\"" + parameter + "\": " + quote + ")",
                next(parser, "<tool_call>\n<function=save>\n<parameter=" + parameter + ">"));
        return parser;
    }

    @Test
    void contentIsGivenOutUpToWhatMayBecomeACall() {
        OutputParser parser = new OutputParser(false, TOOLS, () -> "");
        assertEquals("C(Let me see.)", next(parser, "Let me see. \n"));
        assertEquals("", next(parser, "\n<tool"));
        assertEquals("C( \n\n<tools> < b)", next(parser, "s> < b"));
        assertEquals("", next(parser, "\n<function=sa"));
        assertEquals("C(\n<function=say)", next(parser, "y"));
        assertEquals("", next(parser, "\n<tool_call>\n<function=save"));
        assertEquals("S0(save)", next(parser, ">"));
    }

    @Test
    void textOfAStringIsGivenOutWhileItComes() {
        OutputParser parser = inCall("text");
        assertEquals("", next(parser, "\n"));
        assertEquals("A(one \\\"two\\\")", next(parser, "one \"two\""));
        assertEquals("A(\\n)", next(parser, "\n\n")); // the last may be the one that goes
        assertEquals("A(\\nthree < 4)", next(parser, "three < 4"));
        assertEquals("", next(parser, "\n</param"));
        assertEquals("A(\\n</params>)", next(parser, "s>"));
        assertEquals("", next(parser, "\n</parameter>\n"));
        assertEquals(
                "A(\"})E0({\"text\": \"one \\\"two\\\"\\n\\nthree < 4\\n</params>\"})",
                next(parser, "</function>"));
    }

    @Test
    void valueWithATypeToDecideWaitsUntilItIsDecided() {
        OutputParser integer = inCall("mode");
        assertEquals("", next(integer, "\n42"));
        assertEquals("A(42})", next(integer, "\n</parameter>\n</function>").split("E0", -1)[0]);
        OutputParser either = inCall("when");
        assertEquals("", next(either, "\n12"));
        assertEquals("A(\"12 o)", next(either, " o"));
        assertEquals("A('clock)", next(either, "'clock"));
        OutputParser array = inCall("tags");
        assertEquals("", next(array, "\n[1, 2]"));
        assertEquals("A([1, 2]})", next(array, "</parameter></function>").split("E0", -1)[0]);
    }

    @Test
    void valueThatMayHaveEndedIsHeldUntilItsEndIsKnown() {
        OutputParser parser = inCall("text");
        assertEquals("A(one)", next(parser, "\none\n<parameter=path>\n2\n</parameter>\n"));
        assertEquals("", next(parser, "three"));
        assertEquals(
                "A(\\n<parameter=path>\\n2\\n</parameter>\\nthree\"})",
                next(parser, "\n</parameter>\n</function>").split("E0", -1)[0]);
    }

    @Test
    void parameterGivenTwiceCountsOnceInTheWhole() {
        OutputParser parser = inCall("mode");
        String last = next(parser, "1</parameter><parameter=mode>2</parameter></function>");
        assertEquals("A(1, \"mode\": 2})E0({\"mode\": 2})", last);
    }

    @Test
    void secondBareCallMayFollowTheFirst() {
        ParsedOutput output =
                ParsedOutput.parse(
                        false, TOOLS, "<function=ping>\n</function>\n<function=ping></function>");
        assertEquals(2, output.calls().size());
        assertEquals("", output.content() + output.after());
    }

    @Test
    void referencesInASchemaAreFollowed() {
        ToolDefinitions tools =
                ToolDefinitions.of(
                        List.of(
                                Map.of(
                                        "function",
                                        Map.of(
                                                "name",
                                                "f",
                                                "parameters",
                                                Map.of(
                                                        "properties",
                                                        Map.of(
                                                                "a",
                                                                Map.of("$ref", "#/$defs/A"),
                                                                "b",
                                                                Map.of("$ref", "#/$defs/loop")),
                                                        "$defs",
                                                        Map.of(
                                                                "A",
                                                                Map.of("type", "object"),
                                                                "loop",
                                                                Map.of(
                                                                        "$ref",
                                                                        "#/$defs/loop")))))));
        String text =
                "<tool_call><function=f><parameter=a>{\"x\": 1}</parameter>"
                        + "<parameter=b>{}</parameter></function></tool_call>";
        assertEquals(
                "{\"a\": {\"x\": 1}, \"b\": \"{}\"}",
                ParsedOutput.parse(false, tools, text).calls().getFirst().text());
    }
}
