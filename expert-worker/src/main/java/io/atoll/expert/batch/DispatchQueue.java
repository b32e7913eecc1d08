package io.atoll.expert.batch;

import io.atoll.proto.ErrorCode;
import io.atoll.proto.Failure;
import java.util.ArrayDeque;
import java.util.Iterator;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;

/// Dispatches that wait for compute, bounded in messages and bytes. A full queue sheds.
public final class DispatchQueue {
    private final int maxMessages;
    private final long maxBytes;
    private final long spinNanos;
    private final ReentrantLock lock = new ReentrantLock();
    private final Condition arrived = lock.newCondition();
    private final ArrayDeque<PendingDispatch> waiting = new ArrayDeque<>();
    private final ArrayDeque<Runnable> errands = new ArrayDeque<>();
    private long bytes;
    private volatile int size;
    private volatile boolean hasErrands;
    private volatile boolean closed;

    /// @param spinNanos how long the taker looks for work before it parks
    public DispatchQueue(int maxMessages, long maxBytes, long spinNanos) {
        this.maxMessages = maxMessages;
        this.maxBytes = maxBytes;
        this.spinNanos = spinNanos;
    }

    /// Adds a dispatch; never blocks.
    ///
    /// @return why it was not added; the caller keeps it then
    public Optional<Failure> offer(PendingDispatch dispatch) {
        int messageBytes = dispatch.message().totalBytes();
        lock.lock();
        try {
            if (closed) {
                return Optional.of(new Failure(ErrorCode.NOT_READY, "worker is stopping"));
            }
            if (waiting.size() >= maxMessages || bytes + messageBytes > maxBytes) {
                return Optional.of(
                        new Failure(
                                ErrorCode.OVERLOADED,
                                "queue is full: %d of %d messages, %d + %d of %d bytes"
                                        .formatted(
                                                waiting.size(),
                                                maxMessages,
                                                bytes,
                                                messageBytes,
                                                maxBytes)));
            }
            waiting.add(dispatch);
            bytes += messageBytes;
            size = waiting.size();
            arrived.signal();
            return Optional.empty();
        } finally {
            lock.unlock();
        }
    }

    /// Has the taker do something between two batches.
    ///
    /// @return false if the queue is closed: it will not be done
    boolean between(Runnable errand) {
        lock.lock();
        try {
            if (closed) {
                return false;
            }
            errands.add(errand);
            hasErrands = true;
            arrived.signal();
            return true;
        } finally {
            lock.unlock();
        }
    }

    /// Waits for work and takes the oldest dispatch together with the others of its layer, up to `maxRows` rows unless one
    /// has more by itself; and every errand, which is to be run before them.
    ///
    /// @param batch filled; stays empty if there are errands only
    /// @param toRun filled
    /// @return false when the queue is closed and empty
    boolean take(List<PendingDispatch> batch, List<Runnable> toRun, int maxRows) {
        spin();
        lock.lock();
        try {
            while (waiting.isEmpty() && errands.isEmpty()) {
                if (closed) {
                    return false;
                }
                arrived.awaitUninterruptibly();
            }
            toRun.addAll(errands);
            errands.clear();
            hasErrands = false;
            if (waiting.isEmpty()) {
                return true;
            }
            int layer = waiting.peekFirst().request().header().layer();
            int rows = 0;
            Iterator<PendingDispatch> each = waiting.iterator();
            while (each.hasNext()) {
                PendingDispatch next = each.next();
                if (next.request().header().layer() != layer) {
                    continue;
                }
                rows += next.request().rows();
                if (rows > maxRows && !batch.isEmpty()) {
                    break; // and not a later, smaller one: the replies of a stream stay in order
                }
                batch.add(next);
                bytes -= next.message().totalBytes();
                each.remove();
            }
            size = waiting.size();
            return true;
        } finally {
            lock.unlock();
        }
    }

    private void spin() {
        if (spinNanos > 0 && size == 0) {
            long end = System.nanoTime() + spinNanos;
            while (size == 0 && !hasErrands && !closed && System.nanoTime() < end) {
                Thread.onSpinWait();
            }
        }
    }

    /// Dispatches that wait now.
    public int size() {
        return size;
    }

    /// Whether new dispatches are refused for good.
    public boolean isClosed() {
        return closed;
    }

    /// Refuses new dispatches; those that wait are still taken.
    public void close() {
        lock.lock();
        try {
            closed = true;
            arrived.signalAll();
        } finally {
            lock.unlock();
        }
    }

    /// Takes out everything that waits, for a stop that cannot wait longer.
    void drainTo(List<PendingDispatch> rest) {
        lock.lock();
        try {
            rest.addAll(waiting);
            waiting.clear();
            bytes = 0;
            size = 0;
        } finally {
            lock.unlock();
        }
    }
}
