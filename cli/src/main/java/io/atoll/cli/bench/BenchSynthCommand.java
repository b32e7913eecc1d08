package io.atoll.cli.bench;

import io.atoll.cli.ProgressLine;
import io.atoll.model.synthetic.SyntheticModel;
import io.atoll.model.synthetic.SyntheticShape;
import java.io.IOException;
import java.nio.file.FileStore;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.Locale;
import java.util.Optional;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/// Writes a model of random weights.
@Command(
        name = "synth",
        description = {
            "Write a GGUF file of random weights in the sizes and the Q4_K_M type mix of a"
                    + " release.",
            "It answers nonsense at the speed of the real model; llama.cpp loads it, too."
        },
        footer = {
            "",
            "Examples:",
            "  atoll bench synth --shape 35b --layers 8 35b-8l.gguf    4.8 GB",
            "  atoll bench synth --shape 397b 397b.gguf                240 GB"
        })
public final class BenchSynthCommand implements Callable<Integer> {
    @Spec private CommandSpec command;

    @Option(
            names = "--shape",
            required = true,
            paramLabel = "NAME",
            description = "Sizes of which release: 35b, 122b or 397b.")
    private String shapeName;

    @Parameters(paramLabel = "OUT.gguf", description = "The file, which must not exist yet.")
    private Path target;

    @Option(
            names = "--layers",
            paramLabel = "N",
            description = "Decoder layers. Default: the release's.")
    private Optional<Integer> layers;

    @Option(
            names = "--vocab",
            paramLabel = "N",
            description = "Rows of the embedding table. Default: 248320.")
    private Optional<Integer> vocabulary;

    @Option(
            names = "--experts",
            paramLabel = "N",
            description = "Routed experts of a layer. Default: the release's.")
    private Optional<Integer> experts;

    @Option(
            names = "--seed",
            paramLabel = "N",
            defaultValue = "1",
            description = "Seed of the weights. Default: ${DEFAULT-VALUE}.")
    private long seed;

    @Override
    public Integer call() throws Exception {
        SyntheticShape shape = shape();
        Path directory = target.toAbsolutePath().getParent();
        if (directory == null || !Files.isDirectory(directory)) {
            throw usage("the directory " + directory + " does not exist");
        }
        if (Files.exists(target)) {
            throw usage(target + " exists; remove it, or choose another name");
        }
        SyntheticModel model = new SyntheticModel(shape, seed);
        checkSpace(directory, model.fileBytes());
        write(model, directory);
        System.out.printf(
                Locale.ROOT,
                "%s: %s, %d layers, %d experts (%d a token), %d vocabulary rows, %.2f GB%n",
                target,
                shape.name(),
                shape.layers(),
                shape.experts(),
                shape.expertsPerToken(),
                shape.vocabulary(),
                Files.size(target) / 1e9);
        return 0;
    }

    private SyntheticShape shape() {
        SyntheticShape release =
                SyntheticShape.named(shapeName)
                        .orElseThrow(
                                () -> usage("--shape must be 35b, 122b or 397b, not " + shapeName));
        try {
            return release.cut(
                    layers.orElse(release.layers()),
                    vocabulary.orElse(release.vocabulary()),
                    experts.orElse(release.experts()));
        } catch (IllegalArgumentException e) {
            throw usage(e.getMessage());
        }
    }

    private void checkSpace(Path directory, long bytes) throws IOException {
        FileStore store = Files.getFileStore(directory);
        long usable = store.getUsableSpace();
        if (usable < bytes) {
            throw usage(
                    String.format(
                            Locale.ROOT,
                            "the file takes %.1f GB, and %s has %.1f GB left; fewer --layers"
                                    + " or --experts take less",
                            bytes / 1e9,
                            directory,
                            usable / 1e9));
        }
    }

    /// Writes beside the target and renames at the end, so that a file of that name is a whole one.
    private void write(SyntheticModel model, Path directory) throws IOException {
        Path partial = directory.resolve(target.getFileName() + ".partial");
        partial.toFile().deleteOnExit(); // an interrupted run leaves nothing
        try (ProgressLine progress = ProgressLine.ofBytes("writing " + target, model.fileBytes())) {
            model.write(partial, progress::update);
            Files.move(partial, target, StandardCopyOption.ATOMIC_MOVE);
        } catch (IOException e) {
            Files.deleteIfExists(partial);
            throw new IOException("cannot write " + target + ": " + e.getMessage(), e);
        }
    }

    private ParameterException usage(String problem) {
        return new ParameterException(command.commandLine(), problem);
    }
}
