package io.atoll.model.chat;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/// What an output means, read at leisure with all of it at hand: the twin that [OutputParser] is tested against. It takes time
/// that grows with the square of the output's length.
final class PlainOutput {
    private static final Pattern OPENER = Pattern.compile("<tool_call>[ \\t\\r\\n]*<function=");
    private static final Pattern BARE =
            Pattern.compile("(?<![^\\n])([ \\t]*)<function=([^>\\n]*)>");
    private static final Pattern LINE = Pattern.compile("\\n<parameter=([^>\\n]*)>");

    private final String text;
    private final ToolDefinitions tools;
    private final StringBuilder before = new StringBuilder();
    private final StringBuilder after = new StringBuilder();
    private final List<ParsedOutput.Call> calls = new ArrayList<>();

    private PlainOutput(String text, ToolDefinitions tools) {
        this.text = text;
        this.tools = tools;
    }

    /// Texts are stripped.
    static ParsedOutput parse(boolean thinking, ToolDefinitions tools, String text) {
        String stripped = text.stripLeading();
        if (!thinking && !stripped.startsWith("<think>")) {
            return content("", text, tools);
        }
        String rest = stripped.startsWith("<think>") ? stripped.substring(7) : text;
        int close = rest.indexOf("</think>");
        if (close >= 0) {
            return content(rest.substring(0, close), rest.substring(close + 8), tools);
        }
        Matcher opener = OPENER.matcher(rest);
        return opener.find()
                ? content(rest.substring(0, opener.start()), rest.substring(opener.start()), tools)
                : content(rest, "", tools);
    }

    private static ParsedOutput content(String reasoning, String text, ToolDefinitions tools) {
        PlainOutput output = new PlainOutput(text, tools);
        if (tools.isEmpty()) {
            output.before.append(text);
        } else {
            output.takeCalls();
        }
        return new ParsedOutput(
                reasoning.strip(),
                output.before.toString().strip(),
                output.after.toString().strip(),
                output.calls);
    }

    private void takeCalls() {
        int position = 0;
        while (true) {
            StringBuilder content = calls.isEmpty() ? before : after;
            Matcher wrapped = OPENER.matcher(text);
            boolean hasWrapped = wrapped.find(position);
            Matcher bare = BARE.matcher(text);
            boolean hasBare = bare.find(position);
            while (hasBare && !tools.has(bare.group(2))) {
                hasBare = bare.find();
            }
            if (hasWrapped && (!hasBare || wrapped.start() <= bare.start())) {
                content.append(text, position, wrapped.start());
                position = readFunction(wrapped.start(), wrapped.end(), content);
            } else if (hasBare) {
                content.append(text, position, bare.start());
                position = readFunction(bare.start(), bare.start(2), content);
            } else {
                content.append(text, position, text.length());
                return;
            }
        }
    }

    /// Returns where the text goes on.
    private int readFunction(int start, int nameStart, StringBuilder content) {
        int nameEnd = text.indexOf('>', nameStart);
        String name = nameEnd < 0 ? "" : text.substring(nameStart, nameEnd);
        if (name.isEmpty() || name.chars().anyMatch(c -> "{}<>\"' \t\r\n".indexOf(c) >= 0)) {
            int end = nameEnd < 0 ? text.length() : nameEnd + 1;
            content.append(text, start, end);
            return end;
        }
        Map<String, String> arguments = new LinkedHashMap<>();
        int position = readParameters(nameEnd + 1, tools.parameters(name), arguments);
        int behind = skip(position);
        StringBuilder json = new StringBuilder("{");
        arguments.forEach(
                (key, value) -> {
                    json.append(json.length() > 1 ? ", " : "");
                    JsonText.quote(key, json);
                    json.append(": ").append(value);
                });
        calls.add(new ParsedOutput.Call(name, json.append("}").toString()));
        return text.startsWith("</tool_call>", behind) ? behind + 12 : position;
    }

    private int readParameters(
            int from, ToolDefinitions.Parameters parameters, Map<String, String> arguments) {
        int position = from;
        while (true) {
            position = skip(position);
            if (text.startsWith("<parameter=", position)) {
                int keyEnd = text.indexOf('>', position);
                if (keyEnd < 0) {
                    return text.length();
                }
                String key = text.substring(position + 11, keyEnd);
                int[] value = readValue(keyEnd + 1, parameters);
                ArgumentValue converted = new ArgumentValue(parameters.types(key));
                String json = converted.append(oneNewlineOff(keyEnd + 1, value[0]));
                arguments.put(key, json + converted.finish());
                position = value[1];
            } else if (text.startsWith("</function>", position)) {
                return position + 11;
            } else if (position == text.length()
                    || text.startsWith("</tool_call>", position)
                    || text.startsWith("<tool_call>", position)) {
                return position;
            } else {
                int tag = text.length();
                for (String wanted : List.of("<parameter=", "</function>", "</tool_call>")) {
                    int found = text.indexOf(wanted, position);
                    tag = found >= 0 ? Math.min(tag, found) : tag;
                }
                position = tag;
            }
        }
    }

    /// The value's end and where the text goes on.
    private int[] readValue(int start, ToolDefinitions.Parameters parameters) {
        int depth = 0;
        int position = start;
        while (true) {
            int close = text.indexOf("</parameter>", position);
            if (close < 0) {
                break;
            }
            int nested = text.indexOf("\n<parameter=", position);
            if (nested >= 0 && nested < close) {
                depth++;
                position = nested + 12;
                continue;
            }
            position = close + 12;
            int behind = skip(position);
            if (depth > 0) {
                depth--;
            } else if (behind == text.length()
                    || text.startsWith("<parameter=", behind)
                    || text.startsWith("</function>", behind)
                    || text.startsWith("</tool_call>", behind)) {
                return new int[] {close, position};
            }
        }
        Matcher line = LINE.matcher(text);
        for (boolean found = line.find(start); found; found = line.find()) {
            if (parameters.has(line.group(1))) {
                return new int[] {line.start() + 1, line.start() + 1};
            }
        }
        for (int end = text.indexOf("</function>", start);
                end >= 0;
                end = text.indexOf("</function>", end + 11)) {
            int behind = skip(end + 11);
            if (behind == text.length() || text.startsWith("</tool_call>", behind)) {
                boolean closed = end - 12 >= start && text.startsWith("</parameter>", end - 12);
                return new int[] {closed ? end - 12 : end, end};
            }
        }
        return new int[] {text.length(), text.length()};
    }

    private String oneNewlineOff(int start, int end) {
        int from = start < end && text.charAt(start) == '\n' ? start + 1 : start;
        int to = end > from && text.charAt(end - 1) == '\n' ? end - 1 : end;
        return text.substring(from, to);
    }

    private int skip(int from) {
        int at = from;
        while (at < text.length() && " \t\r\n".indexOf(text.charAt(at)) >= 0) {
            at++;
        }
        return at;
    }
}
