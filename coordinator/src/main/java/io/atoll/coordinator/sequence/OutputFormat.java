package io.atoll.coordinator.sequence;

import io.atoll.model.chat.ToolDefinitions;

/// How the text of an answer is told apart.
public sealed interface OutputFormat {
    OutputFormat PLAIN = new Plain();

    /// All of it is content.
    record Plain() implements OutputFormat {}

    /// An assistant's turn: reasoning, content and calls.
    ///
    /// @param promptOpensThinking whether the prompt ends inside a thinking block
    /// @param tools what may be called; without any, nothing is a call
    /// @param parallelCalls whether there may be more than one call; otherwise the answer ends with the first
    record Chat(boolean promptOpensThinking, ToolDefinitions tools, boolean parallelCalls)
            implements OutputFormat {}
}
