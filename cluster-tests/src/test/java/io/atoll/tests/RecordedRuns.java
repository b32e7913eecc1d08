package io.atoll.tests;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import io.atoll.attention.moe.RemoteExperts;
import io.atoll.attention.moe.RemoteExpertsSettings;
import io.atoll.attention.moe.RoutedExperts;
import io.atoll.attention.moe.RoutedModel;
import io.atoll.attention.moe.WorkerAddress;
import io.atoll.attention.step.AttentionSettings;
import io.atoll.attention.step.LocalAttentionWorker;
import io.atoll.attention.step.Opening;
import io.atoll.attention.step.SamplingParameters;
import io.atoll.attention.step.SequenceOptions;
import io.atoll.attention.step.StepOutcome;
import io.atoll.attention.step.StepOutcome.Sampled;
import io.atoll.attention.step.StepPlan;
import io.atoll.attention.step.StepPlan.SequenceRows;
import io.atoll.cli.roles.ExpertRows;
import io.atoll.cli.roles.LocalExperts;
import io.atoll.cluster.placement.ExpertShard;
import io.atoll.expert.DeviceChoice;
import io.atoll.expert.ExpertWorker;
import io.atoll.expert.ExpertWorkerSettings;
import io.atoll.kernels.ComputePool;
import io.atoll.kernels.KernelLibrary;
import io.atoll.kernels.Kernels;
import io.atoll.kernels.KvFormat;
import io.atoll.model.ModelDirectory;
import io.atoll.model.config.TextConfig;
import io.atoll.model.trace.ForwardObserver;
import java.io.IOException;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.TreeMap;

/// The demo model, or another form of it, with sequences that it runs in some cluster of this JVM. What they give is recorded.
final class RecordedRuns implements AutoCloseable {
    private static final int DECODED = 5;
    private static final SamplingParameters SAMPLING =
            new SamplingParameters(1, 20, 0.95f, 0, 0.3f, 0.1f, 1.1f, 7);

    private final Kernels kernels = KernelLibrary.select(Optional.empty());
    private final Path path;
    private final ModelDirectory model;
    private final List<int[]> prompts;

    /// Sequences of random tokens.
    RecordedRuns(Path path) {
        this(path, randomPrompts());
    }

    /// @param prompts one for each sequence
    RecordedRuns(Path path, List<int[]> prompts) {
        this.path = path;
        this.prompts = prompts;
        model = ModelDirectory.open(path);
    }

    ModelDirectory model() {
        return model;
    }

    /// What one sequence gave: the logits of every row, and each chosen token with its probability.
    record Trace(List<float[]> logits, List<Integer> tokens, List<Float> logprobs) {
        Trace() {
            this(new ArrayList<>(), new ArrayList<>(), new ArrayList<>());
        }
    }

    /// Lengths around a KV block and, with the longest, an attention segment.
    private static List<int[]> randomPrompts() {
        Random random = new Random(5);
        List<int[]> prompts = new ArrayList<>();
        for (int length : new int[] {1, 2, 31, 32, 33, 64, 100, 270}) {
            prompts.add(random.ints(length, 0, 2016).toArray());
        }
        return prompts;
    }

    /// The same sequences gave the same tokens, probabilities and logits, to the last bit.
    static void assertSame(Map<Long, Trace> expected, Map<Long, Trace> found) {
        assertEquals(expected.keySet(), found.keySet());
        for (long id : expected.keySet()) {
            Trace want = expected.get(id);
            Trace got = found.get(id);
            assertEquals(want.tokens(), got.tokens(), "tokens of sequence " + id);
            assertEquals(want.logprobs(), got.logprobs(), "logprobs of sequence " + id);
            assertEquals(want.logits().size(), got.logits().size());
            for (int row = 0; row < want.logits().size(); row++) {
                assertArrayEquals(
                        want.logits().get(row),
                        got.logits().get(row),
                        "logits of sequence " + id + " row " + row);
            }
        }
    }

    @Override
    public void close() {
        model.close();
    }

    private static List<String> shards(String topology) {
        return switch (topology) {
            case "one" -> List.of();
            case "two", "a GPU and a CPU" -> List.of("0-15", "16-31");
            case "three uneven" -> List.of("0-2", "3-25", "26-31");
            case "by layer" -> List.of("0-2:*;7:0-4", "3-6:*;7:5-31");
            case "overlapping" -> List.of("0-20", "10-31", "*");
            default -> throw new IllegalArgumentException(topology);
        };
    }

    /// Runs all sequences, `batch` at a time.
    Map<Long, Trace> run(String topology, int threads, int batch) throws IOException {
        List<ExpertWorker> workers = new ArrayList<>();
        TextConfig text = model.config().text();
        try (ComputePool pool = new ComputePool(threads)) {
            for (String shard : shards(topology)) {
                workers.add(
                        startWorker(
                                "w" + workers.size(),
                                ExpertShard.parse(shard, text.layerCount(), text.experts()),
                                topology.contains("GPU") && workers.isEmpty()
                                        ? DeviceChoice.CUDA
                                        : DeviceChoice.CPU));
            }
            try (RoutedExperts experts =
                            workers.isEmpty()
                                    ? LocalExperts.load(model, Optional.empty(), kernels, pool)
                                    : connect(workers, text);
                    LocalAttentionWorker worker =
                            new LocalAttentionWorker(
                                    model.textWeights(),
                                    model.modelDigest(),
                                    2036,
                                    experts,
                                    kernels,
                                    pool,
                                    new AttentionSettings(
                                            600,
                                            prompts.size(),
                                            0,
                                            512,
                                            8 * 512,
                                            KvFormat.BF16,
                                            threads,
                                            Optional.empty(),
                                            Duration.ofSeconds(30),
                                            Optional.empty()))) {
                Map<Long, Trace> traces = new TreeMap<>();
                for (int first = 0; first < prompts.size(); first += batch) {
                    runBatch(worker, first, Math.min(prompts.size(), first + batch), traces);
                }
                return traces;
            }
        } finally {
            workers.forEach(ExpertWorker::close);
        }
    }

    private ExpertWorker startWorker(String name, ExpertShard shard, DeviceChoice device)
            throws IOException {
        ExpertWorker worker =
                ExpertWorker.open(
                        ExpertWorkerSettings.of(name, "test", path, shard, "127.0.0.1", 0)
                                .on(device));
        worker.start();
        return worker;
    }

    private RoutedExperts connect(List<ExpertWorker> workers, TextConfig text) {
        List<WorkerAddress> addresses = new ArrayList<>();
        for (ExpertWorker worker : workers) {
            addresses.add(new WorkerAddress("w" + addresses.size(), "127.0.0.1", worker.port()));
        }
        RemoteExperts experts =
                new RemoteExperts(
                        RemoteExpertsSettings.of("test", "test", addresses),
                        new RoutedModel(
                                model.modelDigest(),
                                text.layerCount(),
                                text.experts(),
                                text.hiddenSize(),
                                ExpertRows.format(model),
                                ExpertWorker.FRACTION_BITS),
                        kernels);
        try {
            assertEquals(Optional.empty(), experts.awaitAvailable(Duration.ofSeconds(30)));
        } catch (InterruptedException e) {
            throw new IllegalStateException(e);
        }
        return experts;
    }

    /// Prefills the sequences together, then decodes them together: the first half of the decode steps shows all logits, the
    /// rest takes the path of production, without an observer.
    private void runBatch(
            LocalAttentionWorker worker, int first, int end, Map<Long, Trace> traces) {
        Map<Long, int[]> next = new TreeMap<>();
        Map<Long, Integer> positions = new TreeMap<>();
        for (long id = first; id < end; id++) {
            int[] prompt = prompts.get((int) id);
            SequenceOptions options =
                    new SequenceOptions(prompt.length, prompt.length + DECODED, SAMPLING);
            assertEquals(new Opening.Opened(0), worker.open(id, options, prompt));
            next.put(id, prompt);
            positions.put(id, 0);
            traces.put(id, new Trace());
        }
        for (int step = 0; step < DECODED; step++) {
            List<SequenceRows> rows = new ArrayList<>();
            for (long id : next.keySet()) {
                rows.add(new SequenceRows(id, positions.get(id), next.get(id), true));
            }
            StepPlan plan = new StepPlan(step, rows, Duration.ofSeconds(60));
            boolean observed = step <= DECODED / 2;
            StepOutcome outcome =
                    observed ? worker.step(plan, collector(plan, traces)) : worker.step(plan);
            List<Sampled> sampled =
                    switch (outcome) {
                        case StepOutcome.Completed(var tokens, _, _, _) -> tokens;
                        case StepOutcome.Failed(var failure) ->
                                throw new AssertionError(failure.toString());
                    };
            for (Sampled token : sampled) {
                long id = token.sequenceId();
                traces.get(id).tokens().add(token.token());
                traces.get(id).logprobs().add(token.logprob());
                positions.merge(id, next.get(id).length, Integer::sum);
                next.put(id, new int[] {token.token()});
            }
        }
        next.keySet().forEach(worker::close);
    }

    private static ForwardObserver collector(StepPlan plan, Map<Long, Trace> traces) {
        return (name, layer, data, rows, cols) -> {
            if (!name.equals("logits")) {
                return;
            }
            float[] all = data.asSlice(0, 4L * rows * cols).toArray(ValueLayout.JAVA_FLOAT);
            int row = 0;
            for (SequenceRows sequence : plan.sequences()) {
                for (int i = 0; i < sequence.tokens().length; i++) {
                    float[] logits = new float[cols];
                    System.arraycopy(all, row * cols, logits, 0, cols);
                    traces.get(sequence.sequenceId()).logits().add(logits);
                    row++;
                }
            }
        };
    }
}
