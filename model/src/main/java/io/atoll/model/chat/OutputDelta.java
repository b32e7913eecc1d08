package io.atoll.model.chat;

/// A piece of what the model wrote, by what it is. Pieces of one kind join into the whole text.
public sealed interface OutputDelta {
    /// Never empty.
    String text();

    /// The model thinking, inside `<think>` and `</think>`.
    record Reasoning(String text) implements OutputDelta {}

    /// The answer.
    record Content(String text) implements OutputDelta {}
}
