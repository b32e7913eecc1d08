package io.atoll.coordinator.sequence;

import io.atoll.attention.step.SequenceOptions;
import io.atoll.attention.step.StepOutcome;
import io.atoll.attention.step.TokenLogprob;
import io.atoll.proto.ErrorCode;
import io.atoll.proto.Failure;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/// One request while it runs: takes the chosen tokens, gives out text, and knows when the answer is complete.
///
/// Decoding a token and looking for stop strings cost a microsecond or so, far less than handing the token to another thread,
/// so the step loop does it. Everything behind the sink (JSON, sockets) is somebody else's thread.
public final class Sequence {
    private final long id;
    private final GenerationRequest request;
    private final OutputText text;
    private final EventSink sink;
    private final long arrivedNanos;

    private int[] tokens = new int[64];
    private int tokenCount;
    private int reasoningTokens;
    private int scoredTokens; // of the prompt, reported already
    private boolean over; // the sink has the last event, though no token led to it
    private boolean started;
    private long startedNanos;
    private int cachedTokens;
    private long firstTokenNanos;
    private long lastTokenNanos;

    /// @param text fresh, for this sequence alone
    /// @param arrivedNanos when the request came, on the clock of the other methods
    public Sequence(
            long id,
            GenerationRequest request,
            OutputText text,
            EventSink sink,
            long arrivedNanos) {
        this.id = id;
        this.request = request;
        this.text = text;
        this.sink = sink;
        this.arrivedNanos = arrivedNanos;
        this.lastTokenNanos = arrivedNanos;
    }

    public long id() {
        return id;
    }

    public int[] prompt() {
        return request.prompt();
    }

    /// See [GenerationRequest].
    public int[] checkpoints() {
        return request.checkpoints();
    }

    /// See [GenerationRequest].
    public int priority() {
        return request.priority();
    }

    /// When the request came.
    public long arrivedNanos() {
        return arrivedNanos;
    }

    /// Tokens of the prompt that did not have to be computed; known once it has [#started].
    public int cachedTokens() {
        return cachedTokens;
    }

    /// Tokens chosen so far.
    public int outputTokens() {
        return tokenCount;
    }

    /// Time since the last token was chosen, or since the request came if none was.
    public long nanosSinceLast(long nowNanos) {
        return nowNanos - lastTokenNanos;
    }

    /// What the attention worker has to reserve.
    public SequenceOptions options() {
        int promptTokens = request.prompt().length;
        return new SequenceOptions(
                promptTokens,
                promptTokens + request.maxOutputTokens(),
                request.sampling(),
                request.topLogprobs().orElse(0),
                request.constraint(),
                request.promptLogprobs());
    }

    public long queueDeadlineNanos() {
        return arrivedNanos + request.maxQueueTime().toNanos();
    }

    public long deadlineNanos() {
        return arrivedNanos + request.timeout().toNanos();
    }

    /// The attention worker keeps the sequence now. What happens when it is opened again, having been set aside, is no news.
    ///
    /// @param cached tokens of the prompt that need not be computed
    /// @return whether this was the first time
    public boolean started(long nowNanos, int cached) {
        if (started) {
            return false;
        }
        started = true;
        startedNanos = nowNanos;
        cachedTokens = cached;
        sink.offer(new GenerationEvent.Started());
        return true;
    }

    /// Takes the next token.
    ///
    /// @return whether the sequence goes on; if not, the sink has the last event
    public boolean accept(StepOutcome.Sampled sampled, long nowNanos) {
        if (over) {
            return false;
        }
        int token = sampled.token();
        if (tokenCount == 0) {
            firstTokenNanos = nowNanos;
        }
        lastTokenNanos = nowNanos;
        record(token);
        boolean stopToken = request.stopTokens().contains(token);
        GenerationEvent.Output piece = stopToken ? GenerationEvent.Output.NONE : text.append(token);
        if (text.inReasoning()) {
            reasoningTokens++;
        }
        if (!emit(withLogprobs(piece, sampled, stopToken))) {
            return false;
        }
        if (stopToken || text.stopped()) {
            finish(FinishReason.STOP, nowNanos);
            return false;
        }
        if (tokenCount == request.maxOutputTokens()) {
            finish(FinishReason.LENGTH, nowNanos);
            return false;
        }
        return true;
    }

    /// Takes scores of the prompt, which go on where the last ended. A sequence that was set aside brings them again from the
    /// beginning: what is known is left out. A sequence whose reader is too slow for them ends with its next token.
    public void scored(List<StepOutcome.Scored> scores) {
        List<TokenLogprobs> fresh = new ArrayList<>();
        for (StepOutcome.Scored score : scores) {
            if (scoredTokens == 0) {
                int first = request.prompt()[0];
                fresh.add(new TokenLogprobs(new TokenLogprob(first, Float.NaN), List.of()));
                scoredTokens = 1;
            }
            if (score.position() == scoredTokens) {
                fresh.add(
                        new TokenLogprobs(
                                new TokenLogprob(score.token(), score.logprob()), score.top()));
                scoredTokens++;
            }
        }
        over |= !emit(new GenerationEvent.Output(List.of(), fresh));
    }

    /// Adds the token's logprobs, if they are wanted and the token is part of the answer.
    private GenerationEvent.Output withLogprobs(
            GenerationEvent.Output piece, StepOutcome.Sampled sampled, boolean stopToken) {
        if (stopToken || request.topLogprobs().isEmpty()) {
            return piece;
        }
        TokenLogprob chosen = new TokenLogprob(sampled.token(), sampled.logprob());
        return new GenerationEvent.Output(
                piece.deltas(), List.of(new TokenLogprobs(chosen, sampled.top())));
    }

    /// The sequence can't go on.
    public void fail(Failure failure) {
        sink.offer(new GenerationEvent.Failed(failure));
    }

    private void finish(FinishReason reason, long nowNanos) {
        // A stop string can hide in what the decoder held back as the beginning of a character.
        if (emit(text.finish())) {
            FinishReason known = text.stopped() ? FinishReason.STOP : reason;
            if (known == FinishReason.STOP && text.called()) {
                known = FinishReason.TOOL_CALLS;
            }
            sink.offer(
                    new GenerationEvent.Finished(
                            known, Arrays.copyOf(tokens, tokenCount), stats(nowNanos)));
        }
    }

    private GenerationStats stats(long nowNanos) {
        return new GenerationStats(
                request.prompt().length,
                cachedTokens,
                tokenCount,
                reasoningTokens,
                Duration.ofNanos(startedNanos - arrivedNanos),
                Duration.ofNanos(firstTokenNanos - arrivedNanos),
                Duration.ofNanos(nowNanos - arrivedNanos));
    }

    /// Sends output on, or ends the sequence if there is no room for it.
    private boolean emit(GenerationEvent.Output piece) {
        if (piece.isEmpty() || sink.offer(piece)) {
            return true;
        }
        fail(
                new Failure(
                        ErrorCode.CANCELLED,
                        "the client reads too slowly: outputTokens=" + tokenCount));
        return false;
    }

    private void record(int token) {
        if (tokenCount == tokens.length) {
            tokens = Arrays.copyOf(tokens, 2 * tokenCount);
        }
        tokens[tokenCount++] = token;
    }
}
