package io.atoll.coordinator.sequence;

import io.atoll.model.chat.ChatTemplate;
import io.atoll.model.config.GenerationConfig;
import io.atoll.model.tokenizer.StreamDecoder;
import io.atoll.model.tokenizer.Tokenizer;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/// The served model as far as text goes.
///
/// @param name what clients call it
/// @param tokenizer borrowed: its owner closes it
/// @param template renders a conversation
/// @param generation where an answer stops, and how to sample when a request does not say
public record ServedModel(
        String name, Tokenizer tokenizer, ChatTemplate template, GenerationConfig generation) {
    public ServedModel {
        if (name.isBlank()) {
            throw new IllegalArgumentException("a model needs a name");
        }
    }

    /// A conversation as the model reads it.
    ///
    /// @param prompt text that ends where the answer begins
    /// @param opensThinking whether the prompt ends inside a thinking block
    public record RenderedChat(String prompt, boolean opensThinking) {}

    /// Renders a conversation.
    ///
    /// @param messages roles, contents and tool calls as the template reads them
    /// @param tools absent if the model may not call any
    /// @param options further variables of the template, such as `enable_thinking`
    /// @throws io.atoll.model.jinja.TemplateException if the template refuses the conversation
    public RenderedChat renderChat(
            List<Map<String, Object>> messages,
            Optional<List<Map<String, Object>>> tools,
            Map<String, Object> options) {
        String prompt = template.render(messages, tools, options);
        return new RenderedChat(prompt, prompt.stripTrailing().endsWith("<think>"));
    }

    /// The text side of a new sequence.
    public OutputText outputText(GenerationRequest request) {
        return new OutputText(
                new StreamDecoder(tokenizer, true), request.stopStrings(), request.format());
    }
}
