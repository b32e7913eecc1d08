package io.atoll.coordinator.engine;

import io.atoll.attention.step.AttentionLoad;
import io.atoll.attention.step.AttentionWorker;
import io.atoll.attention.step.AttentionWorkerInfo;
import io.atoll.attention.step.ExpertWorkerStatus;
import io.atoll.attention.step.Opening;
import io.atoll.attention.step.StepOutcome;
import io.atoll.attention.step.StepPlan;
import io.atoll.coordinator.scheduler.Decision;
import io.atoll.coordinator.scheduler.Decision.Ended;
import io.atoll.coordinator.scheduler.Event;
import io.atoll.coordinator.scheduler.Scheduler;
import io.atoll.coordinator.scheduler.SchedulerLimits;
import io.atoll.coordinator.sequence.GenerationEvent;
import io.atoll.coordinator.sequence.GenerationRequest;
import io.atoll.coordinator.sequence.OutputText;
import io.atoll.coordinator.sequence.Sequence;
import io.atoll.proto.ErrorCode;
import io.atoll.proto.Failure;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Consumer;
import java.util.function.Function;
import java.util.stream.Collectors;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/// Runs steps over the requests given to it, on one thread, for as long as it is open.
///
/// The thread is the attention worker's only caller. It takes commands from a bounded queue, and what it does with them is
/// decided by [Scheduler]. A step that fails ends its sequences and nothing else; so does a bug, which is logged once.
public final class Engine implements AutoCloseable {
    private static final Logger log = LoggerFactory.getLogger(Engine.class);

    /// How long an idle loop goes without asking whether the worker is available.
    private static final long IDLE_CHECK_MILLIS = 250;

    /// The same, for the checkpoints that it loads.
    private static final long LOADING_CHECK_MILLIS = 2;

    /// A busy loop looks at its worker once in so many turns: a remote one is asked over the network, and a step finds out by
    /// itself.
    private static final int CHECK_TURNS = 16;

    private static final Failure STOPPING =
            new Failure(ErrorCode.NOT_READY, "the coordinator is stopping");

    private final AttentionWorker worker;
    private final AttentionWorkerInfo info;
    private final EngineSettings settings;
    private final Function<GenerationRequest, OutputText> texts;
    private final EngineObserver observer;
    private final SchedulerLimits limits;
    private final Thread thread;

    /// One for each request that is under way, waiting or running.
    private final Semaphore room;

    /// Holds a submit and a cancel for each request that can be under way, and the cancels of those that ended in this turn
    /// of the loop, so an offer to it never fails.
    private final BlockingQueue<Command> commands;

    private final AtomicLong nextSequenceId = new AtomicLong(1);
    private final Map<Long, Sequence> live = new ConcurrentHashMap<>();

    private Scheduler scheduler; // the loop's own
    private final Set<Long> loading =
            new HashSet<>(); // the loop's own: sequences whose checkpoint is on its way

    private volatile Optional<Failure> unavailable = Optional.empty();
    private volatile int running;
    private volatile boolean stopping;
    private volatile long drainUntilNanos;
    private volatile boolean stopped;

    /// @param worker borrowed: the engine is its only caller until `close()` returns, and does not close it
    /// @param texts makes the fresh text side of a request
    /// @param observer is told what happens
    public Engine(
            AttentionWorker worker,
            EngineSettings settings,
            Function<GenerationRequest, OutputText> texts,
            EngineObserver observer) {
        this.worker = worker;
        this.info = worker.info();
        this.settings = settings;
        this.texts = texts;
        this.observer = observer;
        int maxStepRows = Math.min(settings.maxStepRows(), info.maxStepRows());
        int maxRunning =
                Math.min(Math.min(settings.maxRunning(), info.maxSequences()), maxStepRows);
        this.limits =
                new SchedulerLimits(
                        maxRunning,
                        maxStepRows,
                        settings.maxDecodeDelay(),
                        settings.checkpointRows(),
                        info.maxDrafts(),
                        settings.stepTimeout());
        this.scheduler = new Scheduler(limits, 1);
        int most = maxRunning + settings.maxQueuedRequests();
        this.room = new Semaphore(most);
        this.commands = new ArrayBlockingQueue<>(3 * most);
        this.thread = Thread.ofPlatform().name("atoll-step-loop").unstarted(this::run);
    }

    public void start() {
        thread.start();
    }

    /// The expert workers behind the attention worker, and what they have done.
    public List<ExpertWorkerStatus> expertWorkers() {
        return worker.expertWorkers();
    }

    /// How much there is to do now.
    public EngineLoad load() {
        int now = running;
        return new EngineLoad(now, Math.max(0, live.size() - now));
    }

    /// What the attention worker has in use, and what it has done.
    public AttentionLoad workerLoad() {
        return worker.load();
    }

    /// Why a request would be refused now, if it would for other reasons than its own or a full queue.
    public Optional<Failure> unavailable() {
        if (stopping) {
            return Optional.of(STOPPING);
        }
        if (stopped) {
            return Optional.of(new Failure(ErrorCode.INTERNAL, "the step loop has ended"));
        }
        if (!thread.isAlive()) {
            return Optional.of(new Failure(ErrorCode.NOT_READY, "the coordinator is starting"));
        }
        return unavailable;
    }

    /// Hands over a request. Does not wait: a request that is refused gets a stream with nothing but the failure.
    public GenerationStream submit(GenerationRequest request) {
        return submit(request, _ -> {});
    }

    /// Hands over a request, like [#submit(GenerationRequest)].
    ///
    /// @param onEnd gets the end of the request, exactly once, before the stream's reader does; must return at once
    public GenerationStream submit(GenerationRequest request, Consumer<GenerationEvent.End> onEnd) {
        long arrivedNanos = System.nanoTime();
        long id = nextSequenceId.getAndIncrement();
        GenerationStream stream =
                new GenerationStream(
                        settings.maxBufferedEvents(),
                        arrivedNanos + request.timeout().toNanos(),
                        () -> enqueue(new Command.Cancel(id)),
                        end -> {
                            observer.ended(request, end);
                            onEnd.accept(end);
                        });
        OutputText text = texts.apply(request);
        Optional<Failure> refusal = refusal(request);
        if (refusal.isPresent()) {
            stream.offer(new GenerationEvent.Failed(refusal.get()));
            return stream;
        }
        Sequence sequence = new Sequence(id, request, text, stream, arrivedNanos);
        live.put(id, sequence);
        enqueue(new Command.Submit(sequence));
        if (stopped) {
            end(id, Optional.of(STOPPING)); // the loop ended meanwhile, and may not have seen it
        }
        return stream;
    }

    /// Stops taking requests, lets those under way complete for the drain timeout, ends the rest, and stops the loop.
    @Override
    public void close() {
        drainUntilNanos = System.nanoTime() + settings.drainTimeout().toNanos();
        stopping = true;
        commands.offer(new Command.Wake()); // a full queue is awake
        if (thread.isAlive()) {
            joinLoop();
        }
        endAll(STOPPING);
    }

    private void joinLoop() {
        try {
            // A step that is under way is bounded by its own timeout.
            if (!thread.join(settings.drainTimeout().plus(settings.stepTimeout()))) {
                log.error("the step loop did not stop: stepTimeout={}", settings.stepTimeout());
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    /// Takes a place for the request, or says why it gets none.
    private Optional<Failure> refusal(GenerationRequest request) {
        Optional<Failure> down = unavailable();
        if (down.isPresent()) {
            return down;
        }
        long tokens = (long) request.prompt().length + request.maxOutputTokens();
        if (tokens > info.maxSequenceTokens()) {
            return Optional.of(
                    new Failure(
                            ErrorCode.PROMPT_TOO_LONG,
                            "the sequence would be too long: prompt="
                                    + request.prompt().length
                                    + " maxOutputTokens="
                                    + request.maxOutputTokens()
                                    + " maxSequenceTokens="
                                    + info.maxSequenceTokens()));
        }
        if (!room.tryAcquire()) {
            return Optional.of(
                    new Failure(
                            ErrorCode.OVERLOADED,
                            "too many requests: running and queued="
                                    + (limits.maxRunning() + settings.maxQueuedRequests())));
        }
        return Optional.empty();
    }

    private void enqueue(Command command) {
        if (!commands.offer(command) && !stopped) {
            throw new IllegalStateException("the command queue is full: " + commands.size());
        }
    }

    private void run() {
        try {
            loop();
        } finally { // also after an Error, which ends the thread
            stopped = true;
            closeAll();
            endAll(STOPPING);
        }
    }

    private void loop() {
        List<Event> events = new ArrayList<>();
        boolean idle = false; // the first look at the worker comes before the first wait
        int turnsUntilCheck = 0;
        while (!(stopping && (live.isEmpty() || drainUntilNanos - System.nanoTime() <= 0))) {
            try {
                takeCommands(events, idle);
                takeOpenings(events);
                if ((idle && loading.isEmpty()) || turnsUntilCheck-- <= 0) {
                    checkAvailability(events);
                    turnsUntilCheck = CHECK_TURNS;
                }
                Decision decision = scheduler.next(System.nanoTime(), events);
                events.clear();
                for (Ended ended : decision.ended()) {
                    if (ended.open()) {
                        close(ended.sequenceId());
                    }
                    end(ended.sequenceId(), ended.failure());
                }
                decision.setAside().forEach(this::close);
                observer.setAside(decision.setAside().size());
                running = scheduler.running();
                carryOut(decision.next()).ifPresent(events::add);
                idle = events.isEmpty();
            } catch (RuntimeException | InterruptedException e) {
                recover(e);
                events.clear();
                idle = true;
            }
        }
    }

    /// Does what was decided. A step's sampled tokens are with their sequences when this returns.
    private Optional<Event> carryOut(Decision.Next next) {
        return switch (next) {
            case Decision.Open open -> Optional.of(open(open));
            case Decision.Run(StepPlan plan) -> Optional.of(step(plan));
            case Decision.Idle() -> Optional.empty();
        };
    }

    private Event open(Decision.Open open) {
        long id = open.sequenceId();
        Opening opening;
        try {
            opening = worker.open(id, open.options(), open.tokens());
        } catch (RuntimeException e) {
            log.error("sequence {} could not be opened", id, e);
            opening =
                    new Opening.Refused(
                            new Failure(ErrorCode.INTERNAL, "internal error, sequence=" + id));
        }
        if (opening instanceof Opening.Loading) {
            loading.add(id);
        }
        return event(id, opening);
    }

    /// Asks after the sequences whose checkpoints are on their way.
    private void takeOpenings(List<Event> events) {
        for (long id : List.copyOf(loading)) {
            Opening opening = worker.opening(id);
            if (!(opening instanceof Opening.Loading)) {
                loading.remove(id);
                events.add(event(id, opening));
            }
        }
    }

    private Event event(long id, Opening opening) {
        return switch (opening) {
            case Opening.Refused(Failure failure) -> new Event.OpenRefused(id, failure);
            case Opening.Loading() -> new Event.Loading(id);
            case Opening.Opened(int cachedTokens) -> {
                Sequence sequence = live.get(id);
                if (sequence != null) {
                    started(sequence, cachedTokens);
                }
                yield new Event.Opened(id, cachedTokens);
            }
        };
    }

    private void started(Sequence sequence, int cachedTokens) {
        long nowNanos = System.nanoTime();
        if (sequence.started(nowNanos, cachedTokens)) {
            observer.began(sequence, nowNanos - sequence.arrivedNanos());
        }
    }

    private Event step(StepPlan plan) {
        int decodeRows =
                plan.sequences().stream()
                        .filter(this::decodes)
                        .mapToInt(StepPlan.SequenceRows::rows)
                        .sum();
        long startNanos = System.nanoTime();
        Event event = run(plan);
        observer.stepped(
                plan.rows() - decodeRows,
                decodeRows,
                System.nanoTime() - startNanos,
                event instanceof Event.StepFailed);
        return event;
    }

    private boolean decodes(StepPlan.SequenceRows rows) {
        Sequence sequence = live.get(rows.sequenceId());
        return rows.tokens().length == 1
                && sequence != null
                && rows.firstPosition() >= sequence.prompt().length;
    }

    private Event run(StepPlan plan) {
        try {
            return switch (worker.step(plan)) {
                case StepOutcome.Completed completed ->
                        new Event.StepCompleted(deliver(plan, completed), completed.drafted());
                case StepOutcome.Failed(Failure failure) -> {
                    log.warn(
                            "step failed: step={} sequences={} rows={} {}",
                            plan.stepId(),
                            plan.sequences().size(),
                            plan.rows(),
                            failure);
                    yield new Event.StepFailed(failure);
                }
            };
        } catch (RuntimeException e) {
            log.error("step {} threw; its sequences fail", plan.stepId(), e);
            return new Event.StepFailed(
                    new Failure(ErrorCode.INTERNAL, "internal error, step=" + plan.stepId()));
        }
    }

    /// Gives each sequence its tokens and finds those that go on.
    private Map<Long, List<Integer>> deliver(StepPlan plan, StepOutcome.Completed completed) {
        requireAnswers(plan, completed);
        countDrafts(completed);
        long nowNanos = System.nanoTime();
        deliverScores(completed);
        Map<Long, List<Integer>> nextTokens = new HashMap<>();
        Set<Long> over = new HashSet<>();
        for (StepOutcome.Sampled one : completed.sampled()) {
            Sequence sequence = live.get(one.sequenceId());
            if (sequence == null || over.contains(one.sequenceId())) {
                continue; // cancelled meanwhile, or complete before this token
            }
            observer.token(sequence.outputTokens() == 0, sequence.nanosSinceLast(nowNanos));
            if (sequence.accept(one, nowNanos)) {
                nextTokens
                        .computeIfAbsent(one.sequenceId(), _ -> new ArrayList<>())
                        .add(one.token());
            } else {
                over.add(one.sequenceId());
            }
        }
        over.forEach(nextTokens::remove);
        completed.failed().forEach((id, failure) -> fail(id, failure, over, nextTokens));
        return nextTokens;
    }

    /// Ends a sequence that cannot go on, unless it was complete before.
    private void fail(
            long id, Failure failure, Set<Long> over, Map<Long, List<Integer>> nextTokens) {
        nextTokens.remove(id);
        Sequence sequence = live.get(id);
        if (sequence != null && !over.contains(id)) {
            sequence.fail(failure);
        }
    }

    private void countDrafts(StepOutcome.Completed completed) {
        completed
                .drafted()
                .forEach(
                        (id, drafted) -> {
                            long tokens =
                                    completed.sampled().stream()
                                            .filter(one -> one.sequenceId() == id)
                                            .count();
                            boolean failed = completed.failed().containsKey(id);
                            observer.drafted(drafted, (int) (failed ? tokens : tokens - 1));
                        });
    }

    /// Gives each sequence what its prompt's tokens scored.
    private void deliverScores(StepOutcome.Completed completed) {
        Map<Long, List<StepOutcome.Scored>> bySequence =
                completed.scored().stream()
                        .collect(Collectors.groupingBy(StepOutcome.Scored::sequenceId));
        bySequence.forEach(
                (id, scores) ->
                        Optional.ofNullable(live.get(id))
                                .ifPresent(sequence -> sequence.scored(scores)));
    }

    private static void requireAnswers(StepPlan plan, StepOutcome.Completed completed) {
        Map<Long, Integer> asked = new HashMap<>(); // and how many tokens more there may be
        for (StepPlan.SequenceRows rows : plan.sequences()) {
            if (rows.sample()) {
                asked.put(rows.sequenceId(), rows.drafts() + 1);
            }
        }
        Set<Long> missing = new HashSet<>(asked.keySet());
        missing.removeAll(completed.failed().keySet());
        for (StepOutcome.Sampled one : completed.sampled()) {
            if (asked.merge(one.sequenceId(), -1, Integer::sum) < 0) {
                throw new IllegalStateException(
                        "step " + plan.stepId() + " has an unasked token: " + one);
            }
            missing.remove(one.sequenceId());
        }
        if (!missing.isEmpty()) {
            throw new IllegalStateException(
                    "step " + plan.stepId() + " lacks the tokens of sequences " + missing);
        }
    }

    /// Turns what waits in the queue into events. An idle loop waits for the first.
    private void takeCommands(List<Event> events, boolean idle) throws InterruptedException {
        List<Command> taken = new ArrayList<>();
        if (idle) {
            long millis = loading.isEmpty() ? IDLE_CHECK_MILLIS : LOADING_CHECK_MILLIS;
            Command first = commands.poll(millis, TimeUnit.MILLISECONDS);
            if (first != null) {
                taken.add(first);
            }
        }
        commands.drainTo(taken);
        for (Command command : taken) {
            switch (command) {
                case Command.Submit(Sequence sequence) -> {
                    if (live.containsKey(sequence.id())) { // not failed since by a bug
                        events.add(
                                new Event.Arrived(
                                        sequence.id(),
                                        sequence.prompt(),
                                        sequence.checkpoints(),
                                        sequence.options(),
                                        sequence.priority(),
                                        sequence.queueDeadlineNanos(),
                                        sequence.deadlineNanos()));
                    }
                }
                case Command.Cancel(long id) ->
                        events.add(
                                new Event.Cancelled(
                                        id,
                                        new Failure(
                                                ErrorCode.CANCELLED, "the request was cancelled")));
                case Command.Wake() -> {}
            }
        }
    }

    private void checkAvailability(List<Event> events) {
        Optional<Failure> before = unavailable;
        Optional<Failure> now = worker.unavailable();
        unavailable = now;
        now.ifPresent(failure -> events.add(new Event.Unavailable(failure)));
        if (now.isPresent() != before.isPresent()) {
            log.warn("the attention worker is {}", now.map(Failure::toString).orElse("available"));
        }
    }

    /// A sequence is over: its place is free.
    private void end(long id, Optional<Failure> failure) {
        Sequence sequence = live.remove(id);
        if (sequence != null) {
            room.release();
            failure.ifPresent(sequence::fail);
        }
    }

    private void endAll(Failure failure) {
        for (long id : live.keySet()) {
            end(id, Optional.of(failure));
        }
    }

    /// A bug outside a step: what the scheduler knows can't be trusted any more.
    private void recover(Exception bug) {
        long stepId = scheduler.nextStepId();
        log.error("the step loop failed before step {}; its requests fail", stepId, bug);
        closeAll();
        endAll(new Failure(ErrorCode.INTERNAL, "internal error, step=" + stepId));
        scheduler = new Scheduler(limits, stepId);
    }

    private void closeAll() {
        for (long id : live.keySet()) {
            close(id);
        }
    }

    private void close(long id) {
        loading.remove(id);
        try {
            worker.close(id);
        } catch (RuntimeException e) {
            log.error("sequence {} could not be closed", id, e);
        }
    }

    /// What other threads ask of the loop.
    private sealed interface Command {
        record Submit(Sequence sequence) implements Command {}

        record Cancel(long sequenceId) implements Command {}

        /// Look around: something else has changed.
        record Wake() implements Command {}
    }
}
