package io.atoll.expert.store;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.atoll.cluster.placement.ExpertShard;
import io.atoll.kernels.ComputePool;
import io.atoll.kernels.PackedMatrix;
import io.atoll.kernels.Packing;
import io.atoll.kernels.WeightFormat;
import io.atoll.model.ModelDirectory;
import io.atoll.model.weights.ExpertWeights;
import java.nio.file.Path;
import java.util.Optional;
import java.util.Set;
import org.junit.jupiter.api.Test;

/// The demo model's experts, from its checkpoint.
class ResidentExpertsTest {
    private static final Path MODEL = Path.of(System.getProperty("atoll.root"), "demo-model");
    private static final ExpertShard SHARD = ExpertShard.parse("2:3-4;7:31", 8, 32);

    private static ResidentExperts load(Optional<WeightFormat> format) {
        try (ModelDirectory model = ModelDirectory.open(MODEL)) {
            return ResidentExperts.load(model.textWeights(), SHARD, format, new ComputePool(1));
        }
    }

    @Test
    void weightsKeepTheValuesOfTheCheckpoint() {
        try (ResidentExperts store = load(Optional.empty());
                ModelDirectory model = ModelDirectory.open(MODEL)) {
            ExpertWeights source = model.textWeights().expert(7, 31);
            PackedExpert packed = store.expert(7, 31);
            assertValues(source.gate().floats(), packed.gate());
            assertValues(source.up().floats(), packed.up());
            assertValues(source.down().floats(), packed.down());
        }
    }

    private static void assertValues(float[] source, PackedMatrix packed) {
        assertEquals(source.length, packed.rows() * packed.cols());
        for (int row = 0; row < packed.rows(); row++) {
            for (int col = 0; col < packed.cols(); col++) {
                assertEquals(source[row * packed.cols() + col], Packing.weight(packed, row, col));
            }
        }
    }

    @Test
    void onlyTheShardIsHeld() {
        try (ResidentExperts store = load(Optional.empty())) {
            assertEquals(Set.of(WeightFormat.BF16), store.contents().formats());
            long gate = PackedMatrix.bytes(WeightFormat.BF16, 32, 256);
            long down = PackedMatrix.bytes(WeightFormat.BF16, 256, 32);
            assertEquals(3 * (2 * gate + down), store.contents().bytes());
            IllegalArgumentException refusal =
                    assertThrows(IllegalArgumentException.class, () -> store.expert(2, 5));
            assertTrue(refusal.getMessage().contains("layer=2 expert=5 is not held"));
        }
    }

    @Test
    void quantizingIsAskedForByName() {
        try (ResidentExperts store = load(Optional.of(WeightFormat.Q8))) {
            assertTrue(store.takesQuantizedRows());
            assertEquals(Set.of(WeightFormat.Q8), store.contents().formats());
            assertEquals(WeightFormat.Q8, store.expert(2, 3).down().format());
        }
    }
}
