package io.atoll.attention.step;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.atoll.attention.DemoModel;
import io.atoll.attention.InProcessExperts;
import io.atoll.attention.step.StepOutcome.Sampled;
import io.atoll.attention.step.StepPlan.SequenceRows;
import io.atoll.kernels.scalar.ScalarKernels;
import io.atoll.proto.ErrorCode;
import io.atoll.proto.Failure;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/// Plans that are refused, and steps that fail on their way.
class StepRefusalTest {
    private static final int[] PROMPT = {2017, 801, 261, 198, 344, 287, 273, 426, 385, 1712};

    private final InProcessExperts experts =
            new InProcessExperts(DemoModel.directory().textWeights());
    private final TestWorker test =
            new TestWorker(new ScalarKernels(), 2, TestWorker.SETTINGS, experts);

    @AfterEach
    void close() {
        test.close();
        experts.close();
    }

    private Failure refused(SequenceRows... rows) {
        return failed(test.worker.step(test.plan(rows)));
    }

    private static Failure failed(StepOutcome outcome) {
        return assertInstanceOf(StepOutcome.Failed.class, outcome).failure();
    }

    private static SequenceRows rows(long id, int position, int... tokens) {
        return new SequenceRows(id, position, tokens, true);
    }

    /// Checks that a plan with sequence 1 in it is refused, and that sequence 1 goes on as if nothing had been.
    private void refusedWithoutATrace(ErrorCode code, SequenceRows... others) {
        test.open(1, PROMPT.length, 32);
        Sampled first = test.prefill(1, PROMPT, 64);
        Map<String, List<Integer>> before = test.state(1);
        List<SequenceRows> plan = new ArrayList<>();
        plan.add(rows(1, PROMPT.length, first.token()));
        plan.addAll(List.of(others));
        assertEquals(code, refused(plan.toArray(SequenceRows[]::new)).code());
        assertEquals(before, test.state(1));
        test.step(rows(1, PROMPT.length, first.token()));
    }

    @Test
    void unknownSequenceIsRefusedWithoutATrace() {
        refusedWithoutATrace(ErrorCode.SEQUENCE_LOST, rows(2, 0, 5));
    }

    @Test
    void wrongPositionIsRefusedWithoutATrace() {
        test.open(2, 3, 32);
        refusedWithoutATrace(ErrorCode.SEQUENCE_LOST, rows(2, 1, 5));
    }

    @Test
    void sequenceTwiceIsRefusedWithoutATrace() {
        refusedWithoutATrace(ErrorCode.INVALID_REQUEST, rows(1, PROMPT.length, 5));
    }

    @Test
    void tooManyRowsAreRefusedWithoutATrace() {
        test.open(2, 100, 200);
        refusedWithoutATrace(
                ErrorCode.INVALID_REQUEST, rows(2, 0, new int[TestWorker.SETTINGS.maxStepRows()]));
    }

    @Test
    void paddingTokenIsRefusedWithoutATrace() {
        test.open(2, 3, 32);
        refusedWithoutATrace(ErrorCode.INVALID_REQUEST, rows(2, 0, 5, DemoModel.VOCABULARY));
    }

    @Test
    void negativeTokenIsRefusedWithoutATrace() {
        test.open(2, 3, 32);
        refusedWithoutATrace(ErrorCode.INVALID_REQUEST, rows(2, 0, -1));
    }

    @Test
    void rowsPastTheReservedLengthAreRefusedWithoutATrace() {
        test.open(2, 3, 4);
        refusedWithoutATrace(ErrorCode.INVALID_REQUEST, rows(2, 0, 5, 5, 5, 5, 5));
    }

    @Test
    void stepPastItsTimeFails() {
        test.open(1, PROMPT.length, 32);
        StepPlan late = new StepPlan(1, List.of(rows(1, 0, PROMPT)), Duration.ZERO);
        assertEquals(ErrorCode.DEADLINE_EXCEEDED, failed(test.worker.step(late)).code());
    }

    @Test
    void expertFailureLosesTheSequencesOfTheStepAndNoOthers() {
        // What sequence 1 gets when nothing goes wrong.
        test.open(1, PROMPT.length, 32);
        List<Sampled> expected = test.decode(1, PROMPT.length, test.prefill(1, PROMPT, 64), 3);
        test.worker.close(1);

        test.open(1, PROMPT.length, 32);
        List<Sampled> sampled =
                new ArrayList<>(test.decode(1, PROMPT.length, test.prefill(1, PROMPT, 64), 1));
        test.open(2, PROMPT.length, 32);
        Failure cause = new Failure(ErrorCode.NO_LIVE_REPLICA, "layer=5 expert=3");
        experts.failWhen(layer -> layer == 5 ? Optional.of(cause) : Optional.empty());
        assertEquals(cause, refused(rows(2, 0, PROMPT)));
        experts.failWhen(_ -> Optional.empty());

        assertEquals(ErrorCode.SEQUENCE_LOST, refused(rows(2, 0, PROMPT)).code());
        for (int i = 1; i < 3; i++) {
            sampled.addAll(test.step(rows(1, PROMPT.length + i, sampled.getLast().token())));
        }
        assertEquals(expected, sampled);

        // Closed and opened again, the lost one starts afresh.
        test.worker.close(2);
        test.open(2, PROMPT.length, 32);
        Sampled again = test.prefill(2, PROMPT, 64);
        assertEquals(expected.getFirst().token(), again.token());
        assertEquals(expected.getFirst().logprob(), again.logprob());
    }

    @Test
    void exceptionOnTheWayLosesTheSequence() {
        test.open(1, PROMPT.length, 32);
        experts.failWhen(
                layer -> {
                    throw new IllegalStateException("a bug in layer " + layer);
                });
        SequenceRows rows = rows(1, 0, PROMPT);
        StepPlan plan = test.plan(rows);
        assertThrows(IllegalStateException.class, () -> test.worker.step(plan));
        experts.failWhen(_ -> Optional.empty());
        assertEquals(ErrorCode.SEQUENCE_LOST, refused(rows).code());
    }

    @Test
    void notANumberIsAFailureAndNotAToken() {
        test.open(1, PROMPT.length, 32);
        experts.poison();
        assertEquals(ErrorCode.NON_FINITE_OUTPUT, refused(rows(1, 0, PROMPT[0])).code());
    }

    @Test
    void secondCallerIsTurnedAway() {
        test.open(1, PROMPT.length, 32);
        List<RuntimeException> thrown = new ArrayList<>();
        experts.failWhen(
                _ -> {
                    thrown.add(
                            assertThrows(IllegalStateException.class, () -> test.worker.close(1)));
                    return Optional.empty();
                });
        test.step(rows(1, 0, PROMPT[0]));
        assertEquals(8, thrown.size());
    }

    @Test
    void unavailableExpertsMakeTheWorkerUnavailable() {
        assertEquals(Optional.empty(), test.worker.unavailable());
        Failure missing = new Failure(ErrorCode.NO_LIVE_REPLICA, "layer=0 expert=1");
        experts.setUnavailable(Optional.of(missing));
        assertEquals(Optional.of(missing), test.worker.unavailable());
    }

    @Test
    void openSequencesAreBoundedBySlots() {
        for (int i = 0; i < TestWorker.SETTINGS.maxSequences(); i++) {
            test.open(i, 1, 32);
        }
        SequenceOptions options = new SequenceOptions(1, 32, SamplingParameters.GREEDY);
        assertEquals(ErrorCode.OVERLOADED, TestWorker.tryOpen(test.worker, 100, options).orElseThrow().code());
        test.worker.close(3);
        assertEquals(Optional.empty(), TestWorker.tryOpen(test.worker, 100, options));
    }

    @Test
    void openSequencesAreBoundedByBlocks() {
        for (int i = 0; i < 4; i++) {
            test.open(i, 1, 1024);
        }
        SequenceOptions options = new SequenceOptions(1, 1, SamplingParameters.GREEDY);
        assertEquals(ErrorCode.OVERLOADED, TestWorker.tryOpen(test.worker, 100, options).orElseThrow().code());
        test.worker.close(3);
        assertEquals(Optional.empty(), TestWorker.tryOpen(test.worker, 100, options));
    }

    @Test
    void sequenceLongerThanIsServedIsRefused() {
        SequenceOptions options = new SequenceOptions(1, 1025, SamplingParameters.GREEDY);
        assertEquals(ErrorCode.PROMPT_TOO_LONG, TestWorker.tryOpen(test.worker, 1, options).orElseThrow().code());
    }

    @Test
    void openingTwiceIsRefusedAndClosingTwiceIsHarmless() {
        test.open(1, 1, 32);
        SequenceOptions options = new SequenceOptions(1, 32, SamplingParameters.GREEDY);
        assertEquals(ErrorCode.INVALID_REQUEST, TestWorker.tryOpen(test.worker, 1, options).orElseThrow().code());
        test.worker.close(1);
        test.worker.close(1);
        assertEquals(TestWorker.SETTINGS.maxSequences(), test.worker.freeSequences());
    }

    @Test
    void reopenedSlotHasForgottenItsSequence() {
        test.open(1, PROMPT.length, 32);
        Sampled first = test.prefill(1, PROMPT, 64);
        Map<String, List<Integer>> state = test.state(1);
        test.worker.close(1);
        test.open(1, PROMPT.length, 32);
        assertTrue(
                test.state(1).values().stream().flatMap(List::stream).allMatch(bits -> bits == 0));
        assertEquals(first, test.prefill(1, PROMPT, 64));
        assertEquals(state, test.state(1));
    }
}
