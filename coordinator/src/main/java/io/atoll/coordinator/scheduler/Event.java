package io.atoll.coordinator.scheduler;

import io.atoll.attention.step.SequenceOptions;
import io.atoll.proto.Failure;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;

/// What happened since the scheduler last decided.
public sealed interface Event {
    /// A request wants to run.
    ///
    /// @param sequenceId never used before
    /// @param prompt token ids; the scheduler reads them until the sequence ends
    /// @param checkpoints positions in the prompt, ascending, where other sequences are likely to depart from it
    /// @param options what the worker will be asked to reserve
    /// @param priority lower goes first, and may have higher set aside
    /// @param queueDeadlineNanos when the sequence fails if it has not begun, on the clock of [Scheduler#next]
    /// @param deadlineNanos when the sequence fails
    record Arrived(
            long sequenceId,
            int[] prompt,
            int[] checkpoints,
            SequenceOptions options,
            int priority,
            long queueDeadlineNanos,
            long deadlineNanos)
            implements Event {
        public Arrived {
            if (prompt.length != options.promptTokens()) {
                throw new IllegalArgumentException(
                        "sequence "
                                + sequenceId
                                + " has "
                                + prompt.length
                                + " prompt tokens, its options say "
                                + options.promptTokens());
            }
        }
    }

    /// The answer to [Decision.Open]: the worker keeps the sequence, but can't go on with it before it is [Opened].
    record Loading(long sequenceId) implements Event {}

    /// The answer to [Decision.Open], or comes some time after [Loading]: the worker keeps the sequence. One that has ended is ignored.
    ///
    /// @param cachedTokens the first tokens, which it has seen already
    record Opened(long sequenceId, int cachedTokens) implements Event {}

    /// The answer to [Decision.Open], or comes some time after [Loading]: the worker does not keep the sequence.
    record OpenRefused(long sequenceId, Failure failure) implements Event {}

    /// Nobody waits for this sequence any more. One that has ended is ignored, since the two can cross.
    record Cancelled(long sequenceId, Failure why) implements Event {}

    /// The answer to [Decision.Run]: every row is computed.
    ///
    /// @param nextTokens the chosen tokens of each sequence that goes on, at least one; one that asked for a token and is not here is
    ///     complete
    /// @param drafted how many tokens were guessed for a sequence, where any were
    record StepCompleted(Map<Long, List<Integer>> nextTokens, Map<Long, Integer> drafted)
            implements Event {
        public StepCompleted {
            nextTokens = Map.copyOf(nextTokens);
            drafted = Map.copyOf(drafted);
        }

        /// Nothing was guessed.
        public static StepCompleted of(Map<Long, Integer> nextTokens) {
            return new StepCompleted(
                    nextTokens.entrySet().stream()
                            .collect(
                                    Collectors.toMap(
                                            Map.Entry::getKey, each -> List.of(each.getValue()))),
                    Map.of());
        }
    }

    /// The answer to [Decision.Run]: the sequences of the step are lost.
    record StepFailed(Failure failure) implements Event {}

    /// A step would fail now: what waits is told so instead of being left to wait.
    record Unavailable(Failure failure) implements Event {}
}
