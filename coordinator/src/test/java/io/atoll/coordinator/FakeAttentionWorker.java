package io.atoll.coordinator;

import io.atoll.attention.step.AttentionLoad;
import io.atoll.attention.step.AttentionWorker;
import io.atoll.attention.step.AttentionWorkerInfo;
import io.atoll.attention.step.ExpertWorkerStatus;
import io.atoll.attention.step.Opening;
import io.atoll.attention.step.SequenceOptions;
import io.atoll.attention.step.StepOutcome;
import io.atoll.attention.step.StepPlan;
import io.atoll.attention.step.TokenLogprob;
import io.atoll.proto.ErrorCode;
import io.atoll.proto.Failure;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Deque;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.IntStream;

/// A worker that says what it was told to say: each sequence, in the order they open, gets the next script.
///
/// It checks what a coordinator owes a worker: one caller, known sequences, the right positions. Steps run at once, or one for
/// each permit after [#hold].
public final class FakeAttentionWorker implements AttentionWorker {
    private static final long PATIENCE_SECONDS = 20;

    private final AttentionWorkerInfo info;
    private final BlockingQueue<int[]> scripts = new LinkedBlockingQueue<>();
    private final Map<Long, Playing> open = new ConcurrentHashMap<>();
    private final Map<Long, Playing> playing = new ConcurrentHashMap<>(); // also what is set aside
    private final AtomicInteger steps = new AtomicInteger();
    private final Map<Long, SequenceOptions> options = new ConcurrentHashMap<>();
    private final Map<Long, int[]> prompts = new ConcurrentHashMap<>();
    private final BlockingQueue<Long> opened = new LinkedBlockingQueue<>();
    private final BlockingQueue<Long> closed = new LinkedBlockingQueue<>();
    private final BlockingQueue<StepPlan> entered = new LinkedBlockingQueue<>();
    private final Semaphore permits = new Semaphore(0);
    private final Deque<StepOutcome> forced = new ArrayDeque<>();
    private final List<String> complaints = new CopyOnWriteArrayList<>();
    private volatile AttentionLoad load = AttentionLoad.NONE;
    private volatile List<ExpertWorkerStatus> expertWorkers = List.of();
    private volatile boolean held;
    private volatile int cachedTokens;
    private final AtomicInteger loads = new AtomicInteger();
    private volatile Optional<Failure> unavailable = Optional.empty();
    private volatile Optional<RuntimeException> bug = Optional.empty();
    private volatile Optional<RuntimeException> availabilityBug = Optional.empty();
    private volatile Thread caller;

    public FakeAttentionWorker(AttentionWorkerInfo info) {
        this.info = info;
    }

    /// The tokens of the next sequence that opens and has none yet. After the last of them it repeats it.
    public void script(int... tokens) {
        scripts.add(tokens);
    }

    /// From now on so many tokens of a sequence count as seen when it is opened.
    public void cache(int tokens) {
        cachedTokens = tokens;
    }

    /// The next sequence is opened only when it was asked after so many times.
    public void loadNext(int times) {
        loads.set(times);
    }

    /// What it says of itself from now on.
    public void report(AttentionLoad now, ExpertWorkerStatus... workers) {
        load = now;
        expertWorkers = List.of(workers);
    }

    /// From now on each step waits for [#release].
    public void hold() {
        permits.drainPermits();
        held = true;
    }

    public void release(int steps) {
        permits.release(steps);
    }

    /// Steps no longer wait.
    public void releaseAll() {
        held = false;
        permits.release(1000);
    }

    /// The next step ends like this instead of following the scripts.
    public void forceNext(StepOutcome outcome) {
        synchronized (forced) {
            forced.add(outcome);
        }
    }

    /// The next step throws.
    public void throwNext(RuntimeException exception) {
        bug = Optional.of(exception);
    }

    /// The next question for availability throws.
    public void throwWhenAsked(RuntimeException exception) {
        availabilityBug = Optional.of(exception);
    }

    public void setUnavailable(Optional<Failure> failure) {
        unavailable = failure;
    }

    /// Waits until a step has begun.
    public StepPlan awaitStep() throws InterruptedException {
        return require(entered.poll(PATIENCE_SECONDS, TimeUnit.SECONDS), "no step");
    }

    /// Waits until a sequence is open.
    public long awaitOpened() throws InterruptedException {
        return require(opened.poll(PATIENCE_SECONDS, TimeUnit.SECONDS), "no sequence opened");
    }

    /// Waits until a sequence is closed.
    public long awaitClosed() throws InterruptedException {
        return require(closed.poll(PATIENCE_SECONDS, TimeUnit.SECONDS), "no sequence closed");
    }

    /// Whether a sequence is closed now or within this time.
    public boolean closedWithin(Duration time) throws InterruptedException {
        return closed.poll(time.toNanos(), TimeUnit.NANOSECONDS) != null;
    }

    /// Steps begun so far.
    public int steps() {
        return steps.get();
    }

    public SequenceOptions options(long sequenceId) {
        return options.get(sequenceId);
    }

    /// The prompt of a sequence as far as the worker has seen it.
    public int[] prompt(long sequenceId) {
        return prompts.get(sequenceId);
    }

    public boolean hasOpenSequences() {
        return !open.isEmpty();
    }

    /// What the coordinator did that it must not do.
    public List<String> complaints() {
        return complaints;
    }

    @Override
    public AttentionWorkerInfo info() {
        return info;
    }

    @Override
    public Opening open(long sequenceId, SequenceOptions wanted, int[] tokens) {
        checkCaller();
        if (open.size() >= info.maxSequences()) {
            return new Opening.Refused(new Failure(ErrorCode.OVERLOADED, "open=" + open.size()));
        }
        Playing known = playing.get(sequenceId);
        if (known == null) {
            int[] script = scripts.poll();
            known = new Playing(script == null ? new int[] {0} : script);
            playing.put(sequenceId, known);
        }
        int cached = Math.min(cachedTokens, tokens.length - 1);
        known.position = cached;
        open.put(sequenceId, known);
        options.put(sequenceId, wanted);
        prompts.put(sequenceId, Arrays.copyOf(tokens, cached));
        opened.add(sequenceId);
        return opening(sequenceId);
    }

    @Override
    public Opening opening(long sequenceId) {
        checkCaller();
        Playing known = open.get(sequenceId);
        if (known == null) {
            complaints.add("not loading: " + sequenceId);
            return new Opening.Refused(new Failure(ErrorCode.SEQUENCE_LOST, "closed"));
        }
        return loads.getAndDecrement() > 0
                ? new Opening.Loading()
                : new Opening.Opened(known.position);
    }

    @Override
    public StepOutcome step(StepPlan plan) {
        checkCaller();
        steps.incrementAndGet();
        entered.add(plan);
        if (held) {
            permits.acquireUninterruptibly();
        }
        if (bug.isPresent()) {
            RuntimeException thrown = bug.get();
            bug = Optional.empty();
            throw thrown;
        }
        synchronized (forced) {
            if (!forced.isEmpty()) {
                return forced.remove();
            }
        }
        List<StepOutcome.Sampled> sampled = new ArrayList<>();
        for (StepPlan.SequenceRows rows : plan.sequences()) {
            Playing playing = open.get(rows.sequenceId());
            if (playing == null || playing.position != rows.firstPosition()) {
                complaints.add("unknown sequence or position: " + rows);
                continue;
            }
            remember(rows);
            playing.position += rows.tokens().length;
            if (rows.sample()) {
                sampled.add(
                        new StepOutcome.Sampled(
                                rows.sequenceId(),
                                playing.next(),
                                -1,
                                likely(options.get(rows.sequenceId()).topLogprobs())));
            }
        }
        return new StepOutcome.Completed(sampled);
    }

    @Override
    public void close(long sequenceId) {
        checkCaller();
        if (open.remove(sequenceId) != null) {
            closed.add(sequenceId);
        }
    }

    @Override
    public Optional<Failure> unavailable() {
        if (availabilityBug.isPresent()) {
            RuntimeException thrown = availabilityBug.get();
            availabilityBug = Optional.empty();
            throw thrown;
        }
        return unavailable;
    }

    @Override
    public AttentionLoad load() {
        return load;
    }

    @Override
    public List<ExpertWorkerStatus> expertWorkers() {
        return expertWorkers;
    }

    @Override
    public void close() {
        throw new IllegalStateException("a coordinator borrows its worker");
    }

    /// Tokens from 0 on, each less likely than the one before.
    private static List<TokenLogprob> likely(int count) {
        return IntStream.range(0, count).mapToObj(i -> new TokenLogprob(i, -1 - i)).toList();
    }

    private void remember(StepPlan.SequenceRows rows) {
        int promptTokens = options.get(rows.sequenceId()).promptTokens();
        if (rows.firstPosition() < promptTokens) {
            int[] seen = prompts.get(rows.sequenceId());
            int[] more = new int[seen.length + rows.tokens().length];
            System.arraycopy(seen, 0, more, 0, seen.length);
            System.arraycopy(rows.tokens(), 0, more, seen.length, rows.tokens().length);
            prompts.put(rows.sequenceId(), more);
        }
    }

    private void checkCaller() {
        if (caller == null) {
            caller = Thread.currentThread();
        } else if (!caller.equals(Thread.currentThread())) {
            complaints.add("called by " + caller + " and " + Thread.currentThread());
        }
    }

    private static <T> T require(T value, String complaint) {
        if (value == null) {
            throw new AssertionError(complaint + " in " + PATIENCE_SECONDS + " s");
        }
        return value;
    }

    /// A sequence and its script.
    private static final class Playing {
        private final int[] script;
        private int spoken;
        private int position;

        Playing(int[] script) {
            this.script = script;
        }

        int next() {
            return script[Math.min(spoken++, script.length - 1)];
        }
    }
}
