package io.atoll.cli;

import io.atoll.cli.bench.BenchCommand;
import io.atoll.cli.certs.CertsCommand;
import io.atoll.cli.chaos.ChaosCommand;
import io.atoll.cli.client.ApiException;
import io.atoll.cli.cluster.DrainCommand;
import io.atoll.cli.cluster.EventsCommand;
import io.atoll.cli.cluster.MoveCommand;
import io.atoll.cli.cluster.NodesCommand;
import io.atoll.cli.cluster.PlacementCommand;
import io.atoll.cli.cluster.RebalanceCommand;
import io.atoll.cli.cluster.ReplicateCommand;
import io.atoll.cli.cluster.StatusCommand;
import io.atoll.cli.cluster.WorkerChange;
import io.atoll.cli.config.ConfigCommand;
import io.atoll.cli.conformance.ConformanceCommand;
import io.atoll.cli.gpu.GpuCheckCommand;
import io.atoll.cli.keys.KeysCommand;
import io.atoll.cli.pack.PackCommand;
import io.atoll.cli.plan.PlanCommand;
import io.atoll.cli.roles.AttentionWorkerCommand;
import io.atoll.cli.roles.CoordinatorCommand;
import io.atoll.cli.roles.ExpertWorkerCommand;
import io.atoll.cli.roles.ServeCommand;
import io.atoll.cli.talk.ChatCommand;
import io.atoll.cli.talk.DemoCommand;
import io.atoll.cli.talk.GenerateCommand;
import java.util.Set;
import org.slf4j.LoggerFactory;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.HelpCommand;
import picocli.CommandLine.IVersionProvider;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.ParameterException;

/// The `atoll` command.
@Command(
        name = "atoll",
        description = "Serves Qwen3.5 MoE models from several ordinary machines.",
        synopsisSubcommandLabel = "COMMAND",
        mixinStandardHelpOptions = true,
        versionProvider = Main.Version.class,
        subcommands = {
            ServeCommand.class,
            CoordinatorCommand.class,
            AttentionWorkerCommand.class,
            ExpertWorkerCommand.class,
            ChatCommand.class,
            GenerateCommand.class,
            PackCommand.class,
            KeysCommand.class,
            CertsCommand.class,
            ConfigCommand.class,
            PlanCommand.class,
            StatusCommand.class,
            NodesCommand.class,
            EventsCommand.class,
            PlacementCommand.class,
            MoveCommand.class,
            ReplicateCommand.class,
            RebalanceCommand.class,
            DrainCommand.class,
            WorkerChange.Undrain.class,
            WorkerChange.Cordon.class,
            WorkerChange.Uncordon.class,
            ConformanceCommand.class,
            BenchCommand.class,
            DemoCommand.class,
            ChaosCommand.class,
            GpuCheckCommand.class,
            HelpCommand.class
        },
        footer = {
            "",
            "`atoll help COMMAND` explains one; `atoll demo` shows a small cluster at work."
        })
public final class Main {
    /// Commands that serve log what happens; the others print their results, and log only what is wrong.
    private static final Set<String> SERVERS =
            Set.of("serve", "coordinator", "attention-worker", "expert-worker");

    private Main() {}

    /// The version of the build, which the jar carries.
    static final class Version implements IVersionProvider {
        @Override
        public String[] getVersion() {
            String version = Main.class.getPackage().getImplementationVersion();
            return new String[] {"atoll " + (version == null ? "(not packaged)" : version)};
        }
    }

    public static void main(String[] arguments) {
        if (arguments.length > 0
                && !SERVERS.contains(arguments[0])
                && System.getenv("ATOLL_LOG_LEVEL") == null) {
            System.setProperty("ATOLL_LOG_LEVEL", "WARN"); // read when the first logger is made
        }
        CommandLine command = commandLine();
        if (arguments.length == 0) {
            command.usage(System.err);
            System.exit(2);
        }
        System.exit(command.execute(arguments));
    }

    /// The command with everything it needs to run.
    public static CommandLine commandLine() {
        CommandLine command = new CommandLine(new Main());
        command.setUsageHelpAutoWidth(true);
        command.setCaseInsensitiveEnumValuesAllowed(true);
        addHelp(command);
        command.setParameterExceptionHandler(Main::explain);
        command.setExecutionExceptionHandler(
                (failure, failed, _) -> {
                    report(failed, failure);
                    return failed.getCommandSpec().exitCodeOnExecutionException();
                });
        return command;
    }

    /// Gives every command below `command` the option.
    private static void addHelp(CommandLine command) {
        command.getSubcommands()
                .forEach(
                        (name, sub) -> {
                            if (!name.equals("help")) {
                                sub.getCommandSpec().addOption(helpOption());
                                addHelp(sub);
                            }
                        });
    }

    private static OptionSpec helpOption() {
        return OptionSpec.builder("-h", "--help")
                .usageHelp(true)
                .description("Print this help and exit.")
                .build();
    }

    /// A usage problem in one line; the whole help is a command away.
    private static int explain(ParameterException problem, String[] arguments) {
        CommandLine command = problem.getCommandLine();
        String name = command.getCommandSpec().qualifiedName();
        command.getErr().println(name + ": " + problem.getMessage());
        command.getErr().println("Try '" + name + " --help'.");
        return command.getCommandSpec().exitCodeOnInvalidInput();
    }

    /// One line for people; the stack goes to the log when the failure is not one we expect.
    private static void report(CommandLine command, Exception failure) {
        if (failure instanceof InterruptedException) {
            command.getErr().println("atoll: stopped");
            return;
        }
        String message = failure.getMessage() == null ? failure.toString() : failure.getMessage();
        Throwable cause = failure.getCause();
        boolean causeSaysMore =
                cause != null
                        && cause.getMessage() != null
                        && !message.contains(cause.getMessage());
        command.getErr()
                .println("atoll: " + message + (causeSaysMore ? ": " + cause.getMessage() : ""));
        if (!isExpected(failure)) {
            LoggerFactory.getLogger(Main.class)
                    .error("{} failed", command.getCommandName(), failure);
        }
    }

    /// Failures whose message says all there is to say: what is wrong with a file, a setting or a peer.
    private static boolean isExpected(Exception failure) {
        return failure instanceof ApiException
                || failure instanceof java.io.IOException
                || failure instanceof io.atoll.attention.state.CheckpointDiskException
                || failure instanceof io.atoll.cluster.config.ConfigFileException
                || failure instanceof io.atoll.model.config.ModelFileException
                || failure instanceof io.atoll.kernels.KernelUnavailableException;
    }
}
