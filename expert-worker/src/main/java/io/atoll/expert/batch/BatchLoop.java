package io.atoll.expert.batch;

import io.atoll.expert.batch.PendingDispatch.Timing;
import io.atoll.proto.ErrorCode;
import io.atoll.proto.Failure;
import java.lang.foreign.MemorySegment;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/// The compute thread: takes what waits for a layer, leaves out what nobody wants any more, computes, answers.
///
/// It owns the engine and the memory of the sums; both are freed when the thread ends.
public final class BatchLoop {
    private static final Logger LOG = LoggerFactory.getLogger(BatchLoop.class);

    /// Memory for the sums of one batch, unless a single message needs more.
    private static final long SUM_BYTES = 32L << 20;

    private final DispatchQueue queue;
    private final ExpertCompute engine;
    private final int hidden;
    private final int maxRows;
    private final Thread thread;
    private final Scratch sums = new Scratch();
    private final List<PendingDispatch> batch = new ArrayList<>();

    public BatchLoop(DispatchQueue queue, ExpertCompute engine, int hidden, String name) {
        this.queue = queue;
        this.engine = engine;
        this.hidden = hidden;
        this.maxRows = (int) Math.max(1, SUM_BYTES / ((long) hidden * Long.BYTES));
        this.thread = new Thread(this::loop, name);
        thread.setDaemon(true);
    }

    public void start() {
        thread.start();
    }

    private void loop() {
        try {
            while (queue.take(batch, maxRows)) {
                runBatch();
                batch.clear();
            }
        } finally {
            sums.close();
            engine.close();
        }
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
            }
        }
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
