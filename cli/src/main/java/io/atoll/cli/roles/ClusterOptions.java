package io.atoll.cli.roles;

import io.atoll.cluster.config.ClusterFile;
import io.atoll.cluster.config.ConfigFileException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/// The options that every role takes.
final class ClusterOptions {
    @Spec(Spec.Target.MIXEE)
    private CommandSpec command;

    @Option(
            names = {"-c", "--config"},
            paramLabel = "FILE",
            description = "The cluster file. Without one, every setting has its default.")
    private Optional<Path> config;

    @Option(
            names = "--model",
            paramLabel = "PATH",
            description =
                    "Directory of the checkpoint, or a GGUF file; overrides the cluster file.")
    private Optional<Path> model;

    @Option(
            names = "--kernels",
            paramLabel = "CLASS",
            description =
                    "Force a kernel class: c-avx512, c-avx2, c-neon, c-generic, c (the best of"
                            + " these), vector or scalar.")
    private Optional<String> kernels;

    @Option(
            names = "--stop-with-stdin",
            hidden = true,
            description = "End when standard input ends.")
    private boolean stopWithStdin;

    ClusterFile file() {
        if (config.isEmpty()) {
            return ClusterFile.defaults();
        }
        try {
            return ClusterFile.read(config.get());
        } catch (ConfigFileException e) {
            throw usage(e.getMessage());
        }
    }

    /// The model's directory or GGUF file, from the option or the cluster file.
    Path model(ClusterFile file) {
        Path path =
                model.or(file::model)
                        .orElseThrow(
                                () ->
                                        usage(
                                                "which model? Give --model PATH or `model:` in"
                                                        + " --config"));
        return existing(path);
    }

    /// The model if this machine has it; `--model` names one that it must have.
    Optional<Path> modelIfHere(ClusterFile file) {
        return model.isPresent()
                ? Optional.of(model(file))
                : file.model().filter(path -> Files.exists(path));
    }

    /// A model's path, if there is something.
    Path existing(Path path) {
        if (!Files.exists(path)) {
            throw usage("the model " + path + " does not exist");
        }
        return path;
    }

    Optional<String> kernels(ClusterFile file) {
        return kernels.or(file::kernels);
    }

    boolean stopWithStdin() {
        return stopWithStdin;
    }

    ParameterException usage(String problem) {
        return new ParameterException(command.commandLine(), problem);
    }

    /// Compute threads: a setting of 0 stands for every processor.
    static int threads(int setting) {
        return setting == 0 ? Runtime.getRuntime().availableProcessors() : setting;
    }
}
