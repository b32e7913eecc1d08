package io.atoll.model.weights;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.atoll.model.DemoModel;
import io.atoll.model.ModelDirectory;
import io.atoll.model.checkpoint.Tensor;
import io.atoll.model.checkpoint.TensorNames;
import io.atoll.model.gguf.DemoGguf;
import io.atoll.model.quant.GgmlType;
import io.atoll.model.quant.WeightMatrix;
import io.atoll.model.quant.WeightStore;
import java.io.IOException;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/// What both ends of the wire conclude from a checkpoint.
class ExpertModeTest {
    @TempDir private Path directory;

    private Path write(GgmlType type) throws IOException {
        try (ModelDirectory demo = ModelDirectory.open(DemoModel.path())) {
            return DemoGguf.write(demo, type, directory.resolve(type + ".gguf"));
        }
    }

    /// A model whose last expert's matrix of one kind is stored otherwise than all others.
    private record OneOtherwise(WeightStore most, WeightStore other, String projection)
            implements WeightStore {
        @Override
        public Path source() {
            return most.source();
        }

        @Override
        public TensorNames names() {
            return most.names();
        }

        @Override
        public boolean contains(String name) {
            return most.contains(name);
        }

        @Override
        public WeightMatrix matrix(String name, int rows, int cols) {
            boolean last = name.endsWith("layers.7.mlp.experts.31." + projection + ".weight");
            return (last ? other : most).matrix(name, rows, cols);
        }

        @Override
        public Tensor tensor(String name, long... shape) {
            return most.tensor(name, shape);
        }
    }

    @ParameterizedTest
    @CsvSource({"Q8_0, PACKED", "Q4_K, PACKED", "BF16, EXACT", "F32, EXACT"})
    void expertsOfOneKindAreAllPackedOrAllExact(GgmlType type, PackingMode expected)
            throws IOException {
        try (ModelDirectory model = ModelDirectory.open(write(type))) {
            assertEquals(expected, WeightPacking.expertMode(model.textWeights()));
        }
    }

    @ParameterizedTest
    @CsvSource({
        "gate_proj, BF16, EXACT",
        "up_proj, BF16, EXACT",
        "up_proj, Q8_0, PACKED", // beside a gate of other blocks
        "down_proj, BF16, PACKED",
        "down_proj, F32, PACKED",
    })
    void oneExpertDecidesForAllByTheRowsItTakes(
            String projection, GgmlType type, PackingMode expected) throws IOException {
        try (ModelDirectory most = ModelDirectory.open(write(GgmlType.Q4_K));
                ModelDirectory other = ModelDirectory.open(write(type))) {
            TextWeights weights =
                    new TextWeights(
                            new OneOtherwise(most.weights(), other.weights(), projection),
                            most.config().text());
            assertEquals(expected, WeightPacking.expertMode(weights));
        }
    }

    @Test
    void releaseIsExact() {
        try (ModelDirectory release = ModelDirectory.open(DemoModel.path())) {
            TextWeights weights = release.textWeights();
            assertEquals(PackingMode.EXACT, WeightPacking.expertMode(weights));
            assertTrue(weights.expert(0, 0).gate().blocks().isEmpty());
        }
    }
}
