package io.atoll.coordinator.sequence;

import io.atoll.model.chat.OutputDelta;
import io.atoll.model.chat.OutputParser;
import io.atoll.model.tokenizer.StreamDecoder;
import java.util.List;
import java.util.Optional;
import java.util.SplittableRandom;
import java.util.function.Supplier;

/// The text of one answer, token by token: decoded, cut at a stop string, told apart.
///
/// Stop strings are looked for in all that the model writes, reasoning and calls included, as it is what a client who names one
/// sees.
public final class OutputText {
    private final StreamDecoder decoder;
    private final StopStrings stops;
    private final Optional<OutputParser> parser; // absent: everything is content
    private final boolean oneCallOnly;
    private boolean inReasoning;
    private boolean called;
    private boolean complete; // by the one call it may have

    OutputText(StreamDecoder decoder, List<String> stopStrings, OutputFormat format) {
        this.decoder = decoder;
        this.stops = new StopStrings(stopStrings);
        switch (format) {
            case OutputFormat.Plain() -> {
                parser = Optional.empty();
                oneCallOnly = false;
            }
            case OutputFormat.Chat(var thinking, var tools, var parallelCalls) -> {
                parser = Optional.of(new OutputParser(thinking, tools, callIds()));
                oneCallOnly = !parallelCalls;
                inReasoning = thinking;
            }
        }
    }

    /// An id need only differ from the others of its conversation.
    private static Supplier<String> callIds() {
        SplittableRandom random = new SplittableRandom();
        return () -> "call_%016x%08x".formatted(random.nextLong(), random.nextInt());
    }

    /// Adds a token and gives what is ready to be sent.
    GenerationEvent.Output append(int token) {
        return tellApart(stops.append(decoder.next(token)));
    }

    /// What was held back, when no more tokens come.
    GenerationEvent.Output finish() {
        GenerationEvent.Output tail = tellApart(stops.append(decoder.finish()) + stops.finish());
        GenerationEvent.Output rest =
                parser.map(p -> output(p.finish())).orElse(GenerationEvent.Output.NONE);
        return tail.plus(rest);
    }

    /// Whether the answer is complete before a stop token: a stop string was seen, or the one call that is allowed.
    boolean stopped() {
        return stops.found() || complete;
    }

    /// Whether the model still thinks: it has said nothing since it began to.
    boolean inReasoning() {
        return inReasoning;
    }

    /// Whether the answer holds a call.
    boolean called() {
        return called;
    }

    private GenerationEvent.Output tellApart(String piece) {
        if (piece.isEmpty()) {
            return GenerationEvent.Output.NONE;
        }
        return parser.map(p -> output(p.feed(piece)))
                .orElseGet(
                        () -> GenerationEvent.Output.of(List.of(new OutputDelta.Content(piece))));
    }

    private GenerationEvent.Output output(List<OutputDelta> deltas) {
        if (complete) {
            return GenerationEvent.Output.NONE;
        }
        for (int i = 0; i < deltas.size(); i++) {
            OutputDelta delta = deltas.get(i);
            inReasoning = delta instanceof OutputDelta.Reasoning;
            called |= delta instanceof OutputDelta.CallStarted;
            if (oneCallOnly && delta instanceof OutputDelta.CallEnded) {
                complete = true;
                return GenerationEvent.Output.of(deltas.subList(0, i + 1));
            }
        }
        return GenerationEvent.Output.of(deltas);
    }
}
