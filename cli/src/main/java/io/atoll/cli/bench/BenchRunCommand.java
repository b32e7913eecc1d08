package io.atoll.cli.bench;

import io.atoll.cluster.config.ClusterFile;
import io.atoll.cluster.config.ClusterFile.AttentionSection;
import io.atoll.cluster.config.ConfigFileException;
import io.atoll.kernels.ReadSpeed;
import io.atoll.model.ModelDirectory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/// How fast a model runs here.
@Command(
        name = "run",
        description = {
            "Measure how fast a model processes prompts and generates, and how near that is to the"
                    + " memory's speed.",
            "Prompts are random tokens; the rates are of all sequences of a batch together. Every"
                    + " prompt length is measured with one sequence, every batch size at the"
                    + " shortest prompt (see --all)."
        },
        footer = {
            "",
            "Examples:",
            "  atoll bench run model.gguf",
            "  atoll bench run model.gguf --batches 1 --prompts 512 --stages",
            "  atoll bench run model.gguf --workers 2 --json"
        })
public final class BenchRunCommand implements Callable<Integer> {
    private static final int MAX_BATCH = 1024;
    private static final int MAX_WORKERS = 64;

    @Spec private CommandSpec command;

    @Parameters(paramLabel = "MODEL", description = "Directory of the checkpoint, or a GGUF file.")
    private Path model;

    @Option(
            names = "--threads",
            paramLabel = "N",
            description = "Compute threads. Default: the cluster file's, else every processor.")
    private Optional<Integer> threads;

    @Option(
            names = "--batches",
            split = ",",
            paramLabel = "N",
            defaultValue = "1,4,16",
            description = "Sequences that run together. Default: ${DEFAULT-VALUE}.")
    private List<Integer> batches;

    @Option(
            names = "--prompts",
            split = ",",
            paramLabel = "N",
            defaultValue = "32,512,4096",
            description = "Tokens of each sequence's prompt. Default: ${DEFAULT-VALUE}.")
    private List<Integer> prompts;

    @Option(
            names = "--generate",
            paramLabel = "N",
            defaultValue = "64",
            description = "Tokens that each sequence generates. Default: ${DEFAULT-VALUE}.")
    private int generate;

    @Option(names = "--all", description = "Measure every batch size with every prompt length.")
    private boolean all;

    @Option(
            names = "--repeat",
            paramLabel = "N",
            defaultValue = "3",
            description =
                    "Measure each case this often, fewer if it takes over a minute. Default:"
                            + " ${DEFAULT-VALUE}.")
    private int repeat;

    @Option(
            names = "--warm-up",
            paramLabel = "SECONDS",
            defaultValue = "60",
            description =
                    "Longest time to run before measuring; it ends when rates stop rising."
                            + " Default: ${DEFAULT-VALUE}.")
    private int warmUpSeconds;

    @Option(
            names = "--workers",
            paramLabel = "N",
            defaultValue = "0",
            description =
                    "Start this many expert workers on this machine and measure through them; they"
                            + " share the threads. Default: experts in this process.")
    private int workers;

    @Option(
            names = {"-c", "--config"},
            paramLabel = "FILE",
            description = "The cluster file; its expert workers are used if it names some.")
    private Optional<Path> config;

    @Option(
            names = "--kernels",
            paramLabel = "CLASS",
            description = "Force a kernel class; `atoll serve --help` lists them.")
    private Optional<String> kernels;

    @Option(
            names = "--stages",
            description = "Also print where the time of a generation step goes.")
    private boolean stages;

    @Option(names = "--json", description = "Print one JSON object on standard output.")
    private boolean json;

    @Override
    public Integer call() throws Exception {
        if (!Files.exists(model)) {
            throw usage("the model " + model + " does not exist");
        }
        ClusterFile file = file();
        Measurement measurement =
                new Measurement(
                        new Measurement.Plan(
                                model,
                                file,
                                kernels.or(file::kernels),
                                inRange("--workers", workers, 0, MAX_WORKERS),
                                cases(file),
                                inRange("--generate", generate, 1, 1 << 20),
                                inRange("--repeat", repeat, 1, 1000),
                                Duration.ofSeconds(inRange("--warm-up", warmUpSeconds, 0, 86_400)),
                                ReadSpeed.ENOUGH_BYTES),
                        System.err::println);
        BenchReport report = measurement.run();
        System.out.println(json ? report.json() : report.text(stages));
        return 0;
    }

    private List<Measurement.Case> cases(ClusterFile file) {
        batches.forEach(batch -> inRange("--batches", batch, 1, MAX_BATCH));
        int context;
        try (ModelDirectory opened = ModelDirectory.open(model)) {
            context = opened.config().text().contextLength();
        }
        prompts.forEach(prompt -> inRange("--prompts", prompt, 1, context - generate));
        int widest = batches.stream().mapToInt(Integer::intValue).max().orElse(1);
        if (widest > file.coordinator().maxStepRows()) {
            throw usage(
                    "--batches: "
                            + widest
                            + " sequences do not fit a step of "
                            + file.coordinator().maxStepRows()
                            + " rows (max-step-rows of the cluster file)");
        }
        int smallestBatch = batches.stream().min(Integer::compare).orElse(1);
        int shortest = prompts.stream().min(Integer::compare).orElse(1);
        List<Measurement.Case> cases = new ArrayList<>();
        for (int batch : batches) {
            for (int prompt : prompts) {
                if (all || batch == smallestBatch || prompt == shortest) {
                    cases.add(new Measurement.Case(batch, prompt));
                }
            }
        }
        return cases;
    }

    /// The cluster file, with the threads that were asked for.
    private ClusterFile file() {
        ClusterFile file = ClusterFile.defaults();
        if (config.isPresent()) {
            try {
                file = ClusterFile.read(config.get());
            } catch (ConfigFileException e) {
                throw usage(e.getMessage());
            }
        }
        if (workers > 0 && !file.expertWorkers().isEmpty()) {
            throw usage("--workers starts workers, and " + config.get() + " names some already");
        }
        AttentionSection attention = file.attentionWorker();
        int count = threads.map(n -> inRange("--threads", n, 1, 1024)).orElse(attention.threads());
        return file.with(
                attention.bare(
                        count,
                        attention.maxSequences(),
                        attention.maxSequenceTokens(),
                        attention.kvTokens()));
    }

    private int inRange(String option, int value, int min, int max) {
        if (value < min || value > max) {
            throw usage(option + " must be in [" + min + ", " + max + "]: " + value);
        }
        return value;
    }

    private ParameterException usage(String problem) {
        return new ParameterException(command.commandLine(), problem);
    }
}
