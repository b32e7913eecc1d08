package io.atoll.cli;

import io.atoll.cli.client.ApiException;
import io.atoll.cli.conformance.ConformanceCommand;
import io.atoll.cli.roles.AttentionWorkerCommand;
import io.atoll.cli.roles.CoordinatorCommand;
import io.atoll.cli.roles.ExpertWorkerCommand;
import io.atoll.cli.roles.ServeCommand;
import io.atoll.cli.talk.ChatCommand;
import io.atoll.cli.talk.DemoCommand;
import io.atoll.cli.talk.GenerateCommand;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.HelpCommand;

/// The `atoll` command.
@Command(
        name = "atoll",
        description = "Serves Qwen3.5 MoE models from several ordinary machines.",
        synopsisSubcommandLabel = "COMMAND",
        subcommands = {
            ServeCommand.class,
            CoordinatorCommand.class,
            AttentionWorkerCommand.class,
            ExpertWorkerCommand.class,
            ChatCommand.class,
            GenerateCommand.class,
            ConformanceCommand.class,
            DemoCommand.class,
            HelpCommand.class
        },
        footer = {
            "",
            "`atoll help COMMAND` explains one; `atoll demo` shows a small cluster at work."
        })
public final class Main {
    private static final Logger LOG = LoggerFactory.getLogger(Main.class);

    private Main() {}

    public static void main(String[] arguments) {
        CommandLine command = new CommandLine(new Main());
        command.setUsageHelpAutoWidth(true);
        command.getSubcommands()
                .forEach(
                        (name, sub) -> {
                            if (!name.equals("help")) {
                                sub.getCommandSpec().mixinStandardHelpOptions(true);
                            }
                        });
        command.setExecutionExceptionHandler(
                (failure, failed, _) -> {
                    report(failed, failure);
                    return failed.getCommandSpec().exitCodeOnExecutionException();
                });
        if (arguments.length == 0) {
            command.usage(System.err);
            System.exit(2);
        }
        System.exit(command.execute(arguments));
    }

    /// One line for people; the stack goes to the log when the failure is not one we expect.
    private static void report(CommandLine command, Exception failure) {
        if (failure instanceof InterruptedException) {
            command.getErr().println("atoll: stopped");
            return;
        }
        String message = failure.getMessage();
        command.getErr().println("atoll: " + (message == null ? failure.toString() : message));
        if (!isExpected(failure)) {
            LOG.error("{} failed", command.getCommandName(), failure);
        }
    }

    /// Failures whose message says all there is to say: what is wrong with a file, a setting or a peer.
    private static boolean isExpected(Exception failure) {
        return failure instanceof ApiException
                || failure instanceof java.io.IOException
                || failure instanceof io.atoll.model.config.ModelFileException
                || failure instanceof io.atoll.kernels.KernelUnavailableException;
    }
}
