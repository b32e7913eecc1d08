package io.atoll.cli.bench;

import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/// Measurements.
@Command(
        name = "bench",
        description = "Measure this machine, or make a model to measure with.",
        synopsisSubcommandLabel = "COMMAND",
        subcommands = {BenchRunCommand.class, BenchServeCommand.class, BenchSynthCommand.class})
public final class BenchCommand implements Runnable {
    @Spec private CommandSpec command;

    @Override
    public void run() {
        throw new ParameterException(
                command.commandLine(),
                "which measurement? One of " + String.join(", ", command.subcommands().keySet()));
    }
}
