package io.atoll.cli.conformance;

import io.atoll.attention.moe.RoutedExperts;
import io.atoll.attention.step.AttentionSettings;
import io.atoll.attention.step.LocalAttentionWorker;
import io.atoll.attention.step.Opening;
import io.atoll.attention.step.SamplingParameters;
import io.atoll.attention.step.SequenceOptions;
import io.atoll.attention.step.Speculation;
import io.atoll.attention.step.StepOutcome;
import io.atoll.attention.step.StepPlan;
import io.atoll.attention.step.StepPlan.SequenceRows;
import io.atoll.cli.roles.LocalExperts;
import io.atoll.kernels.ComputePool;
import io.atoll.kernels.Kernels;
import io.atoll.kernels.KvFormat;
import io.atoll.model.ModelDirectory;
import io.atoll.model.config.TextConfig;
import io.atoll.model.tokenizer.Tokenizer;
import io.atoll.model.trace.ForwardObserver;
import io.atoll.model.trace.Recording;
import io.atoll.model.weights.PackingMode;
import io.atoll.model.weights.TextWeights;
import io.atoll.model.weights.WeightPacking;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;

/// The attention worker that serves, stepped from this process, over routed experts wherever they are.
final class WorkerEngine implements Engine {
    private static final int STEP_ROWS = 256;
    private static final int LONGEST_SEQUENCE = 1 << 16;
    private static final Duration TIMEOUT = Duration.ofMinutes(5); // a large model from a cold disk

    private final ModelDirectory model;
    private final ComputePool pool;
    private final RoutedExperts experts;
    private final LocalAttentionWorker worker;
    private long nextSequence;
    private long nextStep;

    /// Opens the routed experts of a model.
    interface ExpertsOpener {
        RoutedExperts open(ModelDirectory model, Kernels kernels, ComputePool pool);
    }

    /// Experts in this process, as `atoll serve` has them.
    static WorkerEngine withLocalExperts(Path directory, Kernels kernels, KvFormat kvFormat) {
        return open(
                directory,
                kernels,
                kvFormat,
                (model, k, pool) -> LocalExperts.load(model, Optional.empty(), k, pool));
    }

    /// Experts on two expert workers, started for this engine.
    static WorkerEngine withClusterExperts(Path directory, Kernels kernels, KvFormat kvFormat) {
        return open(
                directory,
                kernels,
                kvFormat,
                (model, _, _) -> ClusterExperts.start(model, kernels));
    }

    /// @param opener what it opens is closed with the engine
    static WorkerEngine open(
            Path directory, Kernels kernels, KvFormat kvFormat, ExpertsOpener opener) {
        List<AutoCloseable> opened = new ArrayList<>();
        try {
            ModelDirectory model = ModelDirectory.open(directory);
            opened.add(model);
            ComputePool pool = new ComputePool(Runtime.getRuntime().availableProcessors());
            opened.add(pool);
            RoutedExperts experts = opener.open(model, kernels, pool);
            opened.add(experts);
            return new WorkerEngine(model, kernels, kvFormat, pool, experts);
        } catch (RuntimeException e) {
            for (AutoCloseable each : opened.reversed()) {
                closeAfter(e, each);
            }
            throw e;
        }
    }

    private static void closeAfter(RuntimeException failure, AutoCloseable resource) {
        try {
            resource.close();
        } catch (Exception e) {
            failure.addSuppressed(e);
        }
    }

    private WorkerEngine(
            ModelDirectory model,
            Kernels kernels,
            KvFormat kvFormat,
            ComputePool pool,
            RoutedExperts experts) {
        this.model = model;
        this.pool = pool;
        this.experts = experts;
        TextWeights weights = model.textWeights();
        int maxTokens = Math.min(weights.config().contextLength(), LONGEST_SEQUENCE);
        worker =
                new LocalAttentionWorker(
                        weights,
                        model.modelDigest(),
                        vocabularySize(model),
                        experts,
                        kernels,
                        pool,
                        new AttentionSettings(
                                STEP_ROWS,
                                1,
                                0,
                                maxTokens,
                                maxTokens,
                                kvFormat,
                                pool.threads(),
                                Optional.of(kernels.kernelClass().label()),
                                TIMEOUT,
                                Optional.empty(),
                                WeightPacking.predicts(weights)
                                        ? Speculation.DEFAULT
                                        : Speculation.OFF));
    }

    /// Ids from here on are never drafted.
    private static int vocabularySize(ModelDirectory model) {
        try (Tokenizer tokenizer = model.tokenizer()) {
            return Math.min(tokenizer.size(), model.config().text().vocabSize());
        }
    }

    @Override
    public TextConfig config() {
        return model.config().text();
    }

    @Override
    public boolean isExact() {
        return !worker.quantizesRows()
                && WeightPacking.expertMode(model.textWeights()) == PackingMode.EXACT;
    }

    @Override
    public boolean predicts() {
        return worker.info().maxDrafts() > 0;
    }

    @Override
    public Sequence open(int maxTokens) {
        long id = nextSequence++;
        // Nothing is sampled here, so where the prompt ends does not matter.
        SequenceOptions options = new SequenceOptions(1, maxTokens, SamplingParameters.GREEDY);
        return switch (worker.open(id, options, new int[1])) {
            case Opening.Opened _ -> new WorkerSequence(id);
            case Opening.Refused(var failure) ->
                    throw new EngineException("no sequence: " + failure);
            case Opening.Loading() -> throw new EngineException("there is no disk to load from");
        };
    }

    @Override
    public void close() {
        worker.close();
        experts.close();
        pool.close();
        model.close();
    }

    private final class WorkerSequence implements Sequence {
        private final long id;
        private int tokens;

        WorkerSequence(long id) {
            this.id = id;
        }

        @Override
        public float[][] feed(int[] ids, ForwardObserver observer) {
            List<float[]> logits = new ArrayList<>();
            for (int from = 0; from < ids.length; from += STEP_ROWS) {
                int to = Math.min(ids.length, from + STEP_ROWS);
                step(Arrays.copyOfRange(ids, from, to), observer, logits);
            }
            return logits.toArray(float[][]::new);
        }

        private void step(int[] ids, ForwardObserver observer, List<float[]> logits) {
            StepPlan plan =
                    new StepPlan(
                            nextStep++, List.of(new SequenceRows(id, tokens, ids, false)), TIMEOUT);
            Recording shown = new Recording();
            ForwardObserver tap =
                    (name, layer, data, rows, cols) -> {
                        observer.tensor(name, layer, data, rows, cols);
                        if (name.equals("logits")) {
                            shown.tensor(name, layer, data, rows, cols);
                        }
                    };
            if (worker.step(plan, tap) instanceof StepOutcome.Failed(var failure)) {
                throw new EngineException("step failed: " + failure);
            }
            tokens += ids.length;
            float[] all = shown.floats("logits").orElseThrow();
            int vocabulary = all.length / ids.length;
            for (int row = 0; row < ids.length; row++) {
                logits.add(Arrays.copyOfRange(all, row * vocabulary, (row + 1) * vocabulary));
            }
        }

        @Override
        public int[] draft(int token, int count, int vocabulary) {
            try {
                return worker.guess(id, token, count, TIMEOUT);
            } catch (IllegalStateException e) {
                throw new EngineException("no drafts", e);
            }
        }

        @Override
        public State state(int layer) {
            Recording shown = new Recording();
            worker.showState(id, shown);
            String prefix = "layer." + layer + ".";
            return switch (config().layers().get(layer)) {
                case LINEAR_ATTENTION ->
                        new State.Recurrent(
                                shown.floats(prefix + "conv_state").orElseThrow(),
                                shown.floats(prefix + "recurrent_state").orElseThrow());
                case FULL_ATTENTION ->
                        new State.KeyValues(
                                shown.floats(prefix + "k").orElseThrow(),
                                shown.floats(prefix + "v").orElseThrow());
            };
        }

        @Override
        public void close() {
            worker.close(id);
        }
    }
}
