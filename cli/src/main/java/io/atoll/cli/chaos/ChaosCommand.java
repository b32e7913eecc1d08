package io.atoll.cli.chaos;

import io.atoll.cli.AtollHome;
import io.atoll.cli.client.ApiClient;
import io.atoll.cli.process.LocalCluster;
import io.atoll.model.ModelDirectory;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.concurrent.Callable;
import java.util.concurrent.TimeUnit;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/// Kills, freezes and restarts workers of a small cluster while it streams answers: what `scripts/chaos` runs.
@Command(
        name = "chaos",
        description = {
            "Kill, freeze and restart expert workers under streaming load, and compare every"
                    + " answer.",
            "Three workers on this machine, each expert on two of them, and a coordinator. Prints"
                    + " each",
            "fault with the longest gap in any stream. Exit status 0 only if no request failed and"
                    + " no",
            "answer changed."
        },
        footer = {
            "",
            "Examples:",
            "  scripts/chaos --once",
            "  scripts/chaos --minutes 30 --seed 7 --only kill"
        })
public final class ChaosCommand implements Callable<Integer> {
    private static final int WORKERS = 3;
    private static final List<Fault> FAULTS = List.of(Fault.values());
    private static final Duration WARM_UP = Duration.ofSeconds(3);
    private static final Duration PATIENCE = Duration.ofSeconds(60);

    @Spec private CommandSpec spec;

    @Option(
            names = "--seed",
            paramLabel = "N",
            defaultValue = "1",
            description = "Decides questions, faults and victims. Default: ${DEFAULT-VALUE}.")
    private long seed;

    @Option(
            names = "--minutes",
            paramLabel = "M",
            defaultValue = "2",
            description = "How long to do harm. Default: ${DEFAULT-VALUE}.")
    private double minutes;

    @Option(names = "--once", description = "One kill, one freeze, one restart instead.")
    private boolean once;

    @Option(
            names = "--only",
            paramLabel = "FAULT",
            description = "Only kill, freeze or restart. Default: all.")
    private Optional<Fault> only;

    @Option(
            names = "--streams",
            paramLabel = "N",
            defaultValue = "3",
            description = "Answers that are streamed at once. Default: ${DEFAULT-VALUE}.")
    private int streams;

    @Option(
            names = "--model",
            paramLabel = "PATH",
            description = "Another model: a directory or a GGUF file. Default: the demo model.")
    private Optional<Path> model;

    private final Map<Fault, List<Long>> gapsMillis = new EnumMap<>(Fault.class);
    private int faults;
    private volatile boolean done;
    private volatile boolean stopped;

    @Override
    public Integer call() throws Exception {
        if (streams < 1 || streams > 64) {
            throw usage("--streams must be in [1, 64]: " + streams);
        }
        if (!(minutes > 0 && minutes <= 7 * 24 * 60)) {
            throw usage("--minutes must be more than 0 and at most a week: " + minutes);
        }
        Path path = model.orElseGet(AtollHome::demoModel);
        List<String> shards = shards(path);
        Path directory = Files.createTempDirectory("atoll-chaos-");
        System.out.printf(
                Locale.ROOT,
                "starting three expert workers, each expert on two, and a coordinator; logs in"
                        + " %s%n",
                directory);
        LocalCluster.Plan plan =
                new LocalCluster.Plan(
                        path, shards, 0, "", "  threads: 1\n  failure-deadline: 2s\n");
        try (LocalCluster cluster = LocalCluster.start(plan, directory);
                ApiClient client = new ApiClient(cluster.url())) {
            String name = client.get("v1/models").path("data").path(0).path("id").asText();
            StreamLoad load = new StreamLoad(client, name, streams, seed, this::complain);
            Runtime.getRuntime()
                    .addShutdownHook(Thread.ofPlatform().unstarted(() -> stop(cluster, load)));
            int tokens = load.ask();
            System.out.printf(
                    Locale.ROOT,
                    "undisturbed: %d answers of %d tokens; %d streams repeat them, seed %d%n",
                    load.questions(),
                    tokens,
                    streams,
                    seed);
            load.start();
            TimeUnit.NANOSECONDS.sleep(WARM_UP.toNanos());
            harm(cluster, load, shards);
            boolean ended = load.finish(PATIENCE);
            done = true;
            StreamLoad.Totals totals = load.totals();
            report(totals);
            if (!ended) {
                System.out.printf(
                        Locale.ROOT,
                        "some streams did not end within %d s%n",
                        PATIENCE.toSeconds());
            }
            return ended && totals.isFlawless() ? 0 : 1;
        } catch (IOException e) {
            if (stopped) {
                return 1;
            }
            throw e;
        } finally {
            done = true;
        }
    }

    private ParameterException usage(String message) {
        return new ParameterException(spec.commandLine(), message);
    }

    /// Thirds of the experts, two for each worker, so that each third has two holders.
    private static List<String> shards(Path model) throws IOException {
        int experts;
        try (ModelDirectory opened = ModelDirectory.open(model)) {
            experts = opened.config().text().experts();
        }
        int first = experts / 3;
        int second = 2 * experts / 3;
        return List.of(
                "0-" + (second - 1),
                first + "-" + (experts - 1),
                "0-" + (first - 1) + "," + second + "-" + (experts - 1));
    }

    private void harm(LocalCluster cluster, StreamLoad load, List<String> shards)
            throws IOException, InterruptedException {
        Random random = new Random(seed);
        if (once) {
            for (Fault fault : FAULTS) {
                strike(fault, random.nextInt(WORKERS), cluster, load, shards);
            }
            return;
        }
        long end = System.nanoTime() + (long) (minutes * 60e9);
        while (System.nanoTime() - end < 0) {
            Fault drawn = FAULTS.get(random.nextInt(FAULTS.size()));
            strike(only.orElse(drawn), random.nextInt(WORKERS), cluster, load, shards);
            TimeUnit.MILLISECONDS.sleep(300 + random.nextInt(700));
        }
    }

    private void strike(
            Fault fault, int worker, LocalCluster cluster, StreamLoad load, List<String> shards)
            throws IOException, InterruptedException {
        load.resetGaps();
        fault.begin(cluster, worker);
        TimeUnit.NANOSECONDS.sleep(fault.lasts().toNanos());
        fault.end(cluster, worker, shards.get(worker));
        // The next fault needs every worker: two at once may take both copies of an expert.
        cluster.awaitAllWorkers(PATIENCE);
        long gap = load.longestGap().toMillis();
        gapsMillis.computeIfAbsent(fault, _ -> new ArrayList<>()).add(gap);
        System.out.printf(
                Locale.ROOT,
                "%3d  %-8s w%d   longest gap %5d ms%n",
                ++faults,
                fault.label(),
                worker + 1,
                gap);
    }

    private void report(StreamLoad.Totals totals) {
        gapsMillis.forEach(
                (fault, gaps) -> {
                    List<Long> sorted = gaps.stream().sorted().toList();
                    System.out.printf(
                            Locale.ROOT,
                            "%-8s %3d times, longest gap: median %d ms, worst %d ms%n",
                            fault.label(),
                            sorted.size(),
                            sorted.get((sorted.size() - 1) / 2),
                            sorted.getLast());
                });
        System.out.printf(
                Locale.ROOT,
                "requests: %d sent, %d answered, %d failed, %d changed%n",
                totals.sent(),
                totals.answered(),
                totals.failed(),
                totals.changed());
    }

    /// What Ctrl-C does before the process ends: says how far it came.
    private void stop(LocalCluster cluster, StreamLoad load) {
        if (!done) {
            stopped = true;
            System.out.printf(
                    Locale.ROOT,
                    "stopped after %d faults; answers that are under way are not counted%n",
                    faults);
            report(load.totals());
            cluster.close();
        }
    }

    private void complain(String what) {
        if (!stopped) {
            System.out.printf(Locale.ROOT, "     %s%n", what);
        }
    }
}
