package io.atoll.cli.plan;

import io.atoll.cluster.placement.ExpertSizes;
import io.atoll.cluster.placement.ModelWork;
import io.atoll.kernels.PackedMatrix;
import io.atoll.kernels.WeightFormat;
import io.atoll.model.ModelDirectory;
import io.atoll.model.config.TextConfig;
import io.atoll.model.quant.WeightMatrix;
import io.atoll.model.synthetic.SyntheticModel;
import io.atoll.model.synthetic.SyntheticShape;
import io.atoll.model.weights.ExpertWeights;
import io.atoll.model.weights.PackingMode;
import io.atoll.model.weights.TextWeights;
import io.atoll.model.weights.WeightPacking;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;

/// Sizes of a model: of one that lies on disk, or of a release with the types of Q4_K_M.
///
/// @param name for people
final record PlannedModel(String name, ModelWork work) {
    private static final int FEW_TOKENS = 4096;

    /// Of a release's shape, such as `397b`; empty if there is none of that name.
    static Optional<PlannedModel> named(String shape) {
        return SyntheticShape.named(shape).map(PlannedModel::of);
    }

    /// The file that `bench synth` would write has every weight once. What it is larger than one of half the experts are the
    /// others. It is asked for with few tokens, since making up names for all of them takes a second.
    private static PlannedModel of(SyntheticShape shape) {
        long all = fileBytes(shape, shape.experts());
        long routed = 2 * (all - fileBytes(shape, shape.experts() / 2));
        long expert = routed / shape.layers() / shape.experts();
        // Of the two tables of a token only the LM head is read whole: Q6_K has 210 bytes for 256
        // weights, Q4_K of the
        // embedding 144.
        long embedding = (long) FEW_TOKENS * shape.hidden() * 144 / 256;
        long headOfTheRest = (long) (shape.vocabulary() - FEW_TOKENS) * shape.hidden() * 210 / 256;
        return new PlannedModel(
                shape.name() + " as Q4_K_M",
                new ModelWork(
                        shape.hidden(),
                        shape.expertsPerToken(),
                        all - routed - embedding + headOfTheRest,
                        3L * shape.hidden() * shape.expertInner(),
                        ExpertSizes.uniform(shape.layers(), shape.experts(), expert)));
    }

    private static long fileBytes(SyntheticShape shape, int experts) {
        return new SyntheticModel(shape.cut(shape.layers(), FEW_TOKENS, experts), 1).fileBytes();
    }

    /// Of a model on disk. Nothing but its headers is read.
    ///
    /// @throws io.atoll.model.config.ModelFileException if it is damaged
    static PlannedModel at(Path path) throws IOException {
        try (ModelDirectory model = ModelDirectory.open(path)) {
            TextWeights weights = model.textWeights();
            TextConfig config = weights.config();
            PackingMode mode = WeightPacking.expertMode(weights);
            List<Long> expertBytes = new ArrayList<>();
            for (int layer = 0; layer < config.layerCount(); layer++) {
                ExpertWeights one = weights.expert(layer, 0);
                expertBytes.add(
                        packed(mode, one.gate())
                                + packed(mode, one.up())
                                + packed(mode, one.down()));
            }
            ExpertSizes sizes = new ExpertSizes(config.experts(), expertBytes);
            long embedding = config.tieWordEmbeddings() ? 0 : packed(mode, weights.embedding());
            return new PlannedModel(
                    model.name(),
                    new ModelWork(
                            config.hiddenSize(),
                            config.expertsPerToken(),
                            Math.max(0, bytes(path) - sizes.totalBytes() - embedding),
                            3L * config.hiddenSize() * config.moeIntermediateSize(),
                            sizes));
        }
    }

    private static long packed(PackingMode mode, WeightMatrix matrix) {
        WeightFormat format = WeightPacking.format(mode, List.of(matrix));
        return PackedMatrix.bytes(format, matrix.rows(), matrix.cols());
    }

    /// Of every file of a model.
    private static long bytes(Path path) throws IOException {
        if (Files.isRegularFile(path)) {
            return Files.size(path);
        }
        try (Stream<Path> files = Files.walk(path)) {
            long sum = 0;
            for (Path file : files.filter(Files::isRegularFile).toList()) {
                sum += Files.size(file);
            }
            return sum;
        }
    }
}
