package io.atoll.cli.bench;

import io.atoll.cli.client.ApiClient;
import io.atoll.cli.load.HtmlReport;
import io.atoll.cli.load.LoadResult;
import io.atoll.cli.load.LoadRun;
import io.atoll.cli.load.LoadSettings;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Locale;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.concurrent.Callable;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import picocli.CommandLine.Command;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;
import picocli.CommandLine.TypeConversionException;

/// How an endpoint does under load.
@Command(
        name = "serve",
        description = {
            "Put an endpoint under the load of agents, and say how fast and how reliably it"
                    + " answers.",
            "A session is a conversation that grows turn by turn behind a system prompt and tools"
                    + " that all sessions share. Ctrl-C ends the load early and reports what was"
                    + " measured.",
            "If the endpoint wants an API key, put it into ATOLL_API_KEY."
        },
        footer = {
            "",
            "Examples:",
            "  atoll bench serve http://127.0.0.1:8000 --users 8 --duration 2m",
            "  atoll bench serve http://127.0.0.1:8000 --rate 0.5 --slo-ttft 2s --slo-tpot 100ms"
                    + " --report load.html"
        })
public final class BenchServeCommand implements Callable<Integer> {
    private static final int INTERRUPTED = 130;

    @Spec private CommandSpec command;

    @Parameters(paramLabel = "URL", description = "The endpoint.")
    private URI url;

    @Option(names = "--model", description = "The model to ask. Default: the endpoint's first.")
    private Optional<String> model;

    @Option(
            names = "--users",
            paramLabel = "N",
            description = "Closed loop: sessions at a time. Default: 4, without --rate.")
    private Optional<Integer> users;

    @Option(
            names = "--rate",
            paramLabel = "R",
            description = "Open loop: sessions that start per second, at random (Poisson).")
    private Optional<Double> rate;

    @Option(
            names = "--max-open",
            paramLabel = "N",
            defaultValue = "1000",
            description =
                    "Open loop: sessions beyond it are counted and not started. Default:"
                            + " ${DEFAULT-VALUE}.")
    private int maxOpen;

    @Option(
            names = "--sessions",
            paramLabel = "N",
            description = "End when this many sessions have ended. Default: no limit.")
    private Optional<Integer> sessions;

    @Option(
            names = "--duration",
            converter = Time.class,
            defaultValue = "60s",
            description = "No request starts after it. Default: ${DEFAULT-VALUE}.")
    private Duration duration;

    @Option(
            names = "--turns",
            paramLabel = "N",
            defaultValue = "6",
            description = "Turns of a session. Default: ${DEFAULT-VALUE}.")
    private int turns;

    @Option(
            names = "--think",
            converter = Time.class,
            defaultValue = "1s",
            description = "Mean pause before a session's next turn. Default: ${DEFAULT-VALUE}.")
    private Duration think;

    @Option(
            names = "--system-words",
            paramLabel = "N",
            defaultValue = "500",
            description = "Words of the shared system prompt. Default: ${DEFAULT-VALUE}.")
    private int systemWords;

    @Option(
            names = "--turn-words",
            paramLabel = "N",
            defaultValue = "150",
            description = "Mean words that a turn adds. Default: ${DEFAULT-VALUE}.")
    private int turnWords;

    @Option(
            names = "--output-tokens",
            paramLabel = "N",
            defaultValue = "64",
            description = "Mean tokens of an answer. Default: ${DEFAULT-VALUE}.")
    private int outputTokens;

    @Option(
            names = "--natural-ends",
            description = "Let the model end its answers before their length.")
    private boolean naturalEnds;

    @Option(
            names = "--timeout",
            converter = Time.class,
            defaultValue = "10m",
            description = "Longest time of one request. Default: ${DEFAULT-VALUE}.")
    private Duration timeout;

    @Option(
            names = "--slo-ttft",
            converter = Time.class,
            paramLabel = "TIME",
            description = "A good request's longest time to the first token.")
    private Optional<Duration> sloFirst;

    @Option(
            names = "--slo-tpot",
            converter = Time.class,
            paramLabel = "TIME",
            description = "A good request's longest mean time per token after the first.")
    private Optional<Duration> sloPerToken;

    @Option(
            names = "--seed",
            paramLabel = "N",
            defaultValue = "1",
            description =
                    "Draws arrivals, lengths, texts and pauses. Default: ${DEFAULT-VALUE}. A server"
                            + " that has seen a seed's texts may have them cached.")
    private long seed;

    @Option(names = "--json", description = "Print the result as JSON.")
    private boolean json;

    @Option(
            names = "--report",
            paramLabel = "FILE",
            description = "Also write one HTML page with plots.")
    private Optional<Path> report;

    /// Reads `500ms`, `30s`, `5m` or `1h`.
    static final class Time implements ITypeConverter<Duration> {
        private static final Pattern FORM = Pattern.compile("(\\d{1,9})(ms|s|m|h)");

        @Override
        public Duration convert(String text) {
            Matcher matcher = FORM.matcher(text);
            if (!matcher.matches()) {
                throw new TypeConversionException(
                        "a duration such as 500ms, 30s or 5m, not '" + text + "'");
            }
            long count = Long.parseLong(matcher.group(1));
            return switch (matcher.group(2)) {
                case "ms" -> Duration.ofMillis(count);
                case "s" -> Duration.ofSeconds(count);
                case "m" -> Duration.ofMinutes(count);
                default -> Duration.ofHours(count);
            };
        }
    }

    @Override
    public Integer call() throws Exception {
        check();
        String key = System.getenv("ATOLL_API_KEY");
        CountDownLatch reported = new CountDownLatch(1);
        try (ApiClient client =
                new ApiClient(
                        url,
                        Optional.ofNullable(key).map(String::strip).filter(k -> !k.isEmpty()))) {
            LoadRun run = new LoadRun(settings(client), client);
            Thread onCtrlC =
                    new Thread(
                            () -> {
                                run.stop();
                                try {
                                    if (!reported.await(20, TimeUnit.SECONDS)) {
                                        System.err.println("atoll: the load did not end in 20 s");
                                    }
                                } catch (InterruptedException _) {
                                    Thread.currentThread().interrupt();
                                }
                            });
            Runtime.getRuntime().addShutdownHook(onCtrlC);
            Thread progress = Thread.startVirtualThread(() -> showProgress(run));
            LoadResult result;
            try {
                result = run.run();
            } finally {
                progress.interrupt();
                progress.join();
            }
            System.out.print(json ? result.toJson() + "\n" : result.toText());
            System.out.flush();
            if (report.isPresent()) {
                Files.writeString(report.get(), HtmlReport.of(result));
                System.err.println("wrote " + report.get());
            }
            if (!result.stopped()) {
                Runtime.getRuntime().removeShutdownHook(onCtrlC);
            }
            return result.stopped() ? INTERRUPTED : 0;
        } finally {
            reported.countDown();
        }
    }

    private LoadSettings settings(ApiClient client) throws Exception {
        String name =
                model.isPresent()
                        ? model.get()
                        : client.get("v1/models").path("data").path(0).path("id").asText();
        return new LoadSettings(
                name,
                users.orElse(4),
                rate.isPresent() ? OptionalDouble.of(rate.get()) : OptionalDouble.empty(),
                maxOpen,
                sessions.orElse(Integer.MAX_VALUE),
                duration,
                turns,
                think,
                systemWords,
                turnWords,
                outputTokens,
                naturalEnds,
                timeout,
                new LoadSettings.Slo(sloFirst, sloPerToken),
                seed);
    }

    private void check() {
        if (rate.isPresent() && users.isPresent()) {
            throw new ParameterException(command.commandLine(), "give --rate or --users, not both");
        }
        inRange("--users", users.orElse(1), 1, 10_000);
        inRange("--max-open", maxOpen, 1, 100_000);
        inRange("--sessions", sessions.orElse(1), 1, 1_000_000_000);
        inRange("--turns", turns, 1, 1000);
        inRange("--system-words", systemWords, 1, 1_000_000);
        inRange("--turn-words", turnWords, 1, 1_000_000);
        inRange("--output-tokens", outputTokens, 1, 1_000_000);
        if (rate.isPresent() && !(rate.get() >= 0.001 && rate.get() <= 10_000)) {
            throw new ParameterException(
                    command.commandLine(), "--rate must be in [0.001, 10000.0]: " + rate.get());
        }
        Path folder = report.map(p -> p.toAbsolutePath().getParent()).orElse(null);
        if (folder != null && !Files.isDirectory(folder)) {
            throw new ParameterException(
                    command.commandLine(), "the directory " + folder + " does not exist");
        }
    }

    private void inRange(String name, int value, int least, int most) {
        if (value < least || value > most) {
            throw new ParameterException(
                    command.commandLine(),
                    name + " must be in [" + least + ", " + most + "]: " + value);
        }
    }

    @SuppressWarnings("SystemConsoleNull") // it is null in a JVM with -Djdk.console=java.base
    private void showProgress(LoadRun run) {
        boolean terminal = System.console() != null && System.console().isTerminal();
        long start = System.nanoTime();
        try {
            while (true) {
                Thread.sleep(terminal ? 500 : 10_000);
                LoadRun.Progress progress = run.progress();
                String line =
                        String.format(
                                Locale.ROOT,
                                "%d of %d s: %d requests ended, %d run",
                                (System.nanoTime() - start) / 1_000_000_000,
                                duration.toSeconds(),
                                progress.ended(),
                                progress.running());
                System.err.print(terminal ? "\r" + line + "   " : line + "\n");
                System.err.flush();
            }
        } catch (InterruptedException _) {
            if (terminal) {
                System.err.print("\r" + " ".repeat(70) + "\r");
            }
        }
    }
}
