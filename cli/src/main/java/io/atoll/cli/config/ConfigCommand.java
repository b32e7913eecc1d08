package io.atoll.cli.config;

import io.atoll.cluster.config.ClusterFile;
import io.atoll.cluster.config.ConfigFileException;
import java.nio.file.Path;
import java.util.Optional;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/// Checks a cluster file, or shows what holds with it.
@Command(
        name = "config",
        description = "Check a cluster file, or show every setting with its default.",
        synopsisSubcommandLabel = "COMMAND",
        footer = {
            "",
            "Examples:",
            "  atoll config check cluster.yaml",
            "  atoll config show              every default"
        })
public final class ConfigCommand implements Runnable {
    @Spec private CommandSpec command;

    @Override
    public void run() {
        throw new ParameterException(
                command.commandLine(),
                "what to do with a cluster file? One of "
                        + String.join(", ", command.subcommands().keySet()));
    }

    /// Says in one line what is wrong with the file, or what it describes.
    @Command(
            name = "check",
            description = "Read a cluster file and say what is wrong with it, if something is.")
    int check(@Parameters(paramLabel = "FILE", description = "The cluster file.") Path file)
            throws ConfigFileException {
        ClusterFile read = ClusterFile.read(file);
        command.commandLine()
                .getOut()
                .printf(
                        "%s is fine: cluster %s, API at %s, %s%n",
                        file,
                        read.clusterId(),
                        read.coordinator().listen(),
                        switch (read.expertWorkers().size()) {
                            case 0 -> "no expert workers";
                            case 1 -> "1 expert worker";
                            default -> read.expertWorkers().size() + " expert workers";
                        });
        command.commandLine().getOut().flush();
        return 0;
    }

    /// Prints YAML that is a cluster file again.
    @Command(
            name = "show",
            description =
                    "Print every setting that is in force with a cluster file, or every default.")
    int show(
            @Parameters(arity = "0..1", paramLabel = "FILE", description = "The cluster file.")
                    Optional<Path> file)
            throws ConfigFileException {
        ClusterFile read = file.isPresent() ? ClusterFile.read(file.get()) : ClusterFile.defaults();
        command.commandLine().getOut().print(read.toYaml());
        command.commandLine().getOut().flush();
        return 0;
    }
}
