package io.atoll.cli.bench;

import io.atoll.attention.forward.StageTimes.Stage;
import io.atoll.attention.moe.RoutedExperts;
import io.atoll.attention.moe.WorkerStatistics;
import io.atoll.attention.step.LocalAttentionWorker;
import io.atoll.cli.bench.BenchReport.MessageTime;
import io.atoll.cli.bench.BenchReport.Range;
import io.atoll.cli.bench.BenchReport.Row;
import io.atoll.cli.process.AtollProcess;
import io.atoll.cli.process.LocalCluster;
import io.atoll.cli.roles.AttentionParts;
import io.atoll.cluster.config.ClusterFile;
import io.atoll.cluster.config.ClusterFile.AttentionSection;
import io.atoll.cluster.config.ClusterFile.ExpertWorkerSection;
import io.atoll.kernels.ComputePool;
import io.atoll.kernels.KernelLibrary;
import io.atoll.kernels.ReadSpeed;
import io.atoll.kernels.WeightFormat;
import io.atoll.model.ModelDirectory;
import io.atoll.model.tokenizer.Tokenizer;
import io.atoll.proto.Failure;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;

/// Measures a model with the parts that `atoll serve` is made of, or an attention worker in this process and expert workers on
/// this machine.
final class Measurement {
    private static final Duration WORKER_START = Duration.ofMinutes(30);
    private static final long SEED = 1;

    /// A row is measured again until this is over.
    private static final long ENOUGH_NANOS = 60_000_000_000L;

    private static final int WARM_UP_PROMPT = 512;
    private static final int WARM_UP_GENERATED = 32;
    private static final int LEAST_ROUNDS = 4;

    /// Rates count as stable when this many rounds have not raised the best by more than [#RISE].
    private static final int STABLE_ROUNDS = 3;

    private static final double RISE = 1.02;

    private final Plan plan;
    private final Consumer<String> note;
    private final int threads;

    /// What to measure.
    ///
    /// @param model directory of the checkpoint, or a file
    /// @param file the cluster; its expert workers are used if it names some
    /// @param kernels forces a kernel class
    /// @param workers expert workers to start on this machine
    /// @param cases batch sizes and prompt lengths
    /// @param generate tokens that each sequence generates
    /// @param repeat how often each case is measured, unless that takes long
    /// @param warmUp longest time before the first measurement
    /// @param readBytes how much to read for the memory's speed
    record Plan(
            Path model,
            ClusterFile file,
            Optional<String> kernels,
            int workers,
            List<Case> cases,
            int generate,
            int repeat,
            Duration warmUp,
            long readBytes) {}

    /// @param promptTokens of each sequence
    record Case(int batch, int promptTokens) {}

    /// @param note told what happens, a line each
    Measurement(Plan plan, Consumer<String> note) {
        this.plan = plan;
        this.note = note;
        int setting = plan.file.attentionWorker().threads();
        threads = setting == 0 ? Runtime.getRuntime().availableProcessors() : setting;
    }

    /// @throws IOException if a worker does not start, or a step fails
    BenchReport run() throws IOException, InterruptedException {
        note.accept("reading memory");
        double readBefore = readSpeed();
        ProcessMemory.resetPeak();
        if (plan.workers == 0) {
            return measure(plan.file, List.of(), readBefore);
        }
        Path logs = Files.createTempDirectory("atoll-bench-");
        note.accept("starting " + plan.workers + " expert workers; their logs are in " + logs);
        List<AtollProcess> workers =
                LocalCluster.startWorkers(plan.model, logs, plan.workers, workerThreads());
        try {
            return measure(clusterOf(workers), workers, readBefore);
        } finally {
            workers.forEach(AtollProcess::close);
        }
    }

    private double readSpeed() {
        try (ComputePool pool = new ComputePool(threads)) {
            return ReadSpeed.measure(KernelLibrary.select(plan.kernels), pool, plan.readBytes);
        }
    }

    /// The attention worker waits while the workers compute, so they share its threads among them.
    private int workerThreads() {
        return plan.workers == 0 ? 0 : Math.max(1, threads / plan.workers);
    }

    private ClusterFile clusterOf(List<AtollProcess> workers)
            throws IOException, InterruptedException {
        List<ExpertWorkerSection> sections = new ArrayList<>();
        for (AtollProcess worker : workers) {
            sections.add(
                    new ExpertWorkerSection(
                            worker.name(),
                            worker.awaitReady(WORKER_START),
                            Optional.empty(),
                            null,
                            null,
                            null,
                            null));
        }
        return plan.file.onThisMachine(LocalCluster.CLUSTER_ID, sections);
    }

    private BenchReport measure(ClusterFile file, List<AtollProcess> workers, double readBefore)
            throws IOException, InterruptedException {
        note.accept("loading " + plan.model);
        long start = System.nanoTime();
        try (ModelDirectory model = ModelDirectory.open(plan.model)) {
            int vocabulary;
            try (Tokenizer tokenizer = model.tokenizer()) {
                vocabulary = tokenizer.size();
            }
            ExpertTraffic[] traffic = new ExpertTraffic[1];
            try (AttentionParts parts =
                    AttentionParts.watched(
                            model,
                            vocabulary,
                            sized(file),
                            plan.kernels,
                            experts -> traffic[0] = watching(experts, model, file))) {
                awaitExperts(parts.worker());
                double loadSeconds = (System.nanoTime() - start) / 1e9;
                return measure(
                        model, parts.worker(), traffic[0], file, workers, readBefore, loadSeconds);
            }
        }
    }

    private static ExpertTraffic watching(
            RoutedExperts experts, ModelDirectory model, ClusterFile file) {
        return new ExpertTraffic(
                experts, model.textWeights(), file.expertFormat().map(_ -> WeightFormat.Q8));
    }

    private BenchReport measure(
            ModelDirectory model,
            LocalAttentionWorker worker,
            ExpertTraffic traffic,
            ClusterFile file,
            List<AtollProcess> workers,
            double readBefore,
            double loadSeconds)
            throws IOException {
        StepRunner runner = new StepRunner(worker, SEED);
        long start = System.nanoTime();
        boolean stable = warmUp(runner);
        double warmUpSeconds = (System.nanoTime() - start) / 1e9;
        List<Row> rows = new ArrayList<>();
        for (Case one : plan.cases) {
            note.accept("batch " + one.batch + ", prompt of " + one.promptTokens + " tokens");
            rows.add(measure(one, runner, worker, traffic));
        }
        OptionalLong peak = peakBytes(workers); // before reading takes memory again
        double readAfter = readSpeed();
        return new BenchReport(
                model.name(),
                plan.model.toString(),
                worker.info().kernels(),
                threads,
                file.expertWorkers().size(),
                workerThreads(),
                loadSeconds,
                warmUpSeconds,
                stable,
                Range.of(readBefore, readAfter),
                peak,
                worker.layerBytes(),
                worker.headBytes(),
                rows);
    }

    /// The cluster file with room for the largest case and no more.
    private ClusterFile sized(ClusterFile file) {
        int blocks = 2 * 32; // positions that a sequence's last block may leave unused, and some
        int sequences = 1;
        int longest = WARM_UP_PROMPT + WARM_UP_GENERATED;
        long positions = (long) longest + blocks;
        for (Case one : plan.cases) {
            int length = one.promptTokens + plan.generate;
            sequences = Math.max(sequences, one.batch);
            longest = Math.max(longest, length);
            positions = Math.max(positions, (long) one.batch * (length + blocks));
        }
        AttentionSection attention = file.attentionWorker();
        return file.with(attention.bare(threads, sequences, longest, Math.toIntExact(positions)));
    }

    private static void awaitExperts(LocalAttentionWorker worker)
            throws IOException, InterruptedException {
        long deadline = System.nanoTime() + Duration.ofSeconds(60).toNanos();
        Optional<Failure> missing = worker.unavailable();
        while (missing.isPresent()) {
            if (System.nanoTime() - deadline > 0) {
                throw new IOException("the experts are not there: " + missing.get().message());
            }
            TimeUnit.MILLISECONDS.sleep(20);
            missing = worker.unavailable();
        }
    }

    /// Java compiles what runs often: runs until neither rate rises any more, or the time is over.
    ///
    /// @return whether they had stopped rising
    private boolean warmUp(StepRunner runner) throws IOException {
        note.accept("warming up");
        int longest = plan.cases.stream().mapToInt(Case::promptTokens).max().orElse(1);
        int prompt = Math.min(WARM_UP_PROMPT, longest);
        long end = System.nanoTime() + plan.warmUp.toNanos();
        double bestPrompt = 0;
        double bestGeneration = 0;
        int quiet = 0;
        for (int round = 0; quiet < STABLE_ROUNDS || round < LEAST_ROUNDS; round++) {
            if (System.nanoTime() - end > 0) {
                return false;
            }
            StepRunner.Run run = runner.run(1, prompt, WARM_UP_GENERATED, () -> {});
            boolean rises =
                    run.promptTokensPerSecond() > RISE * bestPrompt
                            || run.generatedTokensPerSecond() > RISE * bestGeneration;
            bestPrompt = Math.max(bestPrompt, run.promptTokensPerSecond());
            bestGeneration = Math.max(bestGeneration, run.generatedTokensPerSecond());
            quiet = rises ? 0 : quiet + 1;
        }
        return true;
    }

    private Row measure(
            Case one, StepRunner runner, LocalAttentionWorker worker, ExpertTraffic traffic)
            throws IOException {
        List<Double> prompt = new ArrayList<>();
        List<Double> generation = new ArrayList<>();
        Map<Stage, Double> stages = new EnumMap<>(Stage.class);
        List<WorkerStatistics> before = traffic.statistics();
        double expertBytes = 0;
        long start = System.nanoTime();
        while (prompt.size() < plan.repeat
                && (prompt.isEmpty() || System.nanoTime() - start < ENOUGH_NANOS)) {
            StepRunner.Run run =
                    runner.run(
                            one.batch,
                            one.promptTokens,
                            plan.generate,
                            () -> {
                                traffic.takeBytes();
                                worker.times().start();
                            });
            worker.times().stop();
            expertBytes += traffic.takeBytes();
            worker.times()
                    .nanos()
                    .forEach((stage, nanos) -> stages.merge(stage, (double) nanos, Double::sum));
            prompt.add(run.promptTokensPerSecond());
            generation.add(run.generatedTokensPerSecond());
        }
        int steps = prompt.size() * plan.generate;
        stages.replaceAll((_, nanos) -> nanos / steps);
        double stepBytes = worker.layerBytes() + worker.headBytes() + expertBytes / steps;
        return new Row(
                one.batch,
                one.promptTokens,
                plan.generate,
                prompt.size(),
                range(prompt),
                range(generation),
                stepBytes / one.batch,
                stages,
                messageTimes(before, traffic.statistics()));
    }

    /// Prompts are in it, too: a few messages of many.
    private static List<MessageTime> messageTimes(
            List<WorkerStatistics> before, List<WorkerStatistics> after) {
        List<MessageTime> times = new ArrayList<>();
        for (int i = 0; i < after.size(); i++) {
            MessageTime.between(before.get(i), after.get(i)).ifPresent(times::add);
        }
        return times;
    }

    private static Range range(List<Double> values) {
        return Range.of(values.stream().mapToDouble(Double::doubleValue).toArray());
    }

    private static OptionalLong peakBytes(List<AtollProcess> workers) {
        OptionalLong own = ProcessMemory.peakBytes(ProcessHandle.current().pid());
        if (own.isEmpty()) {
            return own;
        }
        long sum = own.getAsLong();
        for (AtollProcess worker : workers) {
            sum += ProcessMemory.peakBytes(worker.pid()).orElse(0);
        }
        return OptionalLong.of(sum);
    }
}
