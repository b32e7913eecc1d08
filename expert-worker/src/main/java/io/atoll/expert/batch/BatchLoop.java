package io.atoll.expert.batch;

import io.atoll.expert.batch.PendingDispatch.Timing;
import io.atoll.expert.store.ExpertStore;
import io.atoll.proto.ErrorCode;
import io.atoll.proto.Failure;
import io.atoll.proto.wire.RequestReader.Request;
import java.lang.foreign.MemorySegment;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.function.Supplier;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/// The compute thread: takes what waits for a layer, leaves out what nobody wants any more, computes, answers. What is held
/// changes on this thread only, between two batches, so a batch sees either all of a change or nothing of it.
///
/// It owns the engine and the memory of the sums; both are freed when the thread ends.
public final class BatchLoop {
    private static final Logger LOG = LoggerFactory.getLogger(BatchLoop.class);

    /// Memory for the sums of one batch, unless a single message needs more.
    private static final long SUM_BYTES = 32L << 20;

    private final DispatchQueue queue;
    private final ExpertCompute engine;
    private final ExpertStore store;
    private final RouteCounts counts;
    private final String worker;
    private final int hidden;
    private final int maxRows;
    private final Thread thread;
    private final Scratch sums = new Scratch();
    private final List<PendingDispatch> batch = new ArrayList<>();
    private final List<Runnable> errands = new ArrayList<>();

    /// @param counts of the routes that are computed
    /// @param worker whose name is in refusals, and in the thread's
    public BatchLoop(
            DispatchQueue queue,
            ExpertCompute engine,
            ExpertStore store,
            RouteCounts counts,
            String worker) {
        this.queue = queue;
        this.engine = engine;
        this.store = store;
        this.counts = counts;
        this.worker = worker;
        this.hidden = store.hidden();
        this.maxRows = (int) Math.max(1, SUM_BYTES / ((long) hidden * Long.BYTES));
        this.thread = new Thread(this::loop, worker + "-compute");
        thread.setDaemon(true);
    }

    public void start() {
        thread.start();
    }

    private void loop() {
        try {
            while (queue.take(batch, errands, maxRows)) {
                errands.forEach(Runnable::run);
                errands.clear();
                runBatch();
                batch.clear();
            }
        } finally {
            sums.close();
            engine.close();
        }
    }

    /// Runs something on the compute thread between two batches.
    ///
    /// @return what it gave, or threw; fails with an [IllegalStateException] if the worker is stopping
    public <T> CompletableFuture<T> between(Supplier<T> work) {
        CompletableFuture<T> done = new CompletableFuture<>();
        boolean accepted =
                queue.between(
                        () -> {
                            try {
                                done.complete(work.get());
                            } catch (RuntimeException | Error e) {
                                done.completeExceptionally(e);
                            }
                        });
        if (!accepted) {
            done.completeExceptionally(new IllegalStateException("the worker is stopping"));
        }
        return done;
    }

    private void runBatch() {
        long begin = System.nanoTime();
        try {
            dropUnwanted(begin);
            if (!batch.isEmpty()) {
                compute(begin);
            }
        } catch (RuntimeException e) {
            LOG.error("batch of {} dispatches failed", batch.size(), e);
            Failure failure = new Failure(ErrorCode.INTERNAL, String.valueOf(e));
            for (PendingDispatch dispatch : batch) {
                fail(dispatch, failure, begin);
            }
        }
    }

    private void dropUnwanted(long now) {
        for (int i = batch.size() - 1; i >= 0; i--) {
            PendingDispatch dispatch = batch.get(i);
            if (dispatch.owner().isGone()) {
                dispatch.message().close();
                batch.remove(i);
            } else if (dispatch.deadlineNanos() - now <= 0) {
                long late = now - dispatch.deadlineNanos();
                fail(
                        dispatch,
                        new Failure(
                                ErrorCode.DEADLINE_EXCEEDED,
                                "deadline passed %d us before compute".formatted(late / 1000)),
                        now);
                batch.remove(i);
            } else if (!counts.add(dispatch.request(), store.shard())) {
                fail(dispatch, notHeld(dispatch.request()), now);
                batch.remove(i);
            }
        }
    }

    private Failure notHeld(Request request) {
        return new Failure(
                ErrorCode.EXPERT_NOT_HELD,
                "layer=%d expert=%d worker=%s"
                        .formatted(
                                request.header().layer(),
                                RouteCounts.firstNotHeld(request, store.shard()),
                                worker));
    }

    private void compute(long begin) {
        int layer = batch.getFirst().request().header().layer();
        long bytesPerRow = (long) hidden * Long.BYTES;
        long rows = 0;
        for (PendingDispatch dispatch : batch) {
            rows += dispatch.request().rows();
        }
        MemorySegment memory = sums.atLeast(rows * bytesPerRow);
        engine.begin(layer);
        long at = 0;
        for (PendingDispatch dispatch : batch) {
            var request = dispatch.request();
            MemorySegment target = memory.asSlice(at, request.rows() * bytesPerRow);
            if (dispatch.quantized()) {
                engine.addQuantized(
                        request.rows(),
                        request.hidden(),
                        request.scales(),
                        request.routeOffsets(),
                        request.experts(),
                        request.weights(),
                        target);
            } else {
                engine.addFloats(
                        request.rows(),
                        request.hidden(),
                        request.routeOffsets(),
                        request.experts(),
                        request.weights(),
                        target);
            }
            at += request.rows() * bytesPerRow;
        }
        engine.run();
        long computeNanos = System.nanoTime() - begin;
        answer(memory, begin, computeNanos);
    }

    private void answer(MemorySegment memory, long begin, long computeNanos) {
        long at = 0;
        // Answered ones leave the list, so that an exception cannot answer them twice.
        for (int job = 0; !batch.isEmpty(); job++) {
            PendingDispatch dispatch = batch.removeFirst();
            Timing timing =
                    new Timing(begin - dispatch.arrivedNanos(), computeNanos, engine.weightBytes());
            long bytes = dispatch.request().rows() * (long) hidden * Long.BYTES;
            if (engine.isFinite(job)) {
                dispatch.owner().computed(dispatch, memory.asSlice(at, bytes), timing);
            } else {
                dispatch.owner()
                        .failed(
                                dispatch,
                                new Failure(
                                        ErrorCode.NON_FINITE_OUTPUT,
                                        "an expert's output is not finite or past the grid: layer="
                                                + dispatch.request().header().layer()),
                                timing);
            }
            dispatch.message().close();
            at += bytes;
        }
    }

    private static void fail(PendingDispatch dispatch, Failure failure, long now) {
        dispatch.owner().failed(dispatch, failure, new Timing(now - dispatch.arrivedNanos(), 0, 0));
        dispatch.message().close();
    }

    /// Refuses new work, computes what waits for at most `grace`, answers the rest with NOT_READY, and ends the thread.
    public void stop(Duration grace) {
        queue.close();
        if (thread.getState() == Thread.State.NEW) {
            sums.close();
            engine.close();
            return;
        }
        boolean interrupted = false;
        try {
            if (thread.join(grace)) {
                return;
            }
        } catch (InterruptedException _) {
            interrupted = true;
        }
        List<PendingDispatch> rest = new ArrayList<>();
        queue.drainTo(rest);
        Failure failure = new Failure(ErrorCode.NOT_READY, "worker stopped before compute");
        for (PendingDispatch dispatch : rest) {
            fail(dispatch, failure, System.nanoTime());
        }
        while (thread.isAlive()) {
            try {
                thread.join(); // one batch at most
            } catch (InterruptedException _) {
                interrupted = true;
            }
        }
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
    }
}
