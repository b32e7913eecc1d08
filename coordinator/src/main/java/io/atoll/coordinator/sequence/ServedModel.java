package io.atoll.coordinator.sequence;

import io.atoll.model.chat.ChatTemplate;
import io.atoll.model.config.GenerationConfig;
import io.atoll.model.grammar.ConstraintCache;
import io.atoll.model.tokenizer.StreamDecoder;
import io.atoll.model.tokenizer.Tokenizer;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.stream.IntStream;

/// The served model as far as text goes.
///
/// @param name what clients call it
/// @param tokenizer borrowed: its owner closes it
/// @param template renders a conversation
/// @param generation where an answer stops, and how to sample when a request does not say
/// @param constraints over the vocabulary of the tokenizer
public record ServedModel(
        String name,
        Tokenizer tokenizer,
        ChatTemplate template,
        GenerationConfig generation,
        ConstraintCache constraints) {
    private static final String MESSAGE_BEGIN = "<|im_start|>";

    public ServedModel {
        if (name.isBlank()) {
            throw new IllegalArgumentException("a model needs a name");
        }
    }

    /// With constraints of its own.
    public ServedModel(
            String name, Tokenizer tokenizer, ChatTemplate template, GenerationConfig generation) {
        this(name, tokenizer, template, generation, new ConstraintCache(tokenizer, generation));
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

    /// Where other prompts are likely to depart from this one: where its first two and its last two messages begin. What they
    /// share is mostly the system message and the tools, or a conversation up to its last turn.
    ///
    /// @return positions in the prompt, ascending
    public int[] checkpoints(int[] prompt) {
        OptionalInt begin = tokenizer.tokenId(MESSAGE_BEGIN);
        if (begin.isEmpty()) {
            return new int[0];
        }
        int[] starts =
                IntStream.range(1, prompt.length)
                        .filter(i -> prompt[i] == begin.getAsInt())
                        .toArray();
        return IntStream.range(0, starts.length)
                .filter(i -> i < 2 || i >= starts.length - 2)
                .map(i -> starts[i])
                .toArray();
    }

    /// The text side of a new sequence.
    public OutputText outputText(GenerationRequest request) {
        return new OutputText(
                new StreamDecoder(tokenizer, true), request.stopStrings(), request.format());
    }
}
