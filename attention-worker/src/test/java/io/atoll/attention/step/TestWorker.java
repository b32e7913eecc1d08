package io.atoll.attention.step;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;

import io.atoll.attention.DemoModel;
import io.atoll.attention.InProcessExperts;
import io.atoll.attention.state.CheckpointDisk;
import io.atoll.attention.step.StepPlan.SequenceRows;
import io.atoll.kernels.ComputePool;
import io.atoll.kernels.Kernels;
import io.atoll.kernels.KvFormat;
import io.atoll.kernels.scalar.ScalarKernels;
import io.atoll.model.trace.ForwardObserver;
import io.atoll.model.weights.TextWeights;
import io.atoll.proto.Failure;
import java.lang.foreign.ValueLayout;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;

/// A local worker over the demo model, and the few calls that tests make of it again and again.
final class TestWorker implements AutoCloseable {
    static final Duration TIMEOUT = Duration.ofMinutes(1);

    final LocalAttentionWorker worker;
    private final ComputePool pool;
    private long stepId;

    static final AttentionSettings SETTINGS = settings(64, 10, 0, 1024, 4096);

    /// Keys and values in f32, as the golden files have them.
    static AttentionSettings settings(
            int rows, int sequences, int checkpoints, int tokens, long capacity) {
        return settings(rows, sequences, checkpoints, tokens, capacity, KvFormat.F32);
    }

    static AttentionSettings settings(
            int rows,
            int sequences,
            int checkpoints,
            int tokens,
            long capacity,
            KvFormat kvFormat) {
        return settings(rows, sequences, checkpoints, tokens, capacity, kvFormat, Optional.empty());
    }

    static AttentionSettings settings(
            int rows,
            int sequences,
            int checkpoints,
            int tokens,
            long capacity,
            KvFormat kvFormat,
            Optional<CheckpointDisk> disk) {
        return new AttentionSettings(
                rows,
                sequences,
                checkpoints,
                tokens,
                capacity,
                kvFormat,
                1,
                Optional.empty(),
                Duration.ofSeconds(10),
                disk);
    }

    TestWorker() {
        this(new ScalarKernels(), 1, SETTINGS, DemoModel.experts());
    }

    TestWorker(Kernels kernels, int threads, AttentionSettings settings, InProcessExperts experts) {
        this(DemoModel.directory().textWeights(), kernels, threads, settings, experts);
    }

    TestWorker(
            TextWeights weights,
            Kernels kernels,
            int threads,
            AttentionSettings settings,
            InProcessExperts experts) {
        pool = new ComputePool(threads);
        worker =
                new LocalAttentionWorker(
                        weights,
                        DemoModel.directory().modelDigest(),
                        DemoModel.VOCABULARY,
                        experts,
                        kernels,
                        pool,
                        settings);
    }

    /// Opens a greedy sequence.
    void open(long id, int promptTokens, int maxTokens) {
        open(id, promptTokens, maxTokens, SamplingParameters.GREEDY);
    }

    void open(long id, int promptTokens, int maxTokens, SamplingParameters sampling) {
        assertEquals(
                Optional.empty(),
                tryOpen(worker, id, new SequenceOptions(promptTokens, maxTokens, sampling)));
    }

    /// Opens a sequence whose tokens no checkpoint has seen.
    ///
    /// @return why it is not open
    static Optional<Failure> tryOpen(AttentionWorker worker, long id, SequenceOptions options) {
        return switch (worker.open(id, options, new int[options.promptTokens()])) {
            case Opening.Refused(var failure) -> Optional.of(failure);
            case Opening.Opened(int cachedTokens) -> {
                assertEquals(0, cachedTokens);
                yield Optional.empty();
            }
            case Opening.Loading() -> throw new AssertionError("there is no disk");
        };
    }

    /// Runs a step that must complete.
    List<StepOutcome.Sampled> step(SequenceRows... rows) {
        return step(ForwardObserver.NONE, rows);
    }

    List<StepOutcome.Sampled> step(ForwardObserver observer, SequenceRows... rows) {
        StepOutcome outcome = worker.step(plan(rows), observer);
        return assertInstanceOf(StepOutcome.Completed.class, outcome, outcome::toString).sampled();
    }

    StepPlan plan(SequenceRows... rows) {
        return new StepPlan(stepId++, List.of(rows), TIMEOUT);
    }

    /// A piece of a prompt, tokens `begin` to `end - 1`; the last piece samples.
    static SequenceRows piece(long id, int[] prompt, int begin, int end) {
        return new SequenceRows(
                id, begin, Arrays.copyOfRange(prompt, begin, end), end == prompt.length);
    }

    /// Feeds a whole prompt, at most `rowsPerStep` rows at a time, and returns the token chosen after it.
    StepOutcome.Sampled prefill(long id, int[] prompt, int rowsPerStep) {
        List<StepOutcome.Sampled> sampled = List.of();
        for (int begin = 0; begin < prompt.length; begin += rowsPerStep) {
            sampled = step(piece(id, prompt, begin, Math.min(prompt.length, begin + rowsPerStep)));
        }
        return sampled.getFirst();
    }

    /// Feeds back each chosen token, `count` times, and returns all tokens chosen with their log-probabilities as bits.
    List<StepOutcome.Sampled> decode(long id, int position, StepOutcome.Sampled first, int count) {
        List<StepOutcome.Sampled> sampled = new ArrayList<>(List.of(first));
        for (int i = 0; i < count; i++) {
            int[] token = {sampled.getLast().token()};
            sampled.addAll(step(new SequenceRows(id, position + i, token, true)));
        }
        return sampled;
    }

    /// The bits of all states of a sequence, by layer and name.
    Map<String, List<Integer>> state(long id) {
        Map<String, List<Integer>> states = new TreeMap<>();
        worker.showState(
                id,
                (name, layer, data, rows, cols) ->
                        states.put(
                                layer + "." + name,
                                Arrays.stream(
                                                data.asSlice(0, 4L * rows * cols)
                                                        .toArray(ValueLayout.JAVA_INT))
                                        .boxed()
                                        .toList()));
        return states;
    }

    @Override
    public void close() {
        worker.close();
        pool.close();
    }
}
