package io.atoll.coordinator.scheduler;

import io.atoll.attention.step.SequenceOptions;
import io.atoll.attention.step.StepPlan;
import io.atoll.proto.Failure;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.Optional;

/// What the step loop has to do now.
///
/// @param ended sequences that are over, to be closed before anything else
/// @param setAside sequences to be closed as well, which are not over: they will be opened again
/// @param next the one thing to do then
public record Decision(List<Ended> ended, List<Long> setAside, Next next) {
    public Decision {
        ended = List.copyOf(ended);
        setAside = List.copyOf(setAside);
    }

    /// A sequence that gets no more rows.
    ///
    /// @param open whether the worker keeps it, and so has to be told
    /// @param failure why it did not complete, if it did not
    public record Ended(long sequenceId, boolean open, Optional<Failure> failure) {}

    /// The next action of the step loop; its result is an event of the next decision.
    public sealed interface Next {}

    /// Ask the worker to keep a sequence.
    ///
    /// @param tokens all that is known of it: its prompt, and its output if it was set aside
    public record Open(long sequenceId, SequenceOptions options, int[] tokens) implements Next {
        @Override
        public boolean equals(Object other) {
            return other instanceof Open(long id, SequenceOptions theirs, int[] known)
                    && id == sequenceId
                    && theirs.equals(options)
                    && Arrays.equals(known, tokens);
        }

        @Override
        public int hashCode() {
            return Objects.hash(sequenceId, options, Arrays.hashCode(tokens));
        }
    }

    /// Run a step.
    public record Run(StepPlan plan) implements Next {}

    /// There is no sequence: wait for one.
    public record Idle() implements Next {}
}
