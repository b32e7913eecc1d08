/// Conversations as text, in both directions.
///
/// Owns the way from messages to the prompt ([ChatTemplate], with the template that comes with the model) and from what the
/// model writes to reasoning, content and tool calls ([OutputParser], piece by piece as it is generated; [ToolCallParser] takes
/// the calls out of the content). The template language itself is in `io.atoll.model.jinja`.
///
/// Knows nothing of tokens, HTTP or the shape of an API's requests and replies. Read [ChatTemplate] next.
package io.atoll.model.chat;
