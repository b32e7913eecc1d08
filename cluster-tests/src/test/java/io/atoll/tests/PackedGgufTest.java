package io.atoll.tests;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.atoll.cli.roles.ExpertRows;
import io.atoll.cluster.placement.ExpertShard;
import io.atoll.expert.store.ResidentExperts;
import io.atoll.kernels.ComputePool;
import io.atoll.kernels.KernelLibrary;
import io.atoll.kernels.PackedMatrix;
import io.atoll.kernels.WeightFormat;
import io.atoll.model.ModelDirectory;
import io.atoll.model.gguf.DemoGguf;
import io.atoll.model.quant.GgmlType;
import io.atoll.model.reference.Reference;
import io.atoll.model.reference.Session;
import io.atoll.model.trace.ForwardObserver;
import io.atoll.proto.wire.RowFormat;
import io.atoll.tests.RecordedRuns.Trace;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/// A GGUF file of integers is served with its weights as they are: rows are rounded to int8, each by itself, so promise 2
/// holds for it too, and the answers stay near those of f32 rows.
class PackedGgufTest {
    private static final Path DEMO = Path.of(System.getProperty("atoll.root"), "demo-model");

    @TempDir private Path directory;

    private Path write(GgmlType type) throws IOException {
        try (ModelDirectory demo = ModelDirectory.open(DEMO)) {
            return DemoGguf.write(demo, type, directory.resolve("demo-" + type + ".gguf"));
        }
    }

    /// Down projections of 32 columns are no whole blocks of Q4_K, so the file has them in Q8_0.
    @Test
    void expertsTakeNoMoreMemoryThanTheirFormat() throws IOException {
        ExpertShard shard = ExpertShard.parse("2:3-4;7:31", 8, 32);
        try (ModelDirectory model = ModelDirectory.open(write(GgmlType.Q4_K));
                ResidentExperts experts =
                        ResidentExperts.load(
                                model.textWeights(), shard, Optional.empty(), new ComputePool(1))) {
            assertTrue(experts.takesQuantizedRows());
            assertEquals(
                    Set.of(WeightFormat.Q4_K, WeightFormat.Q8_0), experts.contents().formats());
            long one = PackedMatrix.bytes(WeightFormat.Q4_K, 64, 256);
            long two = PackedMatrix.bytes(WeightFormat.Q8_0, 256, 32);
            assertEquals(3 * (one + two), experts.contents().bytes());
        }
    }

    @ParameterizedTest
    @EnumSource(
            value = GgmlType.class,
            names = {"Q8_0", "Q4_K"})
    void neitherWorkersNorBatchChangeABit(GgmlType type) throws IOException {
        try (RecordedRuns runs = new RecordedRuns(write(type))) {
            assertEquals(RowFormat.Q8, ExpertRows.format(runs.model()));
            Map<Long, Trace> alone = runs.run("one", 1, 1);
            RecordedRuns.assertSame(alone, runs.run("one", 2, 8));
            RecordedRuns.assertSame(alone, runs.run("two", 2, 1));
            RecordedRuns.assertSame(alone, runs.run("three uneven", 2, 4));
        }
    }

    @ParameterizedTest
    @EnumSource(
            value = GgmlType.class,
            names = {"Q8_0", "Q4_K"})
    void roundedRowsStayNearExactOnes(GgmlType type) throws IOException {
        Path file = write(type);
        List<int[]> prompts = Opinions.prompts(DEMO);
        try (RecordedRuns runs = new RecordedRuns(file, prompts);
                Reference reference =
                        Reference.open(runs.model(), KernelLibrary.select(Optional.empty()))) {
            Map<Long, Trace> packed = runs.run("one", 2, 8);
            for (int id = 0; id < prompts.size(); id++) {
                int last = prompts.get(id).length - 1;
                float[] found = packed.get((long) id).logits().get(last);
                try (Session session = reference.session()) {
                    float[] exact = session.feed(prompts.get(id), ForwardObserver.NONE)[last];
                    assertFalse(
                            Arrays.equals(exact, found),
                            "rows were not rounded: the weights are not packed");
                    double divergence = Opinions.divergence(exact, found);
                    assertTrue(divergence < 0.005, "prompt " + id + " diverges by " + divergence);
                }
            }
        }
    }
}
