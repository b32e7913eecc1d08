package io.atoll.model.chat;

import java.util.LinkedHashMap;
import java.util.Map;

/// Writes one call's arguments as JSON while they are read.
final class CallWriter {
    private final int index;
    private final ToolDefinitions.Parameters parameters;
    private final Deltas deltas;
    private final Map<String, String> arguments = new LinkedHashMap<>();
    private boolean empty = true;
    private String key;
    private ArgumentValue value;
    private StringBuilder written;

    /// @param parameters of the tool that is called
    CallWriter(int index, ToolDefinitions.Parameters parameters, Deltas deltas) {
        this.index = index;
        this.parameters = parameters;
        this.deltas = deltas;
    }

    ToolDefinitions.Parameters parameters() {
        return parameters;
    }

    void beginArgument(String name) {
        key = name;
        value = new ArgumentValue(parameters.types(name));
        written = new StringBuilder();
        StringBuilder head = new StringBuilder(empty ? "{" : ", ");
        JsonText.quote(name, head);
        deltas.arguments(index, head.append(": "));
        empty = false;
    }

    /// More of the argument's text.
    void argumentText(String piece) {
        send(value.append(piece));
    }

    void endArgument() {
        send(value.finish());
        arguments.put(key, written.toString());
    }

    private void send(String json) {
        written.append(json);
        deltas.arguments(index, json);
    }

    void end() {
        deltas.arguments(index, empty ? "{}" : "}");
        StringBuilder all = new StringBuilder("{");
        arguments.forEach(
                (name, json) -> {
                    all.append(all.length() > 1 ? ", " : "");
                    JsonText.quote(name, all);
                    all.append(": ").append(json);
                });
        deltas.callEnded(index, all.append('}').toString());
    }
}
