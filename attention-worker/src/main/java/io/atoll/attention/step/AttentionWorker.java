package io.atoll.attention.step;

import io.atoll.proto.Failure;
import java.util.List;
import java.util.Optional;

/// Runs steps over the sequences it keeps. One caller at a time: the step loop of a coordinator.
public interface AttentionWorker extends AutoCloseable {
    /// What this worker serves and how much of it; does not change.
    AttentionWorkerInfo info();

    /// Reserves what a sequence of at most `options.maxTokens()` tokens needs: KV blocks and a recurrent state. Begins it at the
    /// longest prefix of `tokens` that a checkpoint is kept of.
    ///
    /// @param tokens what is known of the sequence: its prompt, and its output so far if it was set aside. The last of them is
    ///     always left to a step
    Opening open(long sequenceId, SequenceOptions options, int[] tokens);

    /// What has become of a sequence whose opening was [Opening.Loading]; does not wait for it.
    Opening opening(long sequenceId);

    /// Runs every layer over the rows of one step and samples where asked.
    StepOutcome step(StepPlan plan);

    /// Ends a sequence. What it has seen may be kept as a checkpoint, for one that goes on from there. An unknown one is
    /// ignored: closing twice is harmless.
    void close(long sequenceId);

    /// Why a step would fail now, if it would.
    Optional<Failure> unavailable();

    /// The expert workers and what they have done; none if all experts are in this process. May be called from any thread.
    default List<ExpertWorkerStatus> expertWorkers() {
        return List.of();
    }

    /// What is in use and what was done, as of the last call that has ended. May be called from any thread, and does not wait.
    AttentionLoad load();

    @Override
    void close();
}
