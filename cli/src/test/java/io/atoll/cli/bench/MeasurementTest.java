package io.atoll.cli.bench;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.atoll.attention.forward.StageTimes.Stage;
import io.atoll.cli.bench.Measurement.Case;
import io.atoll.cluster.config.ClusterFile;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;

/// Small measurements of the demo model, whose rates nobody looks at.
class MeasurementTest {
    private static final long EXPERT_BYTES = 3L * 32 * 256 * 2; // BF16

    @Test
    void countsTheBytesOfEachCase() throws IOException, InterruptedException {
        BenchReport report = measure(0);
        assertEquals(0, report.workers());
        assertEquals(2048L * 256 * 2, report.headBytes());
        BenchReport.Row alone = report.rows().getFirst();
        assertEquals(1, alone.batch());
        assertEquals(5, alone.promptTokens());
        assertEquals(1, alone.runs());
        // One token meets its four experts in each of eight layers.
        assertEquals(
                (double) (report.layerBytes() + report.headBytes() + 8 * 4 * EXPERT_BYTES),
                alone.weightBytes());
        // Three together share the dense weights, and some experts.
        BenchReport.Row three = report.rows().getLast();
        double shared = (report.layerBytes() + report.headBytes()) / 3.0;
        assertTrue(three.weightBytes() > shared, "bytes " + three.weightBytes());
        assertTrue(three.weightBytes() <= shared + 8 * 4 * EXPERT_BYTES, "bytes");
        for (Stage stage : List.of(Stage.HEAD, Stage.ROUTED_EXPERTS, Stage.DELTA_RULE)) {
            assertTrue(alone.stageNanos().get(stage) > 0, stage.toString());
        }
    }

    @Test
    void countsTheSameThroughWorkers() throws IOException, InterruptedException {
        BenchReport report = measure(2);
        assertEquals(2, report.workers());
        assertEquals(
                (double) (report.layerBytes() + report.headBytes() + 8 * 4 * EXPERT_BYTES),
                report.rows().getFirst().weightBytes());
    }

    private static BenchReport measure(int workers) throws IOException, InterruptedException {
        List<String> notes = new ArrayList<>();
        return new Measurement(
                        new Measurement.Plan(
                                Path.of(System.getProperty("atoll.root"), "demo-model"),
                                ClusterFile.defaults(),
                                Optional.empty(),
                                workers,
                                List.of(new Case(1, 5), new Case(3, 300)),
                                4,
                                1,
                                Duration.ZERO,
                                1 << 20),
                        notes::add)
                .run();
    }
}
