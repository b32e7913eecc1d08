package io.atoll.model.chat;

/// A piece of what the model wrote, by what it is.
///
/// Texts of one kind join into the whole. A call is one [CallStarted], any number of [Arguments] and one [CallEnded], all with
/// its index; calls do not overlap, and content may stand between them.
public sealed interface OutputDelta {
    /// The model thinking, inside `<think>` and `</think>`.
    ///
    /// @param text never empty
    record Reasoning(String text) implements OutputDelta {}

    /// The answer.
    ///
    /// @param text never empty
    record Content(String text) implements OutputDelta {}

    /// The model calls a tool: its name is known, its arguments are to come.
    ///
    /// @param index counts the calls of one output from 0
    /// @param id names the call for the message that answers it
    /// @param name as the model wrote it, which need not be the name of a tool that exists
    record CallStarted(int index, String id, String name) implements OutputDelta {}

    /// More of a call's arguments. Joined, they are the text of one JSON object; where the model gave a parameter twice, so does
    /// the text, and the last one counts, as it does for readers of JSON.
    ///
    /// @param text never empty
    record Arguments(int index, String text) implements OutputDelta {}

    /// The call is complete, or the output ended inside it.
    ///
    /// @param arguments all of them as one JSON object, each parameter once
    record CallEnded(int index, String arguments) implements OutputDelta {}
}
