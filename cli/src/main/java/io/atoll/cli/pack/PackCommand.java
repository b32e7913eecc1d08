package io.atoll.cli.pack;

import io.atoll.kernels.ComputePool;
import io.atoll.model.ModelDirectory;
import io.atoll.model.config.TextConfig;
import io.atoll.model.pack.DenseFormat;
import io.atoll.model.pack.PackException;
import io.atoll.model.pack.PackSelection;
import io.atoll.model.pack.PackWeights;
import io.atoll.model.pack.Packer;
import java.nio.file.Path;
import java.util.Locale;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/// Packs a model, continues a pack that was interrupted, or checks one.
@Command(
        name = "pack",
        description = {
            "Bring a model into the layout that the kernels read, on disk: it then starts in"
                    + " seconds and is served from the mapped files. No weight changes its value,"
                    + " unless --dense-format asks for it.",
            "Interrupted at any point, the same command continues."
        },
        footer = {
            "",
            "Examples:",
            "  atoll pack Qwen3.5-35B-A3B-Q4_K_M.gguf /packs/35b",
            "  atoll pack /models/Qwen3.5-397B-A17B /packs/397b-w1 --parts experts --experts 0-255",
            "  atoll pack --verify /packs/35b",
            "  atoll serve /packs/35b"
        })
public final class PackCommand implements Callable<Integer> {
    private static final Pattern RANGE = Pattern.compile("(\\d{1,6})(?:-(\\d{1,6}))?");

    /// What of each chosen layer is packed.
    enum Parts {
        all,
        dense,
        experts
    }

    @Spec private CommandSpec spec;

    @Parameters(
            index = "0",
            paramLabel = "SRC",
            description = "Directory of a release, or a GGUF file; with --verify alone a pack.")
    private Path source;

    @Parameters(
            index = "1",
            arity = "0..1",
            paramLabel = "DST",
            description = "Directory of the pack; made if it is not there.")
    private Optional<Path> destination;

    @Option(
            names = "--layers",
            paramLabel = "A-B",
            description = "Only these layers, from 0. Default: all.")
    private Optional<String> layers;

    @Option(
            names = "--experts",
            paramLabel = "A-B",
            description = "Only these experts of each layer, from 0. Default: all.")
    private Optional<String> experts;

    @Option(
            names = "--parts",
            paramLabel = "PARTS",
            defaultValue = "all",
            description =
                    "all, experts (for an expert worker) or dense (everything else). Default: all.")
    private Parts parts;

    @Option(
            names = "--dense-format",
            paramLabel = "FORMAT",
            defaultValue = "keep",
            description =
                    "keep; q8 rounds dense matrices of more than 8 bits a weight to 8 bits, bf16"
                        + " those of more than 16 bits to BF16. Routed experts, embedding, router"
                        + " and gates always keep their values. Default: keep.")
    private String denseFormat;

    @Option(
            names = "--verify",
            description =
                    "Read the pack back and check every byte against its manifest. Without DST:"
                            + " only that, of the pack SRC.")
    private boolean verify;

    @Option(names = "--threads", paramLabel = "N", description = "Default: every processor.")
    private Optional<Integer> threads;

    @Override
    public Integer call() {
        int count = threads.orElse(Runtime.getRuntime().availableProcessors());
        if (count < 1 || count > 1024) {
            throw usage("--threads must be from 1 to 1024: " + count);
        }
        if (destination.isEmpty() && !verify) {
            throw usage("give DST, or --verify to check the pack SRC");
        }
        try (ComputePool pool = new ComputePool(count);
                PackLine progress = new PackLine()) {
            destination.ifPresent(directory -> pack(directory, pool, progress));
            if (verify) {
                verify(destination.orElse(source), pool, progress);
            }
        } catch (InternalError e) {
            // What the JVM makes of a mapped file that was cut off while it was read.
            throw new PackException(source, "file", "was cut off while it was read", e);
        }
        return 0;
    }

    private void pack(Path directory, ComputePool pool, PackLine progress) {
        DenseFormat format = denseFormat();
        try (ModelDirectory model = ModelDirectory.open(source)) {
            Packer.Outcome outcome =
                    Packer.pack(
                            model.packSource(),
                            selection(model.config().text()),
                            format,
                            directory,
                            pool,
                            progress);
            report(
                    progress,
                    "packed %s into %s: %.2f GB of weights%s"
                            .formatted(
                                    source,
                                    directory,
                                    outcome.bytes() / 1e9,
                                    outcome.keptBytes() == 0
                                            ? ""
                                            : ", %.2f GB of them by an earlier run"
                                                    .formatted(outcome.keptBytes() / 1e9)));
        }
    }

    private static void report(PackLine progress, String result) {
        progress.close();
        System.out.println(result + progress.rate());
    }

    private static void verify(Path directory, ComputePool pool, PackLine progress) {
        try (PackWeights pack = PackWeights.open(directory)) {
            pack.verify(pool, progress);
            report(
                    progress,
                    "verified %s: every byte of %.2f GB is what was packed"
                            .formatted(directory, pack.bytes() / 1e9));
        }
    }

    private DenseFormat denseFormat() {
        try {
            return DenseFormat.valueOf(denseFormat.toUpperCase(Locale.ROOT));
        } catch (IllegalArgumentException _) {
            throw usage("--dense-format must be keep, q8 or bf16: " + denseFormat);
        }
    }

    private PackSelection selection(TextConfig config) {
        if (layers.isEmpty() && experts.isEmpty() && parts == Parts.all) {
            return PackSelection.all(config);
        }
        PackSelection chosen = PackSelection.none(config);
        try {
            int[] range = range(layers, config.layerCount() + config.mtpLayers());
            int[] routed = range(experts, config.experts());
            if (parts != Parts.experts) {
                chosen = chosen.withDense(range[0], range[1]);
            }
            for (int layer = range[0]; layer <= range[1] && parts != Parts.dense; layer++) {
                chosen = chosen.withExperts(layer, routed[0], routed[1]);
            }
            return chosen;
        } catch (IllegalArgumentException e) {
            throw usage(e.getMessage());
        }
    }

    private static int[] range(Optional<String> text, int count) {
        if (text.isEmpty()) {
            return new int[] {0, count - 1};
        }
        Matcher range = RANGE.matcher(text.get());
        if (!range.matches()) {
            throw new IllegalArgumentException("not a range such as 0-15: " + text.get());
        }
        int first = Integer.parseInt(range.group(1));
        return new int[] {first, range.group(2) == null ? first : Integer.parseInt(range.group(2))};
    }

    private ParameterException usage(String message) {
        return new ParameterException(spec.commandLine(), message);
    }
}
