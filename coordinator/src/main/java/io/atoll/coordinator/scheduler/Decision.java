package io.atoll.coordinator.scheduler;

import io.atoll.attention.step.SequenceOptions;
import io.atoll.attention.step.StepPlan;
import io.atoll.proto.Failure;
import java.util.List;
import java.util.Optional;

/// What the step loop has to do now.
///
/// @param ended sequences that are over, to be closed before anything else
/// @param next the one thing to do then
public record Decision(List<Ended> ended, Next next) {
    public Decision {
        ended = List.copyOf(ended);
    }

    /// A sequence that gets no more rows.
    ///
    /// @param open whether the worker keeps it, and so has to be told
    /// @param failure why it did not complete, if it did not
    public record Ended(long sequenceId, boolean open, Optional<Failure> failure) {}

    /// The next action of the step loop; its result is an event of the next decision.
    public sealed interface Next {}

    /// Ask the worker to keep a sequence.
    public record Open(long sequenceId, SequenceOptions options) implements Next {}

    /// Run a step.
    public record Run(StepPlan plan) implements Next {}

    /// There is no sequence: wait for one.
    public record Idle() implements Next {}
}
