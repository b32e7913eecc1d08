package io.atoll.model.grammar;

import java.util.List;
import java.util.Objects;

/// What an answer must look like, as it was asked for: plain text that can travel, and that [TokenConstraint] compiles. The class of
/// each kind says which part of its notation is offered.
public sealed interface Constraint {
    /// A JSON document that a schema describes; see [SchemaCompiler].
    record JsonSchema(String schema) implements Constraint {
        public JsonSchema {
            Objects.requireNonNull(schema);
        }
    }

    /// Any JSON object.
    record JsonObject() implements Constraint {}

    /// A text that a regular expression matches from its start to its end; see [RegexParser].
    record Regex(String pattern) implements Constraint {
        public Regex {
            Objects.requireNonNull(pattern);
        }
    }

    /// A text of a context-free grammar; see [GrammarParser].
    record ContextFree(String grammar) implements Constraint {
        public ContextFree {
            Objects.requireNonNull(grammar);
        }
    }

    /// One or more tool calls in the family's notation, with the arguments that the tools' schemas describe; see
    /// [ToolCallGrammar].
    ///
    /// @param tools those that may be called
    /// @param several whether there may be more than one call
    record ToolCalls(List<Tool> tools, boolean several) implements Constraint {
        public ToolCalls {
            tools = List.copyOf(tools);
        }
    }

    /// A text of one form, or calls in its place: for an answer that may call tools first and has its form when it does not.
    ///
    /// @param text any form but calls
    record TextOrCalls(Constraint text, ToolCalls calls) implements Constraint {
        public TextOrCalls {
            Objects.requireNonNull(calls);
            if (text instanceof TextOrCalls || text instanceof ToolCalls) {
                throw new IllegalArgumentException("not the form of a text: " + text);
            }
        }
    }

    /// A tool.
    ///
    /// @param where the place of its parameters in the request, for complaints
    /// @param parameters a JSON Schema of an object
    record Tool(String name, String where, String parameters) {
        public Tool {
            Objects.requireNonNull(name);
            Objects.requireNonNull(where);
            Objects.requireNonNull(parameters);
        }
    }
}
