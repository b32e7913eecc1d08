package io.atoll.kernels;

import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.locks.LockSupport;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.IntConsumer;

/// The threads that kernels run on: a parallel-for over task indices.
///
/// The calling thread takes part, so `threads` includes it and a pool of one is a plain loop. Nothing is allocated per call.
/// Tasks are claimed one by one from a counter, in ascending order; the call returns when the last one has finished, and
/// does not wait for workers that had no part in it. Calls from different threads take turns.
public final class ComputePool implements AutoCloseable {
    private static final long DEFAULT_SPIN_NANOS = 50_000;

    private final ReentrantLock turn = new ReentrantLock();
    private final Worker[] workers;
    private final long spinNanos;

    // One call's work. A claim is taken by compare-and-set, and succeeds only while tasks of this
    // very call are left, so
    // a late worker can never pair an old claim with a new call's task.
    private volatile IntConsumer task = ComputePool::nothing;
    private volatile int tasks;

    /// Number of the call in the upper half, tasks not yet claimed in the lower half.
    private final AtomicLong claims = new AtomicLong();

    private final AtomicInteger unfinished = new AtomicInteger();
    private final AtomicReference<Throwable> failure = new AtomicReference<>();
    private volatile Thread waitingCaller;
    private volatile boolean closed;

    /// A pool whose workers spin briefly before they park, unless the machine has no core to spare for that.
    ///
    /// @param threads how many run tasks, the caller included
    public ComputePool(int threads) {
        this(threads, defaultSpinNanos(threads));
    }

    /// @param spinNanos how long an idle worker, or a caller that waits for the last task, looks for a change before it
    ///     parks; 0 parks at once
    public ComputePool(int threads, long spinNanos) {
        if (threads <= 0) {
            throw new IllegalArgumentException("threads must be positive: " + threads);
        }
        if (spinNanos < 0) {
            throw new IllegalArgumentException("spinNanos must not be negative: " + spinNanos);
        }
        this.spinNanos = spinNanos;
        workers = new Worker[threads - 1];
        for (int i = 0; i < workers.length; i++) {
            workers[i] = new Worker("compute-" + (i + 1), i + 1);
        }
        for (Worker worker : workers) {
            worker.start();
        }
    }

    private static long defaultSpinNanos(int threads) {
        int cores = Runtime.getRuntime().availableProcessors();
        return cores <= 2 || cores < threads + 1 ? 0 : DEFAULT_SPIN_NANOS;
    }

    /// How many threads run tasks, the caller included.
    public int threads() {
        return workers.length + 1;
    }

    /// Runs `work` for each index from 0 to `count - 1` and returns when all have finished. If some threw, the first to
    /// do so is thrown here, with the others suppressed in it.
    ///
    /// @throws IllegalStateException if called from a task of this pool, or after [#close]
    public void run(int count, IntConsumer work) {
        if (turn.isHeldByCurrentThread() || isWorker(Thread.currentThread())) {
            throw new IllegalStateException("a task may not run tasks on its own pool");
        }
        turn.lock();
        try {
            if (closed) {
                throw new IllegalStateException("the pool is closed");
            }
            if (workers.length == 0 || count <= 1) {
                for (int i = 0; i < count; i++) {
                    runOne(work, i);
                }
            } else {
                share(count, work);
            }
            rethrow(failure.getAndSet(null));
        } finally {
            turn.unlock();
        }
    }

    /// Which of the `threads()` threads the current one is, for memory that each has of its own during a call: 0 for the
    /// caller of [#run], and for any thread that is none of the pool's.
    public int slot() {
        return Thread.currentThread() instanceof Worker worker && worker.pool() == this
                ? worker.slot
                : 0;
    }

    private boolean isWorker(Thread thread) {
        return thread instanceof Worker worker && worker.pool() == this;
    }

    private void share(int count, IntConsumer work) {
        task = work;
        tasks = count;
        unfinished.set(count);
        long call = (claims.get() >>> 32) + 1;
        claims.set((call << 32) | count);
        wake(count - 1);
        while (claimAndRun()) {
            Thread.onSpinWait();
        }
        awaitFinish();
        task = ComputePool::nothing; // so that the pool does not keep the caller's objects alive
    }

    private static void nothing(int index) {}

    private void wake(int wanted) {
        for (int i = 0; i < workers.length && i < wanted; i++) {
            if (workers[i].parked) {
                LockSupport.unpark(workers[i]);
            }
        }
    }

    /// Runs one task that nobody has claimed yet, if there is one.
    private boolean claimAndRun() {
        while (true) {
            long seen = claims.get();
            int left = (int) seen;
            if (left == 0) {
                return false;
            }
            IntConsumer work = task;
            int count = tasks;
            if (claims.compareAndSet(seen, seen - 1)) {
                runOne(work, count - left);
                if (unfinished.decrementAndGet() == 0) {
                    Thread caller = waitingCaller;
                    if (caller != null) {
                        LockSupport.unpark(caller);
                    }
                }
                return true;
            }
        }
    }

    private void runOne(IntConsumer work, int index) {
        try {
            work.accept(index);
        } catch (RuntimeException | Error e) {
            Throwable first = failure.compareAndExchange(null, e);
            if (first != null && !first.equals(e)) {
                first.addSuppressed(e);
            }
        }
    }

    private void awaitFinish() {
        long deadline = 0;
        while (unfinished.get() != 0) {
            if (spinNanos > 0 && (deadline == 0 || System.nanoTime() < deadline)) {
                deadline = deadline == 0 ? System.nanoTime() + spinNanos : deadline;
                Thread.onSpinWait();
            } else {
                waitingCaller = Thread.currentThread();
                while (unfinished.get() != 0) {
                    LockSupport.park(this);
                }
                waitingCaller = null;
            }
        }
    }

    private static void rethrow(Throwable failure) {
        switch (failure) {
            case null -> {}
            case RuntimeException e -> throw e;
            case Error e -> throw e;
            default -> throw new IllegalStateException(failure); // runOne catches no other kind
        }
    }

    /// Ends the workers and waits for them. A call in progress finishes first.
    @Override
    public void close() {
        if (turn.isHeldByCurrentThread() || isWorker(Thread.currentThread())) {
            throw new IllegalStateException("a task may not close its own pool");
        }
        turn.lock();
        try {
            closed = true;
        } finally {
            turn.unlock();
        }
        boolean interrupted = false;
        for (Worker worker : workers) {
            LockSupport.unpark(worker);
            while (worker.isAlive()) {
                try {
                    worker.join();
                } catch (InterruptedException _) {
                    interrupted = true;
                }
            }
        }
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
    }

    private final class Worker extends Thread {
        private final int slot;
        private volatile boolean parked;

        Worker(String name, int slot) {
            super(name);
            this.slot = slot;
            setDaemon(true);
        }

        ComputePool pool() {
            return ComputePool.this;
        }

        @Override
        public void run() {
            while (!closed) {
                if (!claimAndRun()) {
                    awaitWork();
                }
            }
        }

        private void awaitWork() {
            if (spinNanos > 0) {
                long deadline = System.nanoTime() + spinNanos;
                while (System.nanoTime() < deadline) {
                    if (hasWork()) {
                        return;
                    }
                    Thread.onSpinWait();
                }
            }
            parked = true;
            while (!hasWork()) {
                LockSupport.park(ComputePool.this);
            }
            parked = false;
        }

        private boolean hasWork() {
            return closed || (int) claims.get() != 0;
        }
    }
}
