package io.atoll.cli.conformance;

import io.atoll.kernels.KernelLibrary;
import io.atoll.kernels.KernelUnavailableException;
import io.atoll.kernels.Kernels;
import io.atoll.kernels.KvFormat;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.Set;
import java.util.Stack;
import java.util.concurrent.Callable;
import java.util.stream.Stream;
import picocli.CommandLine.Command;
import picocli.CommandLine.IParameterConsumer;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.Model.ArgSpec;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;
import picocli.CommandLine.TypeConversionException;

/// `atoll conformance`: compares an engine with golden files and prints one line for each suite.
///
/// The exit code is 0 if everything agrees, 1 if anything does not, and 2 if there is nothing to compare.
@Command(
        name = "conformance",
        description = "Compares an engine with golden files made with another implementation.")
public final class ConformanceCommand implements Callable<Integer> {
    private static final List<Suite> SUITES =
            List.of(
                    new ForwardSuite(),
                    new GenerateSuite(),
                    new MtpSuite(),
                    new TokenizerSuite(),
                    new ChatSuite(),
                    new ToolCallsSuite(),
                    new QuantSuite(),
                    new GgufSuite(),
                    new VisionSuite());

    @Spec private CommandSpec spec;

    @Parameters(index = "0", paramLabel = "DIR", description = "The set of golden files.")
    private Path directory;

    @Option(
            names = "--engine",
            paramLabel = "NAME",
            defaultValue = "reference",
            converter = EngineKindConverter.class,
            description = {
                "What to test: reference (the plain forward pass), serve (the attention worker with"
                    + " all experts in this process) or cluster (the same with two expert workers"
                    + " as processes). Default: ${DEFAULT-VALUE}."
            })
    private EngineKind engine;

    @Option(
            names = "--suite",
            paramLabel = "NAME",
            parameterConsumer = SuiteNames.class,
            description = "Only these suites. Default: all that DIR has.")
    private final Set<String> only = new LinkedHashSet<>();

    @Option(
            names = "--fixtures",
            paramLabel = "BASE",
            description =
                    "Another set, asked for the model, vocabulary and template that DIR lacks.")
    private Optional<Path> base;

    @Option(
            names = "--model",
            paramLabel = "PATH",
            description = "The model: a directory or a GGUF file.")
    private Optional<Path> model;

    @Option(
            names = "--kernels",
            paramLabel = "LABEL",
            description = "Kernel family. Default: the best that runs here.")
    private Optional<String> kernelLabel;

    @Override
    public Integer call() {
        if (!Files.isDirectory(directory)) {
            throw new ParameterException(spec.commandLine(), "not a directory: " + directory);
        }
        FixtureSet fixtures = new FixtureSet(directory, base, model);
        List<String> names =
                only.isEmpty() ? allNames().filter(fixtures::has).toList() : List.copyOf(only);
        if (names.stream().noneMatch(fixtures::has)) {
            throw new ParameterException(
                    spec.commandLine(),
                    "no golden files of "
                            + (only.isEmpty() ? allNames().toList() : names)
                            + " in "
                            + directory);
        }
        Kernels kernels = selectKernels();
        spec.commandLine().getErr().println("engine " + engine.label + ", kernels " + kernels);
        PrintWriter out = spec.commandLine().getOut();
        boolean passed = true;
        for (String name : names) {
            passed &= run(name, fixtures, kernels, out);
            out.flush();
        }
        return passed ? 0 : 1;
    }

    private Kernels selectKernels() {
        try {
            return KernelLibrary.select(kernelLabel);
        } catch (KernelUnavailableException e) {
            throw new ParameterException(spec.commandLine(), e.getMessage(), e);
        }
    }

    private boolean run(String name, FixtureSet fixtures, Kernels kernels, PrintWriter out) {
        Suite suite = SUITES.stream().filter(s -> s.name().equals(name)).findFirst().orElseThrow();
        if (!suite.supports(engine)) {
            out.printf("%-10s skip  not supported with engine %s yet%n", name, engine.label);
            return only.isEmpty(); // what was asked for and cannot be done is a failure
        }
        Checks checks = new Checks();
        long start = System.nanoTime();
        if (fixtures.has(name)) {
            compare(suite, fixtures, kernels, checks);
        } else {
            checks.fail(name, "not in " + directory);
        }
        print(name, checks, (System.nanoTime() - start) / 1e9, out);
        return checks.failed() == 0;
    }

    private void compare(Suite suite, FixtureSet fixtures, Kernels kernels, Checks checks) {
        try {
            suite.run(
                    fixtures,
                    directory -> engine.open(directory, kernels, suite.kvFormat()),
                    checks);
        } catch (FixtureException e) {
            checks.fail("golden file", e.getMessage());
        } catch (RuntimeException e) {
            // An engine under test may break in any way: that fails its suite; the others still
            // run.
            checks.fail("stopped", e.getClass().getSimpleName() + ": " + e.getMessage());
        }
    }

    private static void print(String name, Checks checks, double seconds, PrintWriter out) {
        boolean passed = checks.failed() == 0;
        List<String> parts = new ArrayList<>();
        parts.add(
                String.format(
                        Locale.ROOT,
                        "%-10s %s  %5d checks",
                        name,
                        passed ? "pass" : "FAIL",
                        checks.count()));
        if (!passed) {
            parts.add(checks.failed() + " failed");
        }
        checks.worst().ifPresent(worst -> parts.add(worst.toString()));
        parts.add(String.format(Locale.ROOT, "%.1f s", seconds));
        out.println(String.join("  ", parts));
        checks.notes().forEach(note -> out.println("    " + note));
        checks.failures().forEach(failure -> out.println("    " + failure));
        if (checks.failed() > checks.failures().size()) {
            out.println("    and " + (checks.failed() - checks.failures().size()) + " more");
        }
    }

    private static Stream<String> allNames() {
        return SUITES.stream().map(Suite::name);
    }

    /// What can be tested.
    enum EngineKind {
        REFERENCE("reference"),
        SERVE("serve"),
        CLUSTER("cluster");

        private final String label;

        EngineKind(String label) {
            this.label = label;
        }

        Engine open(Path model, Kernels kernels, KvFormat kvFormat) {
            return switch (this) {
                case REFERENCE -> ReferenceEngine.open(model, kernels, kvFormat);
                case SERVE -> WorkerEngine.withLocalExperts(model, kernels, kvFormat);
                case CLUSTER -> WorkerEngine.withClusterExperts(model, kernels, kvFormat);
            };
        }
    }

    /// Reads `--engine`.
    static final class EngineKindConverter implements ITypeConverter<EngineKind> {
        @Override
        public EngineKind convert(String value) {
            return Arrays.stream(EngineKind.values())
                    .filter(kind -> kind.label.equals(value))
                    .findFirst()
                    .orElseThrow(
                            () ->
                                    new TypeConversionException(
                                            "no engine '"
                                                    + value
                                                    + "', there are "
                                                    + Arrays.stream(EngineKind.values())
                                                            .map(kind -> kind.label)
                                                            .toList()));
        }
    }

    /// Reads the names after `--suite`, but not the directory that may follow them.
    static final class SuiteNames implements IParameterConsumer {
        @Override
        public void consumeParameters(
                Stack<String> arguments, ArgSpec option, CommandSpec command) {
            List<String> known = allNames().toList();
            if (arguments.isEmpty() || !known.contains(arguments.peek())) {
                String found = arguments.isEmpty() ? "nothing" : "'" + arguments.peek() + "'";
                throw new ParameterException(
                        command.commandLine(),
                        "--suite takes names of " + known + ", found " + found);
            }
            Set<String> names = option.getValue();
            while (!arguments.isEmpty() && known.contains(arguments.peek())) {
                names.add(arguments.pop());
            }
        }
    }
}
