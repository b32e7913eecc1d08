package io.atoll.attention.step;

import io.atoll.attention.forward.StepBatch;
import io.atoll.attention.sampling.TokenCounts;
import io.atoll.attention.state.SequenceState;
import io.atoll.model.trace.ForwardObserver;
import io.atoll.proto.Failure;
import java.util.List;
import java.util.Optional;

/// Guesses the next tokens of sequences. A wrong guess costs a row of a step, never a token: what a guess is compared with is drawn
/// from the model's own distribution.
interface Drafter {
    /// A sequence that wants guesses.
    ///
    /// @param tokens the sequence so far; what the model has seen, and one token more
    /// @param length how many of `tokens` there are
    /// @param counts of the tokens that the model has seen
    /// @param wanted most guesses, at least one
    record Request(
            SequenceState state,
            SequenceOptions options,
            int[] tokens,
            int length,
            TokenCounts counts,
            int wanted) {}

    /// What came of some requests.
    sealed interface Guesses {
        /// For each request in order, at most as many as it wanted.
        record Found(int[][] drafts) implements Guesses {}

        /// A worker failed.
        record Failed(Failure failure) implements Guesses {}
    }

    /// A sequence's rows of a step that count.
    ///
    /// @param state its position is past them
    /// @param tokens the sequence so far, as far as the model has seen it
    /// @param firstRow of them in the step
    /// @param rows at least one
    record Seen(SequenceState state, int[] tokens, int firstRow, int rows) {}

    /// Guesses for several sequences.
    ///
    /// @param deadlineNanos [System#nanoTime] at which it gives up
    Guesses draft(List<Request> requests, long deadlineNanos);

    /// Takes in a step. Until then the model's buffers are as the step left them.
    default Optional<Failure> completed(
            StepBatch batch, List<Seen> seen, ForwardObserver observer, long deadlineNanos) {
        return Optional.empty();
    }
}
