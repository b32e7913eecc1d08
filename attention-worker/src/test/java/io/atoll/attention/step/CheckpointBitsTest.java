package io.atoll.attention.step;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.atoll.attention.DemoModel;
import io.atoll.attention.step.StepPlan.SequenceRows;
import io.atoll.kernels.scalar.ScalarKernels;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/// A sequence that begins at a checkpoint against one that begins at its first token: the same bits.
class CheckpointBitsTest {
    private static final int[] PROMPT = new Random(3).ints(80, 0, 2000).toArray();
    private static final SamplingParameters SAMPLED =
            new SamplingParameters(0.9f, 40, 0.95f, 0, 0.5f, 0.3f, 1.1f, 7);
    private static final int DECODED = 6;

    private record Run(List<StepOutcome.Sampled> sampled, Map<String, List<Integer>> state) {}

    private static TestWorker worker(int checkpoints, long capacity) {
        return new TestWorker(
                new ScalarKernels(),
                1,
                TestWorker.settings(128, 3, checkpoints, 256, capacity),
                DemoModel.experts());
    }

    private static int open(TestWorker test, long id, int[] known) {
        SequenceOptions options = new SequenceOptions(PROMPT.length, PROMPT.length + 40, SAMPLED);
        return assertInstanceOf(Opening.Opened.class, test.worker.open(id, options, known))
                .cachedTokens();
    }

    private static Run run(TestWorker test, long id, int from) {
        List<StepOutcome.Sampled> first = test.step(TestWorker.piece(id, PROMPT, from, PROMPT.length));
        return decode(test, id, first.getFirst(), PROMPT.length, DECODED);
    }

    private static Run decode(
            TestWorker test, long id, StepOutcome.Sampled first, int position, int count) {
        List<StepOutcome.Sampled> sampled = test.decode(id, position, first, count);
        return new Run(
                sampled.stream()
                        .map(each -> new StepOutcome.Sampled(0, each.token(), each.logprob(), each.top()))
                        .toList(),
                test.state(id));
    }

    private static Run undisturbed() {
        try (TestWorker test = worker(0, 1024)) {
            assertEquals(0, open(test, 1, PROMPT));
            return run(test, 1, 0);
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 31, 32, 33, 64, 79})
    void sequenceThatBeginsAtACheckpointHasTheSameBits(int at) {
        try (TestWorker test = worker(4, 1024)) {
            open(test, 1, PROMPT);
            int[] begin = Arrays.copyOf(PROMPT, at);
            test.step(new SequenceRows(1, 0, begin, false, true));
            // The first goes on, and writes behind the checkpoint.
            Run first = run(test, 1, at);
            assertEquals(at, open(test, 2, PROMPT));
            assertEquals(first, run(test, 2, at));
            assertEquals(undisturbed(), first);
        }
    }

    @Test
    void sequenceSetAsideGoesOnWithTheSameBits() {
        try (TestWorker test = worker(4, 1024)) {
            Run expected = undisturbed();
            open(test, 1, PROMPT);
            List<StepOutcome.Sampled> sampled = test.step(TestWorker.piece(1, PROMPT, 0, 80));
            sampled = test.decode(1, 80, sampled.getFirst(), 2);
            test.worker.close(1);
            int[] known = Arrays.copyOf(PROMPT, 83);
            for (int i = 0; i < 3; i++) {
                known[80 + i] = sampled.get(i).token();
            }
            assertEquals(82, open(test, 2, known));
            List<StepOutcome.Sampled> next =
                    test.step(new SequenceRows(2, 82, new int[] {known[82]}, true));
            Run rest = decode(test, 2, next.getFirst(), 83, DECODED - 3);
            assertEquals(expected.sampled().subList(3, DECODED + 1), rest.sampled());
            assertEquals(expected.state(), rest.state());
        }
    }

    @Test
    void outputThatIsComputedAgainCountsAsOutput() {
        try (TestWorker test = worker(0, 1024)) {
            Run expected = undisturbed();
            int[] known = Arrays.copyOf(PROMPT, 83);
            for (int i = 0; i < 3; i++) {
                known[80 + i] = expected.sampled().get(i).token();
            }
            assertEquals(0, open(test, 2, known));
            List<StepOutcome.Sampled> next = test.step(new SequenceRows(2, 0, known, true));
            Run rest = decode(test, 2, next.getFirst(), 83, DECODED - 3);
            assertEquals(expected.sampled().subList(3, DECODED + 1), rest.sampled());
        }
    }

    @Test
    void sequencesInNeedTakeTheBlocksOfCheckpoints() {
        // 20 blocks; a sequence reserves 120 tokens, which is 4
        try (TestWorker test = worker(8, 640)) {
            for (int i = 0; i < 8; i++) {
                int[] prompt = new Random(i).ints(80, 0, 2000).toArray();
                SequenceOptions options = new SequenceOptions(80, 120, SamplingParameters.GREEDY);
                assertInstanceOf(Opening.Opened.class, test.worker.open(i, options, prompt));
                test.step(TestWorker.piece(i, prompt, 0, 80));
                test.worker.close(i); // leaves a checkpoint of 3 blocks
            }
            for (int i = 10; i < 13; i++) {
                open(test, i, PROMPT);
            }
            assertTrue(test.worker.checkpoints() > 0, "more was given up than needed");
            assertEquals(0, test.worker.freeSequences());
        }
    }

    @Test
    void refusedSequenceCostsNoCheckpoint() {
        try (TestWorker test = worker(8, 256)) { // 8 blocks
            open(test, 1, PROMPT);
            test.step(new SequenceRows(1, 0, Arrays.copyOf(PROMPT, 10), false, true));
            SequenceOptions large = new SequenceOptions(80, 250, SamplingParameters.GREEDY);
            assertInstanceOf(Opening.Refused.class, test.worker.open(2, large, new int[80]));
            assertEquals(1, test.worker.checkpoints());
        }
    }
}
