package io.atoll.attention.forward;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.atoll.attention.forward.StageTimes.Stage;
import org.junit.jupiter.api.Test;

class StageTimesTest {
    private final StageTimes times = new StageTimes();

    @Test
    void countNothingUnlessStarted() {
        times.skip();
        times.end(Stage.HEAD);
        times.start();
        times.stop();
        times.end(Stage.HEAD);
        assertEquals(0, sum());
    }

    @Test
    void everyNanosecondAfterTheFirstReadingBelongsToOneStage() {
        times.start();
        long before = System.nanoTime();
        times.skip();
        for (int i = 0; i < 1000; i++) {
            times.end(i % 2 == 0 ? Stage.ROUTER : Stage.NORMS);
        }
        long after = System.nanoTime();
        times.stop();
        assertTrue(times.nanos().get(Stage.ROUTER) > 0);
        assertTrue(times.nanos().get(Stage.NORMS) > 0);
        assertEquals(0, times.nanos().get(Stage.HEAD));
        assertTrue(sum() <= after - before, sum() + " of " + (after - before));
    }

    @Test
    void startForgetsWhatWasCounted() {
        times.start();
        times.skip();
        times.end(Stage.HEAD);
        times.start();
        assertEquals(0, sum());
    }

    private long sum() {
        return times.nanos().values().stream().mapToLong(Long::longValue).sum();
    }
}
