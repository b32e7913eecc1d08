package io.atoll.model.chat;

import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/// The tools that a request offers, as far as reading calls needs them: their names, and the types of their parameters.
public final class ToolDefinitions {
    /// No tools: nothing is a call.
    public static final ToolDefinitions NONE = new ToolDefinitions(Map.of());

    private final Map<String, Parameters> tools;
    private final int longestName;

    private ToolDefinitions(Map<String, Parameters> tools) {
        this.tools = Map.copyOf(tools);
        this.longestName = tools.keySet().stream().mapToInt(String::length).max().orElse(0);
    }

    /// Reads definitions as templates get them: maps with a `function` that has a `name` and perhaps `parameters`, a JSON
    /// schema. What is not so is left out.
    public static ToolDefinitions of(List<? extends Map<String, ?>> definitions) {
        Map<String, Parameters> tools = new HashMap<>();
        for (Map<String, ?> definition : definitions) {
            if (definition.get("function") instanceof Map<?, ?> function
                    && function.get("name") instanceof String name) {
                tools.put(name, Parameters.of(function.get("parameters")));
            }
        }
        return new ToolDefinitions(tools);
    }

    public boolean isEmpty() {
        return tools.isEmpty();
    }

    boolean has(String name) {
        return tools.containsKey(name);
    }

    /// Whether some tool's name begins so.
    boolean anyNameBegins(String start) {
        return tools.keySet().stream().anyMatch(name -> name.startsWith(start));
    }

    int longestName() {
        return longestName;
    }

    /// The parameters of a tool; those of one that does not exist may have any name.
    Parameters parameters(String name) {
        return tools.getOrDefault(name, Parameters.ANY);
    }

    /// The parameters of one tool and what their values may be.
    static final class Parameters {
        static final Parameters ANY = new Parameters(Map.of(), true);

        private final Map<String, Set<ArgumentType>> types;
        private final boolean any;

        private Parameters(Map<String, Set<ArgumentType>> types, boolean any) {
            this.types = types;
            this.any = any;
        }

        private static Parameters of(Object schema) {
            Map<String, Set<ArgumentType>> types = new HashMap<>();
            if (schema instanceof Map<?, ?> root
                    && root.get("properties") instanceof Map<?, ?> properties) {
                properties.forEach(
                        (name, property) ->
                                types.put(String.valueOf(name), ArgumentType.of(property, root)));
            }
            return new Parameters(types, false);
        }

        boolean has(String name) {
            return any || types.containsKey(name);
        }

        /// What is not known is text.
        Set<ArgumentType> types(String name) {
            return types.getOrDefault(name, ArgumentType.TEXT);
        }
    }
}
