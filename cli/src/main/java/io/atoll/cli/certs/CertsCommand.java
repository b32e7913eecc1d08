package io.atoll.cli.certs;

import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/// Certificates for the nodes of a cluster.
@Command(
        name = "certs",
        description = "Make the certificates by which the nodes of a cluster know each other.",
        synopsisSubcommandLabel = "COMMAND",
        subcommands = {CertsInitCommand.class, CertsIssueCommand.class, CertsShowCommand.class})
public final class CertsCommand implements Runnable {
    @Spec private CommandSpec command;

    @Override
    public void run() {
        throw new ParameterException(
                command.commandLine(),
                "what to do with certificates? One of "
                        + String.join(", ", command.subcommands().keySet()));
    }
}
