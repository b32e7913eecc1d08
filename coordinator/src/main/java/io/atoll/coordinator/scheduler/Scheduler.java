package io.atoll.coordinator.scheduler;

import io.atoll.attention.step.SequenceOptions;
import io.atoll.attention.step.StepPlan;
import io.atoll.attention.step.StepPlan.SequenceRows;
import io.atoll.coordinator.scheduler.Decision.Ended;
import io.atoll.coordinator.scheduler.Decision.Next;
import io.atoll.proto.ErrorCode;
import io.atoll.proto.Failure;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Deque;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/// Plans steps: first in, first out, no more than [SchedulerLimits] allow.
///
/// A step holds one row for each sequence that decodes, then prompt rows in the order of arrival up to the step budget. A long
/// prompt is spread over steps and several short ones share one, so a decoding sequence never waits for a whole prompt.
///
/// The class is pure: the same events at the same times give the same decisions. One thread uses it.
public final class Scheduler {
    private final SchedulerLimits limits;
    private final Deque<Scheduled> waiting = new ArrayDeque<>();
    private final Map<Long, Scheduled> running = new LinkedHashMap<>(); // in the order of arrival
    private final List<Ended> ended = new ArrayList<>();

    /// The sequence whose [Decision.Open] is not answered yet; it is the head of `waiting`.
    private Optional<Scheduled> opening = Optional.empty();

    /// The step whose [Decision.Run] is not answered yet.
    private Optional<StepPlan> inFlight = Optional.empty();

    /// Whether the worker had no room for the head of `waiting`; a sequence that ends makes room.
    private boolean workerFull;

    private long nextStepId;

    /// @param firstStepId the id of its first step; ids count up from there
    public Scheduler(SchedulerLimits limits, long firstStepId) {
        this.limits = limits;
        this.nextStepId = firstStepId;
    }

    /// Takes in what happened and says what to do now.
    ///
    /// @param events the answer to the last decision's `next`, if it has one, then the rest in the order they happened
    public Decision next(long nowNanos, List<Event> events) {
        ended.clear();
        for (Event event : events) {
            apply(event);
        }
        if (opening.isPresent() || inFlight.isPresent()) {
            throw new IllegalStateException(
                    "the last decision is not answered: opening=" + opening + " step=" + inFlight);
        }
        expire(nowNanos);
        Next next = decide();
        return new Decision(ended, next);
    }

    /// The id that the next step will have.
    public long nextStepId() {
        return nextStepId;
    }

    private void apply(Event event) {
        switch (event) {
            case Event.Arrived arrived -> waiting.add(new Scheduled(arrived));
            case Event.Opened(long id) -> {
                Scheduled sequence = takeOpening(id);
                waiting.remove(sequence);
                running.put(id, sequence);
            }
            case Event.OpenRefused(long id, Failure failure) -> refused(takeOpening(id), failure);
            case Event.Cancelled(long id, Failure why) -> cancel(id, why);
            case Event.StepCompleted(Map<Long, Integer> nextTokens) ->
                    stepCompleted(takeInFlight(), nextTokens);
            case Event.StepFailed(Failure failure) -> {
                for (SequenceRows rows : takeInFlight().sequences()) {
                    endRunning(rows.sequenceId(), Optional.of(failure));
                }
            }
            case Event.Unavailable(Failure failure) -> {
                for (Scheduled sequence : waiting) {
                    ended.add(new Ended(sequence.id, false, Optional.of(failure)));
                }
                waiting.clear();
            }
        }
    }

    /// A worker that is merely full is asked again when a sequence has ended. If none runs, none will end.
    private void refused(Scheduled sequence, Failure failure) {
        if (failure.code() == ErrorCode.OVERLOADED && !running.isEmpty()) {
            workerFull = true;
        } else {
            waiting.remove(sequence);
            ended.add(new Ended(sequence.id, false, Optional.of(failure)));
        }
    }

    private void cancel(long id, Failure why) {
        if (running.containsKey(id)) {
            endRunning(id, Optional.of(why));
        } else if (waiting.removeIf(sequence -> sequence.id == id)) {
            ended.add(new Ended(id, false, Optional.of(why)));
        }
    }

    private void stepCompleted(StepPlan plan, Map<Long, Integer> nextTokens) {
        for (SequenceRows rows : plan.sequences()) {
            Scheduled sequence = running.get(rows.sequenceId());
            if (sequence == null) {
                continue; // cancelled while the step ran
            }
            sequence.position += rows.tokens().length;
            if (rows.sample()) {
                Integer token = nextTokens.get(sequence.id);
                if (token == null) {
                    endRunning(sequence.id, Optional.empty());
                } else {
                    sequence.lastToken = token;
                }
            }
        }
    }

    private void expire(long nowNanos) {
        for (Iterator<Scheduled> each = waiting.iterator(); each.hasNext(); ) {
            Scheduled sequence = each.next();
            if (nowNanos - sequence.deadlineNanos >= 0) {
                each.remove();
                ended.add(new Ended(sequence.id, false, Optional.of(sequence.expired("queued"))));
            }
        }
        for (Scheduled sequence : List.copyOf(running.values())) {
            if (nowNanos - sequence.deadlineNanos >= 0) {
                endRunning(sequence.id, Optional.of(sequence.expired("running")));
            }
        }
    }

    private Next decide() {
        if (!waiting.isEmpty() && running.size() < limits.maxRunning() && !workerFull) {
            Scheduled head = waiting.getFirst();
            opening = Optional.of(head);
            return new Decision.Open(head.id, head.options);
        }
        if (!running.isEmpty()) {
            StepPlan plan = plan();
            inFlight = Optional.of(plan);
            return new Decision.Run(plan);
        }
        return new Decision.Idle();
    }

    private StepPlan plan() {
        List<SequenceRows> rows = new ArrayList<>(running.size());
        int budget = limits.maxStepRows();
        for (Scheduled sequence : running.values()) {
            if (sequence.decodes()) {
                rows.add(sequence.decodeRow());
                budget--;
            }
        }
        for (Scheduled sequence : running.values()) {
            if (!sequence.decodes() && budget > 0) {
                SequenceRows chunk = sequence.prefillRows(budget);
                rows.add(chunk);
                budget -= chunk.tokens().length;
            }
        }
        return new StepPlan(nextStepId++, rows, limits.stepTimeout());
    }

    private void endRunning(long id, Optional<Failure> failure) {
        if (running.remove(id) != null) {
            ended.add(new Ended(id, true, failure));
            workerFull = false;
        }
    }

    private Scheduled takeOpening(long id) {
        Scheduled sequence =
                opening.filter(s -> s.id == id)
                        .orElseThrow(
                                () ->
                                        new IllegalStateException(
                                                "sequence " + id + " was not to be opened"));
        opening = Optional.empty();
        return sequence;
    }

    private StepPlan takeInFlight() {
        StepPlan plan =
                inFlight.orElseThrow(() -> new IllegalStateException("no step was to be run"));
        inFlight = Optional.empty();
        return plan;
    }

    /// One sequence as the scheduler sees it: its prompt, and how many tokens the worker has seen.
    private static final class Scheduled {
        final long id;
        final int[] prompt;
        final SequenceOptions options;
        final long deadlineNanos;
        int position;
        int lastToken; // chosen last and not yet seen by the worker; meaningful once the prompt

        // is done

        Scheduled(Event.Arrived arrived) {
            this.id = arrived.sequenceId();
            this.prompt = arrived.prompt();
            this.options = arrived.options();
            this.deadlineNanos = arrived.deadlineNanos();
        }

        boolean decodes() {
            return position >= prompt.length;
        }

        SequenceRows decodeRow() {
            return new SequenceRows(id, position, new int[] {lastToken}, true);
        }

        SequenceRows prefillRows(int budget) {
            int end = Math.min(prompt.length, position + budget);
            int[] tokens = Arrays.copyOfRange(prompt, position, end);
            return new SequenceRows(id, position, tokens, end == prompt.length);
        }

        Failure expired(String state) {
            return new Failure(
                    ErrorCode.DEADLINE_EXCEEDED,
                    "the request ran into its deadline: "
                            + state
                            + ", position="
                            + position
                            + " prompt="
                            + prompt.length);
        }

        @Override
        public String toString() {
            return "sequence " + id;
        }
    }
}
