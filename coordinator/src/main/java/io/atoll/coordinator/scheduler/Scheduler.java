package io.atoll.coordinator.scheduler;

import io.atoll.attention.step.StepPlan;
import io.atoll.attention.step.StepPlan.SequenceRows;
import io.atoll.coordinator.scheduler.Decision.Ended;
import io.atoll.coordinator.scheduler.Decision.Next;
import io.atoll.proto.ErrorCode;
import io.atoll.proto.Failure;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeSet;

/// Plans steps: the most urgent first, then first come first served, no more than [SchedulerLimits] allow.
///
/// A step holds one row for each sequence that decodes, then prompt rows up to the step budget, or, where no prompt waits, rows for
/// guesses of the tokens to come ([DraftPlanner]). A long prompt is spread over
/// steps and several short ones share one, so a decoding sequence never waits for a whole prompt, nor does a short prompt for
/// a long one.
///
/// When there is no room for a sequence and a less urgent one runs, that is set aside: the worker forgets it, apart from a
/// checkpoint it may keep, and it waits again with what it has put out. Opened again it goes on with the same bits, since
/// a state depends on the tokens alone.
///
/// The class is pure: the same events at the same times give the same decisions. One thread uses it.
public final class Scheduler {
    private final SchedulerLimits limits;
    private final StepTime stepTime = new StepTime();
    private final DraftPlanner draftPlanner = new DraftPlanner();
    private final TreeSet<Scheduled> waiting = new TreeSet<>(Scheduled.ORDER);
    private final Map<Long, Scheduled> running = new LinkedHashMap<>(); // in the order of opening
    private final List<Ended> ended = new ArrayList<>();
    private final List<Long> setAside = new ArrayList<>();

    /// The sequence whose [Decision.Open] is not answered yet; it is in `waiting`.
    private Optional<Scheduled> opening = Optional.empty();

    /// The step whose [Decision.Run] is not answered yet.
    private Optional<StepPlan> inFlight = Optional.empty();

    private long inFlightSinceNanos;

    /// The sequence that the worker had no room for, until one ends or is set aside, which makes room.
    private Optional<Scheduled> refused = Optional.empty();

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
        setAside.clear();
        for (Event event : events) {
            apply(event, nowNanos);
        }
        if (opening.isPresent() || inFlight.isPresent()) {
            throw new IllegalStateException(
                    "the last decision is not answered: opening=" + opening + " step=" + inFlight);
        }
        expire(nowNanos);
        Next next = decide(nowNanos);
        return new Decision(ended, setAside, next);
    }

    /// Sequences that the worker keeps.
    public int running() {
        return running.size();
    }

    /// The id that the next step will have.
    public long nextStepId() {
        return nextStepId;
    }

    private void apply(Event event, long nowNanos) {
        switch (event) {
            case Event.Arrived arrived -> waiting.add(new Scheduled(arrived));
            case Event.Loading(long id) -> kept(id).loading();
            case Event.Opened(long id, int cachedTokens) -> opened(id, cachedTokens);
            case Event.OpenRefused(long id, Failure failure) -> {
                if (isOpening(id)) {
                    refused(takeOpening(id), failure);
                } else {
                    endRunning(id, Optional.of(failure)); // it was loading
                }
            }
            case Event.Cancelled(long id, Failure why) -> cancel(id, why);
            case Event.StepCompleted completed -> {
                StepPlan plan = takeInFlight();
                long nanos = nowNanos - inFlightSinceNanos;
                stepTime.completed(plan.rows(), nanos);
                if (plan.sequences().stream().allMatch(rows -> rows.tokens().length == 1)) {
                    draftPlanner.completed(rowsRun(plan, completed), nanos);
                }
                stepCompleted(plan, completed);
            }
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

    private void opened(long id, int cachedTokens) {
        if (isOpening(id)) {
            kept(id).opened(cachedTokens);
        } else if (running.containsKey(id)) {
            running.get(id).opened(cachedTokens);
        }
    }

    /// The worker keeps the sequence that was to be opened.
    private Scheduled kept(long id) {
        Scheduled sequence = takeOpening(id);
        waiting.remove(sequence);
        running.put(id, sequence);
        return sequence;
    }

    /// A worker that is merely full is asked again when there is more room. If none runs, there will not be.
    private void refused(Scheduled sequence, Failure failure) {
        if (failure.code() == ErrorCode.OVERLOADED && !running.isEmpty()) {
            refused = Optional.of(sequence);
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

    /// Rows that a step had in the end: fewer tokens may have been guessed than it had room for.
    private static int rowsRun(StepPlan plan, Event.StepCompleted completed) {
        return plan.sequences().size()
                + completed.drafted().values().stream().mapToInt(Integer::intValue).sum();
    }

    private void stepCompleted(StepPlan plan, Event.StepCompleted completed) {
        for (SequenceRows rows : plan.sequences()) {
            Scheduled sequence = running.get(rows.sequenceId());
            if (sequence == null) {
                continue; // cancelled while the step ran
            }
            sequence.advance(rows.tokens().length);
            if (rows.sample()) {
                List<Integer> tokens = completed.nextTokens().get(sequence.id);
                if (tokens == null) {
                    endRunning(sequence.id, Optional.empty());
                } else {
                    int accepted = tokens.size() - 1;
                    tokens.forEach(sequence::append);
                    sequence.advance(accepted);
                    sequence.verified(completed.drafted().getOrDefault(sequence.id, 0), accepted);
                }
            }
        }
    }

    private void expire(long nowNanos) {
        for (Iterator<Scheduled> each = waiting.iterator(); each.hasNext(); ) {
            Scheduled sequence = each.next();
            if (sequence.isExpired(nowNanos)) {
                each.remove();
                ended.add(new Ended(sequence.id, false, Optional.of(sequence.expired("queued"))));
            } else if (sequence.hasQueuedTooLong(nowNanos)) {
                each.remove();
                ended.add(new Ended(sequence.id, false, Optional.of(sequence.queuedTooLong())));
            }
        }
        for (Scheduled sequence : List.copyOf(running.values())) {
            if (sequence.isExpired(nowNanos)) {
                endRunning(sequence.id, Optional.of(sequence.expired("running")));
            }
        }
    }

    private Next decide(long nowNanos) {
        if (!waiting.isEmpty()) {
            Scheduled first = waiting.first();
            if (hasRoomFor(first) || setAsideFor(first)) {
                opening = Optional.of(first);
                return new Decision.Open(first.id, first.options, first.tokens());
            }
        }
        if (!running.values().stream().allMatch(Scheduled::isLoading)) {
            StepPlan plan = plan();
            inFlight = Optional.of(plan);
            inFlightSinceNanos = nowNanos;
            return new Decision.Run(plan);
        }
        return new Decision.Idle();
    }

    private boolean hasRoomFor(Scheduled first) {
        return running.size() < limits.maxRunning() && !refused.equals(Optional.of(first));
    }

    /// Sets the least urgent sequence aside, the youngest of several, if it is less urgent than `first`.
    private boolean setAsideFor(Scheduled first) {
        Scheduled last = running.values().stream().max(Scheduled.ORDER).orElse(first);
        if (last.priority <= first.priority) {
            return false;
        }
        running.remove(last.id);
        waiting.add(last);
        setAside.add(last.id);
        refused = Optional.empty();
        return true;
    }

    private StepPlan plan() {
        List<SequenceRows> rows = new ArrayList<>(running.size());
        List<Scheduled> prompts = new ArrayList<>();
        List<Scheduled> decoding = new ArrayList<>();
        for (Scheduled sequence : running.values()) {
            if (sequence.isLoading()) {
                continue;
            }
            if (sequence.decodes()) {
                rows.add(sequence.next(1, 0));
                decoding.add(sequence);
            } else {
                prompts.add(sequence);
            }
        }
        int budget = limits.maxStepRows() - rows.size();
        if (!rows.isEmpty()) {
            budget = Math.min(budget, stepTime.rowsIn(limits.maxDecodeDelay().toNanos()));
        }
        if (prompts.isEmpty()) {
            addDrafts(decoding, rows); // rows of prompts are known to count
        }
        shareOut(budget, prompts, rows);
        return new StepPlan(nextStepId++, rows, limits.stepTimeout());
    }

    private void addDrafts(List<Scheduled> decoding, List<SequenceRows> rows) {
        int budget = limits.maxStepRows() - rows.size();
        int[] drafts = draftPlanner.share(decoding, budget, limits.maxDrafts());
        for (int i = 0; i < drafts.length; i++) {
            rows.set(i, rows.get(i).withDrafts(drafts[i]));
        }
    }

    /// Half of the rows go to the first prompt, so that it moves on whatever else comes. The rest goes to those that need least,
    /// so that they are not held up by long ones.
    private void shareOut(int budget, List<Scheduled> prompts, List<SequenceRows> rows) {
        if (prompts.isEmpty()) {
            return;
        }
        prompts.sort(Scheduled.ORDER);
        Scheduled first = prompts.removeFirst();
        prompts.sort(Comparator.comparingInt(Scheduled::remaining).thenComparing(Scheduled.ORDER));
        int left = budget - Math.min(first.remaining(), budget - budget / 2);
        List<SequenceRows> others = new ArrayList<>();
        for (Scheduled sequence : prompts) {
            if (left == 0) {
                break;
            }
            SequenceRows chunk = sequence.next(left, limits.checkpointRows());
            others.add(chunk);
            left -= chunk.tokens().length;
        }
        int spent = others.stream().mapToInt(chunk -> chunk.tokens().length).sum();
        rows.add(first.next(budget - spent, limits.checkpointRows()));
        rows.addAll(others);
    }

    private void endRunning(long id, Optional<Failure> failure) {
        if (running.remove(id) != null) {
            ended.add(new Ended(id, true, failure));
            refused = Optional.empty();
        }
    }

    private boolean isOpening(long id) {
        return opening.isPresent() && opening.get().id == id;
    }

    private Scheduled takeOpening(long id) {
        Scheduled sequence =
                opening.filter(_ -> isOpening(id))
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
}
