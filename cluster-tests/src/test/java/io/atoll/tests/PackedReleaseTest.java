package io.atoll.tests;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.atoll.cli.roles.ExpertRows;
import io.atoll.cluster.placement.ExpertShard;
import io.atoll.expert.store.ResidentExperts;
import io.atoll.kernels.ComputePool;
import io.atoll.kernels.KernelLibrary;
import io.atoll.kernels.KvFormat;
import io.atoll.kernels.WeightFormat;
import io.atoll.model.reference.QuantizedDemo;
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
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

/// A quantised release is served with its weights as they are. Where these are integers, rows are rounded to int8; where they are
/// floats of 8 bits, nothing is rounded and every logit has the bits of the reference.
class PackedReleaseTest {
    private static final Path DEMO = Path.of(System.getProperty("atoll.root"), "demo-model");

    /// Logits nearer than this may change places when rows are rounded.
    private static final float NEAR_TIE = 0.1f;

    @TempDir private Path directory;

    @ParameterizedTest
    @CsvSource({
        "FP8, F8_E4M3, F32, 8",
        "INT4, INT4_32_BF16, Q8, 4.5",
        "INT8, INT8_ROW, Q8, 8",
        "NVFP4, NVFP4, Q8, 4.5",
        "MXFP4, MXFP4, Q8, 4.25"
    })
    void expertsTakeNoMoreMemoryThanTheirFormat(
            QuantizedDemo release, WeightFormat format, RowFormat rows, double bits)
            throws IOException {
        try (RecordedRuns runs = new RecordedRuns(release.write(DEMO, directory));
                ComputePool pool = new ComputePool(1);
                ResidentExperts experts =
                        ResidentExperts.load(
                                runs.model().textWeights(),
                                ExpertShard.parse("2:3-4;7:31", 8, 32),
                                Optional.empty(),
                                pool)) {
            assertEquals(rows, ExpertRows.format(runs.model()));
            // A row with a scale of its own meets the next where the matrix is as narrow as the
            // demo's down projection of 32 columns.
            WeightFormat narrow =
                    format == WeightFormat.INT4_32_BF16 ? WeightFormat.INT4_ROW : format;
            Set<WeightFormat> expected = format == narrow ? Set.of(format) : Set.of(format, narrow);
            assertEquals(expected, experts.contents().formats());
            double packed = experts.contents().bytes() * 8.0 / (3 * 3 * 256 * 32);
            assertTrue(packed < bits * 1.13, "bits a weight: " + packed); // 32 columns, f32 scales
        }
    }

    @ParameterizedTest
    @EnumSource(
            value = QuantizedDemo.class,
            names = {"FP8", "INT4", "NVFP4"})
    void neitherWorkersNorBatchChangeABit(QuantizedDemo release) throws IOException {
        try (RecordedRuns runs = new RecordedRuns(release.write(DEMO, directory))) {
            Map<Long, Trace> alone = runs.run("one", 1, 1);
            RecordedRuns.assertSame(alone, runs.run("two", 2, 8));
            RecordedRuns.assertSame(alone, runs.run("three uneven", 2, 4));
        }
    }

    @ParameterizedTest
    @EnumSource(QuantizedDemo.class)
    void servedLogitsAreNearTheReferenceAndSoIsTheirBestToken(QuantizedDemo release)
            throws IOException {
        Path path = release.write(DEMO, directory);
        List<int[]> prompts = Opinions.prompts(DEMO);
        try (RecordedRuns runs = new RecordedRuns(path, prompts);
                Reference reference =
                        Reference.open(
                                runs.model(),
                                KernelLibrary.select(Optional.empty()),
                                KvFormat.BF16)) {
            Map<Long, Trace> packed = runs.run("one", 2, 8);
            for (int id = 0; id < prompts.size(); id++) {
                int last = prompts.get(id).length - 1;
                float[] found = packed.get((long) id).logits().get(last);
                try (Session session = reference.session()) {
                    float[] exact = session.feed(prompts.get(id), ForwardObserver.NONE)[last];
                    if (release == QuantizedDemo.FP8) {
                        assertArrayEquals(exact, found);
                        continue;
                    }
                    assertFalse(
                            Arrays.equals(exact, found),
                            "rows were not rounded: the weights are not packed");
                    double divergence = Opinions.divergence(exact, found);
                    assertTrue(divergence < 0.005, "prompt " + id + " diverges by " + divergence);
                    float gap = exact[Opinions.best(exact)] - exact[Opinions.best(found)];
                    assertTrue(gap < NEAR_TIE, "prompt " + id + " prefers another by " + gap);
                }
            }
        }
    }
}
