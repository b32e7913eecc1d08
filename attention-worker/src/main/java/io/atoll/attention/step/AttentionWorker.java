package io.atoll.attention.step;

import io.atoll.proto.Failure;
import java.util.List;
import java.util.Optional;

/// Runs steps over the sequences it keeps. One caller at a time: the step loop of a coordinator.
public interface AttentionWorker extends AutoCloseable {
    /// What this worker serves and how much of it; does not change.
    AttentionWorkerInfo info();

    /// Reserves what a sequence of at most `options.maxTokens()` tokens needs: KV blocks and a recurrent state.
    ///
    /// @return empty when the sequence is open, else why it is not
    Optional<Failure> open(long sequenceId, SequenceOptions options);

    /// Runs every layer over the rows of one step and samples where asked.
    StepOutcome step(StepPlan plan);

    /// Frees a sequence. An unknown one is ignored: closing twice is harmless.
    void close(long sequenceId);

    /// Why a step would fail now, if it would.
    Optional<Failure> unavailable();

    /// The expert workers and what they have done; none if all experts are in this process. May be called from any thread.
    default List<ExpertWorkerStatus> expertWorkers() {
        return List.of();
    }

    @Override
    void close();
}
