package io.atoll.coordinator.sequence;

import io.atoll.model.chat.OutputDelta;
import io.atoll.model.chat.OutputParser;
import io.atoll.model.chat.ToolDefinitions;
import io.atoll.model.tokenizer.StreamDecoder;
import java.util.List;
import java.util.Optional;

/// The text of one answer, token by token: decoded, cut at a stop string, told apart.
///
/// Stop strings are looked for in all that the model writes, reasoning included, as it is what a client who names one sees.
public final class OutputText {
    private final StreamDecoder decoder;
    private final StopStrings stops;
    private final Optional<OutputParser> parser; // absent: everything is content
    private boolean inReasoning;

    OutputText(StreamDecoder decoder, List<String> stopStrings, OutputFormat format) {
        this.decoder = decoder;
        this.stops = new StopStrings(stopStrings);
        this.inReasoning = format == OutputFormat.CHAT_REASONING;
        this.parser =
                switch (format) {
                    case PLAIN -> Optional.empty();
                    case CHAT, CHAT_REASONING -> Optional.of(new OutputParser(inReasoning, ToolDefinitions.NONE, () -> ""));
                };
    }

    /// Adds a token and gives the text that is ready to be sent.
    GenerationEvent.Text append(int token) {
        return tellApart(stops.append(decoder.next(token)));
    }

    /// The text that was held back, when no more tokens come.
    GenerationEvent.Text finish() {
        GenerationEvent.Text tail = tellApart(stops.append(decoder.finish()) + stops.finish());
        GenerationEvent.Text rest =
                parser.map(p -> text(p.finish())).orElse(GenerationEvent.Text.NONE);
        return tail.plus(rest);
    }

    /// Whether a stop string was seen.
    boolean stopped() {
        return stops.found();
    }

    /// Whether the model still thinks: it has said nothing since it began to.
    boolean inReasoning() {
        return inReasoning;
    }

    private GenerationEvent.Text tellApart(String piece) {
        if (piece.isEmpty()) {
            return GenerationEvent.Text.NONE;
        }
        return parser.map(p -> text(p.feed(piece)))
                .orElseGet(() -> new GenerationEvent.Text("", piece));
    }

    private GenerationEvent.Text text(List<OutputDelta> deltas) {
        GenerationEvent.Text text = GenerationEvent.Text.NONE;
        for (OutputDelta delta : deltas) {
            switch (delta) {
                case OutputDelta.Reasoning(String thought) -> {
                    inReasoning = true;
                    text = text.plus(new GenerationEvent.Text(thought, ""));
                }
                case OutputDelta.Content(String said) -> {
                    inReasoning = false;
                    text = text.plus(new GenerationEvent.Text("", said));
                }
                case OutputDelta.CallStarted _, OutputDelta.Arguments _, OutputDelta.CallEnded _ ->
                        throw new IllegalStateException("a call, but no tools: " + delta);
            }
        }
        return text;
    }
}
