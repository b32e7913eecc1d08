package io.atoll.coordinator.sequence;

/// How the text of an answer is told apart.
public enum OutputFormat {
    /// All of it is content.
    PLAIN,
    /// An assistant's turn: reasoning, if the output opens a thinking block, then content.
    CHAT,
    /// An assistant's turn whose thinking block was opened by the prompt.
    CHAT_REASONING
}
