package io.atoll.cli.keys;

import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/// API keys.
@Command(
        name = "keys",
        description = "Make API keys.",
        synopsisSubcommandLabel = "COMMAND",
        subcommands = {KeysNewCommand.class})
public final class KeysCommand implements Runnable {
    @Spec private CommandSpec command;

    @Override
    public void run() {
        throw new ParameterException(
                command.commandLine(),
                "what to do with keys? One of "
                        + String.join(", ", command.subcommands().keySet()));
    }
}
