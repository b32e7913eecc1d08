package io.atoll.attention.step;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;

import io.atoll.attention.DemoModel;
import io.atoll.attention.step.StepOutcome.Scored;
import io.atoll.attention.step.StepPlan.SequenceRows;
import io.atoll.kernels.scalar.ScalarKernels;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

final class ScoredPromptTest {
    private static final int TOKENS = 41;
    private static final int TOP = 3;
    private static int[] prompt;
    private static List<Scored> wanted;

    @BeforeAll
    static void scoreOneRowAtATime() {
        prompt = new Random(7).ints(TOKENS, 0, DemoModel.VOCABULARY).toArray();
        wanted = score(1, 1, 1, false);
    }

    @Test
    void everyTokenButTheFirstHasAScoreInItsPlace() {
        assertEquals(TOKENS - 1, wanted.size());
        for (int i = 0; i < wanted.size(); i++) {
            Scored score = wanted.get(i);
            assertEquals(i + 1, score.position());
            assertEquals(prompt[i + 1], score.token());
            assertEquals(TOP, score.top().size());
        }
    }

    /// More rows than sequences means that the logits are had in several passes of the head.
    @ParameterizedTest
    @CsvSource({"1, 1, 64", "1, 2, 7", "3, 1, 64", "3, 2, 41", "10, 2, 13"})
    void scoresDependOnTheTokensAlone(int sequences, int threads, int rowsPerStep) {
        assertEquals(wanted, score(sequences, threads, rowsPerStep, false));
    }

    @Test
    void aCheckpointHidesNoScore() {
        assertEquals(wanted, score(3, 1, 64, true));
    }

    private static List<Scored> score(
            int sequences, int threads, int rowsPerStep, boolean checkpointFirst) {
        AttentionSettings settings = TestWorker.settings(64, sequences, 4, 256, 1024);
        try (TestWorker test =
                new TestWorker(new ScalarKernels(), threads, settings, DemoModel.experts())) {
            if (checkpointFirst) {
                open(test, 1, false);
                test.prefill(1, prompt, 64);
                test.worker.close(1);
                assertEquals(1, test.worker.checkpoints());
            }
            open(test, 2, true);
            List<Scored> scored = new ArrayList<>();
            for (int begin = 0; begin < TOKENS; begin += rowsPerStep) {
                int end = Math.min(TOKENS, begin + rowsPerStep);
                SequenceRows rows = TestWorker.piece(2, prompt, begin, end);
                StepOutcome outcome = test.worker.step(test.plan(rows));
                scored.addAll(assertInstanceOf(StepOutcome.Completed.class, outcome).scored());
            }
            return scored;
        }
    }

    private static void open(TestWorker test, long id, boolean scored) {
        SequenceOptions options =
                new SequenceOptions(
                        TOKENS,
                        TOKENS + 4,
                        SamplingParameters.GREEDY,
                        TOP,
                        Optional.empty(),
                        scored);
        Opening opening = test.worker.open(id, options, Arrays.copyOf(prompt, TOKENS));
        assertEquals(new Opening.Opened(0), opening);
    }
}
