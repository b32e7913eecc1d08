package io.atoll.tests;

import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.atoll.kernels.cuda.StandIn;
import io.atoll.tests.RecordedRuns.Trace;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.Test;

/// A worker on a GPU beside one on the CPU, against one process on the CPU. The GPU is the stand-in, which runs the same kernels.
class GpuWorkerTest {
    @Test
    void logitsAndTokensDoNotDependOnWhichWorkerHasAGpu() throws Exception {
        assumeTrue(StandIn.isPresent(), "this build has no stand-in for GPUs: no C++ compiler");
        StandIn.load();
        Random random = new Random(6);
        List<int[]> prompts =
                List.of(
                        random.ints(1, 0, 2016).toArray(),
                        random.ints(5, 0, 2016).toArray(),
                        random.ints(33, 0, 2016).toArray());
        try (RecordedRuns runs =
                new RecordedRuns(
                        Path.of(System.getProperty("atoll.root"), "demo-model"), prompts)) {
            Map<Long, Trace> expected = runs.run("one", 1, 1);
            RecordedRuns.assertSame(expected, runs.run("a GPU and a CPU", 1, 3));
            StandIn.fail(StandIn.Call.LAUNCH, 40, StandIn.DEVICE_LOST);
            try {
                RecordedRuns.assertSame(expected, runs.run("a GPU and a CPU", 1, 3));
                assertTrue(StandIn.failures() > 0, "the device was never lost");
            } finally {
                StandIn.fail(StandIn.Call.ANY, 0, 0);
            }
        }
    }
}
