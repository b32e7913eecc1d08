package io.atoll.coordinator.scheduler;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.atoll.attention.step.SamplingParameters;
import io.atoll.attention.step.SequenceOptions;
import io.atoll.attention.step.StepPlan;
import io.atoll.attention.step.StepPlan.SequenceRows;
import io.atoll.coordinator.scheduler.Decision.Ended;
import io.atoll.proto.ErrorCode;
import io.atoll.proto.Failure;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

final class SchedulerTest {
    private static final int[] NONE = {};
    private static final long FAR = Long.MAX_VALUE / 2;
    private static final Failure FULL = new Failure(ErrorCode.OVERLOADED, "no blocks");
    private static final Failure BROKEN = new Failure(ErrorCode.NO_LIVE_REPLICA, "expert=3");
    private static final Failure GONE = new Failure(ErrorCode.CANCELLED, "gone");

    private final Scheduler scheduler = new Scheduler(limits(3, 8), 1);

    @Test
    void nothingToDoIsIdle() {
        assertInstanceOf(Decision.Idle.class, next().next());
    }

    @Test
    void arrivalIsOpenedThenPrefilledThenDecoded() {
        Decision.Open open = assertInstanceOf(Decision.Open.class, next(arrived(7, 3)).next());
        assertEquals(7, open.sequenceId());
        assertEquals(3, open.options().promptTokens());

        StepPlan prefill = plan(next(new Event.Opened(7, 0)));
        assertEquals(
                List.of(new SequenceRows(7, 0, new int[] {0, 1, 2}, true, false)),
                prefill.sequences());

        StepPlan decode = plan(next(Event.StepCompleted.of(Map.of(7L, 42))));
        assertEquals(
                List.of(new SequenceRows(7, 3, new int[] {42}, true, false)), decode.sequences());
        assertEquals(prefill.stepId() + 1, decode.stepId());
    }

    @Test
    void sequenceThatLoadsHoldsNobodyUp() {
        next(arrived(1, 20), arrived(2, 3));
        next(new Event.Loading(1));
        StepPlan plan = plan(next(new Event.Opened(2, 0)));
        assertEquals(1, plan.sequences().size());
        plan = plan(next(Event.StepCompleted.of(Map.of(2L, 5)), new Event.Opened(1, 15)));
        assertRows(plan.sequences().get(0), 3, 1, true);
        assertRows(plan.sequences().get(1), 15, 5, true);
    }

    @Test
    void sequenceThatNeverLoadsEnds() {
        next(arrived(1, 20));
        assertInstanceOf(Decision.Idle.class, next(new Event.Loading(1)).next());
        Decision decision = next(new Event.OpenRefused(1, GONE));
        assertEquals(List.of(new Ended(1, true, Optional.of(GONE))), decision.ended());
        assertTrue(next(new Event.Opened(1, 15)).ended().isEmpty());
    }

    @Test
    void longPromptIsCutAtTheBudgetAndSampledOnlyAtItsEnd() {
        next(arrived(1, 20));
        StepPlan first = plan(next(new Event.Opened(1, 0)));
        StepPlan second = plan(next(Event.StepCompleted.of(Map.of())));
        StepPlan third = plan(next(Event.StepCompleted.of(Map.of())));
        assertRows(first.sequences().getFirst(), 0, 8, false);
        assertRows(second.sequences().getFirst(), 8, 8, false);
        assertRows(third.sequences().getFirst(), 16, 4, true);
    }

    @Test
    void severalPromptsShareAStepInTheOrderOfArrival() {
        StepPlan plan = openAll(arrived(1, 3), arrived(2, 3), arrived(3, 5));
        assertRows(plan.sequences().get(0), 0, 3, true);
        assertRows(plan.sequences().get(1), 0, 3, true);
        assertRows(plan.sequences().get(2), 0, 2, false);
    }

    @Test
    void decodingSequencesGoBeforePrompts() {
        next(arrived(1, 20));
        plan(next(new Event.Opened(1, 0)));
        next(Event.StepCompleted.of(Map.of()), arrived(2, 2));
        StepPlan plan = plan(next(new Event.Opened(2, 0))); // 6 rows of prompt 1, both of prompt 2
        assertRows(plan.sequences().get(0), 8, 6, false);
        assertRows(plan.sequences().get(1), 0, 2, true);
        plan = plan(next(Event.StepCompleted.of(Map.of(2L, 6)))); // prompt 1 ends
        assertRows(plan.sequences().get(0), 2, 1, true);
        assertRows(plan.sequences().get(1), 14, 6, true);
        next(Event.StepCompleted.of(Map.of(1L, 5, 2L, 6)), arrived(3, 20));
        plan = plan(next(new Event.Opened(3, 0)));
        assertRows(plan.sequences().get(0), 20, 1, true);
        assertRows(plan.sequences().get(1), 3, 1, true);
        assertRows(plan.sequences().get(2), 0, 6, false);
    }

    @Test
    void sequenceWithoutANextTokenIsComplete() {
        openAll(arrived(1, 2));
        Decision decision = next(Event.StepCompleted.of(Map.of()));
        assertEquals(List.of(new Ended(1, true, Optional.empty())), decision.ended());
        assertInstanceOf(Decision.Idle.class, decision.next());
    }

    @Test
    void arrivalBeyondMaxRunningWaitsForAnEnd() {
        openAll(arrived(1, 1), arrived(2, 1), arrived(3, 1));
        plan(next(Event.StepCompleted.of(Map.of(1L, 5, 2L, 5, 3L, 5)), arrived(4, 1)));
        Decision decision = next(Event.StepCompleted.of(Map.of(1L, 5, 3L, 5)));
        assertEquals(List.of(new Ended(2, true, Optional.empty())), decision.ended());
        assertEquals(4, assertInstanceOf(Decision.Open.class, decision.next()).sequenceId());
    }

    @Test
    void fullWorkerIsAskedAgainWhenASequenceEnds() {
        openAll(arrived(1, 1));
        next(Event.StepCompleted.of(Map.of(1L, 5)), arrived(2, 1));
        assertEquals(1, plan(next(new Event.OpenRefused(2, FULL))).sequences().size());
        plan(next(Event.StepCompleted.of(Map.of(1L, 5)), arrived(3, 1))); // 3 does not overtake 2
        Decision decision = next(Event.StepCompleted.of(Map.of()));
        assertEquals(2, assertInstanceOf(Decision.Open.class, decision.next()).sequenceId());
    }

    @Test
    void sequenceThatNeverFitsFailsInsteadOfWaitingForever() {
        next(arrived(1, 1));
        Decision decision = next(new Event.OpenRefused(1, FULL));
        assertEquals(List.of(new Ended(1, false, Optional.of(FULL))), decision.ended());
    }

    @Test
    void failedStepEndsItsSequencesAndNoOthers() {
        openAll(arrived(1, 20), arrived(2, 20), arrived(3, 20)); // 4 rows of 1 and 2, none of 3
        Decision decision = next(new Event.StepFailed(BROKEN));
        assertEquals(
                List.of(
                        new Ended(1, true, Optional.of(BROKEN)),
                        new Ended(2, true, Optional.of(BROKEN))),
                decision.ended());
        assertEquals(3, plan(decision).sequences().getFirst().sequenceId());
    }

    @Test
    void cancelledSequenceGetsNoMoreRows() {
        openAll(arrived(1, 2), arrived(2, 2));
        Decision decision =
                next(Event.StepCompleted.of(Map.of(1L, 5, 2L, 6)), new Event.Cancelled(1, GONE));
        assertEquals(List.of(new Ended(1, true, Optional.of(GONE))), decision.ended());
        assertEquals(1, plan(decision).sequences().size());
        assertEquals(2, plan(decision).sequences().getFirst().sequenceId());
    }

    @Test
    void cancelledWhileQueuedWasNeverOpen() {
        openAll(arrived(1, 1), arrived(2, 1), arrived(3, 1));
        next(Event.StepCompleted.of(Map.of(1L, 1, 2L, 2, 3L, 3)), arrived(4, 1));
        Decision decision =
                next(
                        Event.StepCompleted.of(Map.of(1L, 1, 2L, 2, 3L, 3)),
                        new Event.Cancelled(4, GONE));
        assertEquals(List.of(new Ended(4, false, Optional.of(GONE))), decision.ended());
    }

    @Test
    void cancellingAnEndedSequenceIsIgnored() {
        openAll(arrived(1, 1));
        next(Event.StepCompleted.of(Map.of()));
        assertEquals(List.of(), next(new Event.Cancelled(1, GONE)).ended());
    }

    @Test
    void deadlineEndsARunningAndAQueuedSequence() {
        openAll(arrived(1, 1), arrived(2, 1), arrived(3, 1));
        Event late = new Event.Arrived(4, prompt(1), NONE, options(1), 0, FAR, 1000);
        next(Event.StepCompleted.of(Map.of(1L, 1, 2L, 2, 3L, 3)), late);
        Decision before = at(999, Event.StepCompleted.of(Map.of(1L, 1, 2L, 2, 3L, 3)));
        assertEquals(List.of(), before.ended());
        Decision after = at(1000, Event.StepCompleted.of(Map.of(1L, 1, 2L, 2, 3L, 3)));
        assertEquals(1, after.ended().size());
        assertEquals(4, after.ended().getFirst().sequenceId());
        assertFalse(after.ended().getFirst().open());
        assertEquals(
                ErrorCode.DEADLINE_EXCEEDED,
                after.ended().getFirst().failure().orElseThrow().code());
        Decision atEnd = at(FAR, Event.StepCompleted.of(Map.of(1L, 1, 2L, 2, 3L, 3)));
        assertEquals(3, atEnd.ended().stream().filter(Ended::open).count());
    }

    @Test
    void unavailableWorkerFailsWhatWaits() {
        openAll(arrived(1, 1), arrived(2, 1), arrived(3, 1));
        next(Event.StepCompleted.of(Map.of(1L, 1, 2L, 2, 3L, 3)), arrived(4, 1));
        Decision decision =
                next(
                        Event.StepCompleted.of(Map.of(1L, 1, 2L, 2, 3L, 3)),
                        new Event.Unavailable(BROKEN));
        assertEquals(List.of(new Ended(4, false, Optional.of(BROKEN))), decision.ended());
        assertEquals(3, plan(decision).sequences().size());
    }

    @Test
    void unansweredDecisionIsABug() {
        openAll(arrived(1, 1));
        assertThrows(IllegalStateException.class, () -> next());
    }

    @Test
    void budgetBelowMaxRunningIsRefused() {
        var refused = assertThrows(IllegalArgumentException.class, () -> limits(9, 8));
        assertTrue(refused.getMessage().contains("8 < 9"), refused.getMessage());
    }

    @Test
    void cachedTokensAreNotPlanned() {
        next(arrived(1, 10));
        StepPlan plan = plan(next(new Event.Opened(1, 7)));
        assertRows(plan.sequences().getFirst(), 7, 3, true);
    }

    @Test
    void rowsEndWhereACheckpointIsDue() {
        SchedulerLimits everyTen =
                new SchedulerLimits(3, 8, Duration.ofSeconds(1), 10, 0, Duration.ofSeconds(1));
        Scheduler scheduler = new Scheduler(everyTen, 1);
        scheduler.next(
                0,
                List.of(
                        new Event.Arrived(
                                1, prompt(20), new int[] {3, 15}, options(20), 0, FAR, FAR)));
        StepPlan plan = plan(scheduler.next(0, List.of(new Event.Opened(1, 0))));
        for (int due : new int[] {3, 10, 15}) {
            assertCheckpoint(plan.sequences().getFirst(), due);
            plan = plan(scheduler.next(0, List.of(Event.StepCompleted.of(Map.of()))));
        }
        assertRows(plan.sequences().getFirst(), 15, 5, true);
        assertFalse(plan.sequences().getFirst().checkpoint());
    }

    @Test
    void moreUrgentSequenceIsOpenedFirst() {
        next(arrived(1, 1, 5), arrived(2, 1, 5), arrived(3, 1, -1));
        assertEquals(1, opened(next(new Event.Opened(3, 0))));
    }

    @Test
    void youngestOfTheLeastUrgentIsSetAsideAndGoesOnWithItsOutput() {
        openAll(arrived(1, 1, 0), arrived(2, 2, 7), arrived(3, 2, 7));
        Decision decision =
                next(Event.StepCompleted.of(Map.of(1L, 5, 2L, 5, 3L, 6)), arrived(4, 1, 2));
        assertEquals(List.of(3L), decision.setAside());
        assertEquals(4, opened(decision));
        StepPlan plan = plan(next(new Event.Opened(4, 0)));
        assertEquals(3, plan.sequences().size());
        decision = next(Event.StepCompleted.of(Map.of(1L, 5, 2L, 5)));
        assertEquals(3, opened(decision));
        assertArrayEquals(new int[] {0, 1, 6}, ((Decision.Open) decision.next()).tokens());
        SequenceRows rows = plan(next(new Event.Opened(3, 2))).sequences().getLast();
        assertEquals(new SequenceRows(3, 2, new int[] {6}, true, false), rows);
    }

    @Test
    void equallyUrgentSequenceIsNotSetAside() {
        openAll(arrived(1, 1), arrived(2, 1), arrived(3, 1));
        Decision decision =
                next(Event.StepCompleted.of(Map.of(1L, 5, 2L, 5, 3L, 6)), arrived(4, 1));
        assertEquals(List.of(), decision.setAside());
        assertEquals(3, plan(decision).sequences().size());
    }

    @Test
    void fullWorkerMakesRoomForTheMoreUrgent() {
        openAll(arrived(1, 1, 3));
        next(Event.StepCompleted.of(Map.of(1L, 5)), arrived(2, 1, 0));
        Decision decision = next(new Event.OpenRefused(2, FULL));
        assertEquals(List.of(1L), decision.setAside());
        assertEquals(2, opened(decision));
    }

    @Test
    void sequenceThatQueuesTooLongIsShed() {
        openAll(arrived(1, 1), arrived(2, 1), arrived(3, 1));
        Event impatient = new Event.Arrived(4, prompt(1), NONE, options(1), 0, 10, FAR);
        next(Event.StepCompleted.of(Map.of(1L, 1, 2L, 2, 3L, 3)), impatient);
        assertEquals(List.of(), at(9, Event.StepCompleted.of(Map.of(1L, 1, 2L, 2, 3L, 3))).ended());
        Decision after = at(10, Event.StepCompleted.of(Map.of(1L, 1, 2L, 2, 3L, 3)));
        assertEquals(4, after.ended().getFirst().sequenceId());
        assertEquals(ErrorCode.OVERLOADED, after.ended().getFirst().failure().orElseThrow().code());
    }

    @Test
    void promptRowsBesideDecodingSequencesFitTheDelay() {
        Scheduler slow = new Scheduler(limits(3, 1000), 1);
        slow.next(0, List.of(arrived(1, 900)));
        slow.next(0, List.of(new Event.Opened(1, 0))); // 900 rows, nobody waits
        long nanos = Duration.ofSeconds(90).toNanos(); // a tenth of a second for a row
        slow.next(nanos, List.of(Event.StepCompleted.of(Map.of(1L, 5)), arrived(2, 500)));
        StepPlan plan = plan(slow.next(nanos, List.of(new Event.Opened(2, 0))));
        assertRows(plan.sequences().get(0), 900, 1, true);
        assertRows(plan.sequences().get(1), 0, 20, false); // two seconds are allowed
    }

    private static int opened(Decision decision) {
        return (int) assertInstanceOf(Decision.Open.class, decision.next()).sequenceId();
    }

    private static void assertCheckpoint(SequenceRows rows, int position) {
        assertTrue(rows.checkpoint());
        assertEquals(position, rows.firstPosition() + rows.tokens().length);
    }

    private static SchedulerLimits limits(int maxRunning, int maxStepRows) {
        return new SchedulerLimits(
                maxRunning, maxStepRows, Duration.ofSeconds(2), 0, 0, Duration.ofSeconds(1));
    }

    /// Lets every arrival be opened and gives the step that follows.
    private StepPlan openAll(Event... arrivals) {
        Decision decision = next(arrivals);
        while (decision.next() instanceof Decision.Open open) {
            decision = next(new Event.Opened(open.sequenceId(), 0));
        }
        return plan(decision);
    }

    private Decision next(Event... events) {
        return at(0, events);
    }

    private Decision at(long nowNanos, Event... events) {
        return scheduler.next(nowNanos, List.of(events));
    }

    private static StepPlan plan(Decision decision) {
        return assertInstanceOf(Decision.Run.class, decision.next()).plan();
    }

    private static void assertRows(SequenceRows rows, int first, int count, boolean sample) {
        assertEquals(first, rows.firstPosition());
        assertEquals(count, rows.tokens().length);
        assertEquals(sample, rows.sample());
        if (count > 1) {
            assertArrayEquals(IntStream.range(first, first + count).toArray(), rows.tokens());
        }
    }

    private static Event arrived(long id, int promptTokens) {
        return arrived(id, promptTokens, 0);
    }

    private static Event arrived(long id, int promptTokens, int priority) {
        return new Event.Arrived(
                id, prompt(promptTokens), NONE, options(promptTokens), priority, FAR, FAR);
    }

    private static int[] prompt(int tokens) {
        int[] prompt = new int[tokens];
        Arrays.setAll(prompt, i -> i);
        return prompt;
    }

    private static SequenceOptions options(int promptTokens) {
        return new SequenceOptions(promptTokens, promptTokens + 100, SamplingParameters.GREEDY);
    }
}
