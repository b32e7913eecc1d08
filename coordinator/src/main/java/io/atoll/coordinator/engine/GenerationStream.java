package io.atoll.coordinator.engine;

import io.atoll.coordinator.sequence.EventSink;
import io.atoll.coordinator.sequence.GenerationEvent;
import io.atoll.proto.ErrorCode;
import io.atoll.proto.Failure;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Consumer;

/// The events of one request, between the step loop that makes them and the one reader that waits for them.
///
/// The reader gets an [GenerationEvent.End] in bounded time whatever happens to the step loop: at the request's deadline the
/// stream ends by itself. Whoever stops reading before that closes the stream, which frees the sequence.
public final class GenerationStream implements EventSink, AutoCloseable {
    private final int capacity;
    private final long deadlineNanos; // System.nanoTime()
    private final Runnable onAbandoned;
    private final Consumer<GenerationEvent.End> onEnd;

    private final ReentrantLock lock = new ReentrantLock();
    private final Condition changed = lock.newCondition();
    private final Deque<GenerationEvent> events = new ArrayDeque<>();
    private boolean ended; // an End is in `events` or was read

    /// @param capacity events that wait for the reader at most, the last one not counted
    /// @param deadlineNanos [System#nanoTime] at which the stream ends by itself
    /// @param onAbandoned called at most once, when the reader's side ends the stream first
    /// @param onEnd called exactly once, with the end of the request, by the thread that ends it
    GenerationStream(
            int capacity,
            long deadlineNanos,
            Runnable onAbandoned,
            Consumer<GenerationEvent.End> onEnd) {
        this.capacity = capacity;
        this.deadlineNanos = deadlineNanos;
        this.onAbandoned = onAbandoned;
        this.onEnd = onEnd;
    }

    @Override
    public boolean offer(GenerationEvent event) {
        lock.lock();
        try {
            if (ended) {
                return true; // nobody reads on, and the reader's side has told the step loop
            }
            boolean last = event instanceof GenerationEvent.End;
            if (!last && events.size() >= capacity) {
                return false;
            }
            ended = last;
            if (event instanceof GenerationEvent.End end) {
                onEnd.accept(end); // before the reader can know of it
            }
            events.add(event);
            changed.signal();
            return true;
        } finally {
            lock.unlock();
        }
    }

    /// Waits for the next event. After an [GenerationEvent.End] there is none.
    public GenerationEvent next() throws InterruptedException {
        boolean abandoned = false;
        GenerationEvent next;
        lock.lockInterruptibly();
        try {
            long left = deadlineNanos - System.nanoTime();
            while (events.isEmpty()) {
                if (ended) {
                    throw new IllegalStateException("the stream has ended");
                }
                if (left <= 0) {
                    abandoned = true;
                    endWith(ErrorCode.DEADLINE_EXCEEDED, "the request ran into its deadline");
                } else {
                    left = changed.awaitNanos(left);
                }
            }
            next = events.remove();
        } finally {
            lock.unlock();
        }
        if (abandoned) {
            onAbandoned.run();
        }
        return next;
    }

    /// Waits until [#next] would return without waiting, but no longer than this.
    ///
    /// @return whether it would
    public boolean awaitReady(Duration patience) throws InterruptedException {
        lock.lockInterruptibly();
        try {
            long left = Math.min(patience.toNanos(), deadlineNanos - System.nanoTime());
            while (events.isEmpty() && left > 0) {
                left = changed.awaitNanos(left);
            }
            return !events.isEmpty() || deadlineNanos - System.nanoTime() <= 0;
        } finally {
            lock.unlock();
        }
    }

    /// Whether [#next] would return without waiting.
    public boolean isReady() {
        lock.lock();
        try {
            return !events.isEmpty();
        } finally {
            lock.unlock();
        }
    }

    /// Nobody waits for the answer any more: the sequence ends and its state is freed. A reader that still waits gets
    /// [ErrorCode#CANCELLED]. Any thread may call it, and it does nothing once the stream has ended.
    public void cancel() {
        lock.lock();
        try {
            if (ended) {
                return;
            }
            events.clear();
            endWith(ErrorCode.CANCELLED, "the request was cancelled");
            changed.signal();
        } finally {
            lock.unlock();
        }
        onAbandoned.run();
    }

    private void endWith(ErrorCode code, String message) {
        GenerationEvent.Failed end = new GenerationEvent.Failed(new Failure(code, message));
        ended = true;
        onEnd.accept(end);
        events.add(end);
    }

    /// Same as [#cancel].
    @Override
    public void close() {
        cancel();
    }
}
