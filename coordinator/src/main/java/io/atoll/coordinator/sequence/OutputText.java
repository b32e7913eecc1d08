package io.atoll.coordinator.sequence;

import io.atoll.model.tokenizer.StreamDecoder;
import java.util.List;

/// The text of one answer, token by token: decoded, cut at a stop string, told apart.
public final class OutputText {
    private final StreamDecoder decoder;
    private final StopStrings stops;
    private final ReasoningSplitter splitter;

    OutputText(StreamDecoder decoder, List<String> stopStrings, ReasoningSplitter splitter) {
        this.decoder = decoder;
        this.stops = new StopStrings(stopStrings);
        this.splitter = splitter;
    }

    /// Adds a token and gives the text that is ready to be sent.
    GenerationEvent.Text append(int token) {
        return splitter.append(stops.append(decoder.next(token)));
    }

    /// The text that was held back, when no more tokens come.
    GenerationEvent.Text finish() {
        String tail = stops.append(decoder.finish()) + stops.finish();
        GenerationEvent.Text text = splitter.append(tail);
        GenerationEvent.Text rest = splitter.finish();
        return new GenerationEvent.Text(
                text.reasoning() + rest.reasoning(), text.content() + rest.content());
    }

    /// Whether a stop string was seen.
    boolean stopped() {
        return stops.found();
    }

    /// Whether the next token is thought rather than said.
    boolean inReasoning() {
        return splitter.inReasoning();
    }
}
