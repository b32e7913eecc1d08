package io.atoll.model.chat;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

class OutputParserTest {
    /// What an output means.
    record Output(boolean thinking, String text, String reasoning, String content) {}

    private static final String CALL = "<tool_call>\n<function=ping>\n</function>\n</tool_call>";

    static List<Output> outputs() {
        return List.of(
                // Thinking
                new Output(
                        true,
                        "The user greets me.\n</think>\n\nHello!",
                        "The user greets me.",
                        "Hello!"),
                new Output(true, "\n</think>\n\nHi", "", "Hi"),
                new Output(true, "</think>Hi", "", "Hi"),
                new Output(true, "I am still thinking about", "I am still thinking about", ""),
                new Output(true, "thinking \n\n", "thinking", ""),
                new Output(true, "<think>\nOk.\n</think>\n\nYes.", "Ok.", "Yes."),
                new Output(true, " \n<think>Ok.</think>Yes.", "Ok.", "Yes."),
                new Output(true, "a <think> b</think>c", "a <think> b", "c"),
                new Output(true, "a\n\nb\n</think>\n\nc\n\nd\n", "a\n\nb", "c\n\nd\n"),
                new Output(true, "x\n</think>\n\ny </think> z", "x", "y </think> z"),
                new Output(true, "x</think>\n \n    indented", "x", "    indented"),
                new Output(true, "x</think> y", "x", " y"),
                new Output(true, "x</think>\n\n ", "x", ""),
                new Output(true, "a < b </ c </thin d </think>e", "a < b </ c </thin d", "e"),
                new Output(true, "a </thin", "a </thin", ""),
                new Output(true, "<thin", "<thin", ""),
                new Output(true, "<<think>x", "<<think>x", ""),
                new Output(true, "", "", ""),
                // Calls and reasoning
                new Output(
                        true,
                        "Call " + CALL + " now.\n</think>\n\nDone.",
                        "Call " + CALL + " now.",
                        "Done."),
                new Output(true, "I should ping.\n" + CALL, "I should ping.", CALL),
                new Output(true, CALL, "", CALL),
                new Output(true, "Use \n" + CALL + " \n</think>\n" + CALL, "Use \n" + CALL, CALL),
                new Output(
                        true,
                        "A <tool_call> tag opens a call",
                        "A <tool_call> tag opens a call",
                        ""),
                new Output(true, "A <tool_call>  <functio", "A <tool_call>  <functio", ""),
                new Output(
                        true,
                        "<tool_call><tool_call> <function=",
                        "<tool_call>",
                        "<tool_call> <function="),
                new Output(true, "A <tool_call> </think>b", "A <tool_call>", "b"),
                // Not thinking
                new Output(false, "  Hello\n", "", "  Hello\n"),
                new Output(false, "a </think> b", "", "a </think> b"),
                new Output(false, "a <think> b</think>", "", "a <think> b</think>"),
                new Output(false, "<think>\nhm\n</think>\n\nok", "hm", "ok"),
                new Output(false, "\n<think>hm", "hm", ""),
                new Output(false, "<thinking>x", "", "<thinking>x"),
                new Output(false, "<thi", "", "<thi"),
                new Output(false, " \n", "", " \n"),
                new Output(false, CALL, "", CALL));
    }

    @ParameterizedTest
    @MethodSource("outputs")
    void outputSplitsIntoReasoningAndContent(Output output) {
        assertEquals(output, parse(output, output.text()));
    }

    @ParameterizedTest
    @MethodSource("outputs")
    void noTwoCutsChangeTheResult(Output output) {
        String text = output.text();
        for (int i = 0; i <= text.length(); i++) {
            for (int j = i; j <= text.length(); j++) {
                assertEquals(
                        output,
                        parse(
                                output,
                                text.substring(0, i),
                                text.substring(i, j),
                                text.substring(j)));
            }
        }
    }

    @ParameterizedTest
    @MethodSource("outputs")
    void oneCharacterAtATimeGivesTheSameResult(Output output) {
        assertEquals(output, parse(output, output.text().split("")));
    }

    private static Output parse(Output output, String... pieces) {
        OutputParser parser = new OutputParser(output.thinking(), ToolDefinitions.NONE, () -> "");
        StringBuilder reasoning = new StringBuilder();
        StringBuilder content = new StringBuilder();
        for (String piece : pieces) {
            collect(parser.feed(piece), reasoning, content);
        }
        collect(parser.finish(), reasoning, content);
        return new Output(
                output.thinking(), output.text(), reasoning.toString(), content.toString());
    }

    private static void collect(
            List<OutputDelta> deltas, StringBuilder reasoning, StringBuilder content) {
        for (OutputDelta delta : deltas) {
            switch (delta) {
                case OutputDelta.Reasoning(var text) -> {
                    assertFalse(text.isEmpty(), "an empty delta");
                    assertEquals("", content.toString(), "reasoning after content");
                    reasoning.append(text);
                }
                case OutputDelta.Content(var text) -> {
                    assertFalse(text.isEmpty(), "an empty delta");
                    content.append(text);
                }
                default -> throw new AssertionError("without tools: " + delta);
            }
        }
    }

    @Test
    void textIsReleasedAsSoonAsItCannotBeATag() {
        OutputParser parser = new OutputParser(true, ToolDefinitions.NONE, () -> "");
        assertEquals(List.of(new OutputDelta.Reasoning("I think")), parser.feed("I think"));
        assertEquals(List.of(), parser.feed(" \n</thi"));
        assertEquals(List.of(new OutputDelta.Reasoning(" \n</thing>")), parser.feed("ng>"));
        assertEquals(List.of(), parser.feed("\n</think>\n"));
        assertEquals(List.of(new OutputDelta.Content("Hi ")), parser.feed("Hi "));
        assertEquals(List.of(new OutputDelta.Content("<")), parser.feed("<"));
    }

    @Test
    void nothingComesAfterTheEnd() {
        OutputParser parser = new OutputParser(false, ToolDefinitions.NONE, () -> "");
        parser.finish();
        assertThrows(IllegalStateException.class, () -> parser.feed("x"));
        assertThrows(IllegalStateException.class, parser::finish);
    }
}
