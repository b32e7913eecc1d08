package io.atoll.cli.conformance;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import io.atoll.model.chat.OutputDelta;
import io.atoll.model.chat.OutputParser;
import io.atoll.model.chat.ToolDefinitions;
import java.util.ArrayList;
import java.util.List;

/// `toolcalls/`: what a model wrote, and what it means: reasoning, content, calls. Each output is read whole and cut in two at every
/// place, which must not change anything.
final class ToolCallsSuite implements Suite {
    private static final String TOOL_CALLS = "toolcalls";
    private static final JsonMapper JSON =
            JsonMapper.builder()
                    .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
                    .enable(DeserializationFeature.USE_BIG_DECIMAL_FOR_FLOATS)
                    .build();

    @Override
    public String name() {
        return TOOL_CALLS;
    }

    @Override
    public void run(FixtureSet fixtures, Engine.Opener engines, Checks checks) {
        GoldenJson file = GoldenJson.read(fixtures.file(TOOL_CALLS, "toolcalls.json"));
        ToolDefinitions tools = ToolDefinitions.of(file.get("tools").maps());
        for (GoldenJson testCase : file.get("cases").items()) {
            compare(
                    testCase,
                    testCase.get("tools_given").bool() ? tools : ToolDefinitions.NONE,
                    checks);
        }
    }

    private static void compare(GoldenJson testCase, ToolDefinitions tools, Checks checks) {
        String where = "case " + testCase.get("id").integer();
        String text = testCase.get("text").text();
        boolean thinking = testCase.get("thinking").bool();
        Output found = Output.parse(thinking, tools, text);

        GoldenJson expected = testCase.get("expected");
        checks.text(where + " reasoning", text(expected, "reasoning"), found.reasoning().strip());
        checks.text(where + " content", text(expected, "content"), found.content().strip());
        checks.text(
                where + " text after the first call",
                text(expected, "text_after_first_call"),
                found.after().strip());
        calls(where, expected.get("calls").items(), found.calls(), checks);

        int changed = -1;
        for (int cut = 0; cut <= text.length() && changed < 0; cut++) {
            Output cutInTwo =
                    Output.parse(thinking, tools, text.substring(0, cut), text.substring(cut));
            changed = cutInTwo.equals(found) ? -1 : cut;
        }
        checks.equal(where + " cut that changes the result", -1, changed);
    }

    /// Text of a field that may be null or missing.
    private static String text(GoldenJson expected, String field) {
        return expected.optional(field)
                .filter(value -> !value.node().isNull())
                .map(GoldenJson::text)
                .orElse("");
    }

    private static void calls(
            String where, List<GoldenJson> expected, List<Call> found, Checks checks) {
        checks.equal(where + " calls", expected.size(), found.size());
        for (int i = 0; i < Math.min(expected.size(), found.size()); i++) {
            String call = where + " call " + i;
            checks.equal(call + " name", expected.get(i).get("name").text(), found.get(i).name());
            JsonNode wanted = expected.get(i).get("arguments").node();
            String arguments = found.get(i).arguments();
            try {
                if (same(wanted, JSON.readTree(arguments))) {
                    checks.equal(call + " arguments", true, true);
                } else {
                    checks.fail(call, "expected " + wanted + ", found " + arguments);
                }
            } catch (JsonProcessingException e) {
                checks.fail(call, "arguments are not JSON: " + arguments);
            }
        }
    }

    /// Equal JSON values with their keys in the same order; 3 and 3.0 are equal.
    private static boolean same(JsonNode expected, JsonNode found) {
        if (expected.isNumber() && found.isNumber()) {
            return expected.decimalValue().compareTo(found.decimalValue()) == 0;
        }
        if (expected.isContainerNode() && found.isContainerNode()) {
            List<String> names = names(expected);
            boolean equal = names.equals(names(found)) && expected.size() == found.size();
            for (int i = 0; equal && i < expected.size(); i++) {
                equal =
                        names.isEmpty()
                                ? same(expected.get(i), found.get(i))
                                : same(expected.get(names.get(i)), found.get(names.get(i)));
            }
            return equal && expected.getNodeType() == found.getNodeType();
        }
        return expected.equals(found);
    }

    private static List<String> names(JsonNode node) {
        List<String> names = new ArrayList<>();
        node.fieldNames().forEachRemaining(names::add);
        return names;
    }

    /// @param arguments the fragments, joined
    private record Call(String name, String arguments) {}

    /// An output, joined from its deltas.
    ///
    /// @param content what stands before the first call
    /// @param after content behind it
    private record Output(String reasoning, String content, String after, List<Call> calls) {
        static Output parse(boolean thinking, ToolDefinitions tools, String... pieces) {
            OutputParser parser = new OutputParser(thinking, tools, () -> "");
            List<OutputDelta> deltas = new ArrayList<>();
            for (String piece : pieces) {
                deltas.addAll(parser.feed(piece));
            }
            deltas.addAll(parser.finish());
            return join(deltas);
        }

        private static Output join(List<OutputDelta> deltas) {
            StringBuilder reasoning = new StringBuilder();
            StringBuilder content = new StringBuilder();
            StringBuilder after = new StringBuilder();
            List<Call> calls = new ArrayList<>();
            for (OutputDelta delta : deltas) {
                switch (delta) {
                    case OutputDelta.Reasoning(var text) -> reasoning.append(text);
                    case OutputDelta.Content(var text) ->
                            (calls.isEmpty() ? content : after).append(text);
                    case OutputDelta.CallStarted(int _, var _, var name) ->
                            calls.add(new Call(name, ""));
                    case OutputDelta.Arguments(int index, var text) -> {
                        Call call = calls.get(index);
                        calls.set(index, new Call(call.name(), call.arguments() + text));
                    }
                    case OutputDelta.CallEnded _ -> {}
                }
            }
            return new Output(reasoning.toString(), content.toString(), after.toString(), calls);
        }
    }
}
