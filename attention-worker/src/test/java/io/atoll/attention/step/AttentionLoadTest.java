package io.atoll.attention.step;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.atoll.attention.DemoModel;
import io.atoll.attention.step.AttentionLoad.StepTimes;
import io.atoll.kernels.scalar.ScalarKernels;
import java.util.Arrays;
import org.junit.jupiter.api.Test;

/// 40 tokens take two blocks of 32, and there are 128 blocks.
class AttentionLoadTest {
    private static final int TOKENS = 40;

    @Test
    void blocksAreHeldBySequencesThenByTheirCheckpoints() {
        try (TestWorker test = worker()) {
            assertEquals(
                    new AttentionLoad(128, 0, 128, 0, 0, 0, 0, 0, 0, StepTimes.NONE),
                    test.worker.load());
            open(test, 1, prompt(7), 0);
            assertEquals(load(2, 126, 1, 0, 0, 0), counts(test));
            test.prefill(1, prompt(7), 64);
            test.worker.close(1);
            assertEquals(load(0, 126, 0, 1, 0, 0), counts(test));
            int[] longer = Arrays.copyOf(prompt(7), TOKENS + 1);
            open(test, 2, longer, TOKENS);
            // One of the blocks is shared, the other, which is still written to, was copied.
            assertEquals(load(2, 125, 1, 1, 1, 0), counts(test));
        }
    }

    @Test
    void checkpointsThatAreGivenUpAreCounted() {
        try (TestWorker test = worker()) {
            for (int first = 1; first <= 3; first++) {
                open(test, first, prompt(first), 0);
                test.prefill(first, prompt(first), 64);
                test.worker.close(first);
            }
            assertEquals(load(0, 124, 0, 2, 0, 1), counts(test));
        }
    }

    @Test
    void everyPartOfAStepTakesTime() {
        try (TestWorker test = worker()) {
            open(test, 1, prompt(7), 0);
            long before = System.nanoTime();
            test.prefill(1, prompt(7), 64);
            long wall = System.nanoTime() - before;
            StepTimes times = test.worker.load().stepTimes();
            long[] parts = {
                times.mixer(), times.shared(), times.experts(), times.head(), times.sampling()
            };
            for (long part : parts) {
                assertTrue(part > 0, times.toString());
            }
            assertTrue(Arrays.stream(parts).sum() <= wall, times + " in " + wall);
        }
    }

    private static TestWorker worker() {
        return new TestWorker(
                new ScalarKernels(),
                1,
                TestWorker.settings(64, 10, 2, 1024, 4096),
                DemoModel.experts());
    }

    private static void open(TestWorker test, long id, int[] tokens, int cached) {
        SequenceOptions options =
                new SequenceOptions(tokens.length, tokens.length + 1, SamplingParameters.GREEDY);
        assertEquals(new Opening.Opened(cached), test.worker.open(id, options, tokens));
    }

    private static int[] prompt(int first) {
        int[] tokens = new int[TOKENS];
        Arrays.setAll(tokens, i -> i == 0 ? first : 100 + i);
        return tokens;
    }

    private static AttentionLoad load(
            int held, int free, int sequences, int checkpoints, int hits, int evictions) {
        return new AttentionLoad(
                128, held, free, sequences, checkpoints, hits, evictions, 0, 0, StepTimes.NONE);
    }

    /// The load without its times.
    private static AttentionLoad counts(TestWorker test) {
        AttentionLoad now = test.worker.load();
        return new AttentionLoad(
                now.kvBlocks(),
                now.sequenceKvBlocks(),
                now.freeKvBlocks(),
                now.sequences(),
                now.checkpoints(),
                now.checkpointHits(),
                now.checkpointEvictions(),
                now.storedCheckpoints(),
                now.checkpointLoads(),
                StepTimes.NONE);
    }
}
