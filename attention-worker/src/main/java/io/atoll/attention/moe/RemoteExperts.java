package io.atoll.attention.moe;

import io.atoll.kernels.Kernels;
import io.atoll.proto.ErrorCode;
import io.atoll.proto.Failure;
import io.atoll.proto.wire.DataPlane;
import io.atoll.proto.wire.FlightMessage;
import io.atoll.proto.wire.MalformedMessageException;
import io.atoll.proto.wire.RequestWriter;
import io.atoll.proto.wire.SumReader;
import io.atoll.proto.wire.WirePool;
import io.netty.channel.EventLoopGroup;
import java.lang.foreign.MemorySegment;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.ScheduledThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReferenceArray;

/// The routed experts on expert workers, over one stream each.
///
/// A worker's hello says what it holds; live ones that hold the same experts share them. When a stream
/// fails, what it had not answered is sent again to another holder at once, or to the same worker if it comes back in time.
/// Workers may join and leave while rows are under way. Owns the streams, the connecting thread and the event loop.
public final class RemoteExperts implements RoutedExperts {
    /// Dispatches under way at a time, a power of two: far more than a forward pass has.
    private static final int MAX_DISPATCHES = 256;

    private final RoutedModel model;
    private final RemoteExpertsSettings settings;
    private final Kernels kernels;
    private final EventLoopGroup loops;
    private final ScheduledThreadPoolExecutor connector;
    private final LaneEvents laneEvents = new LaneEvents();
    private final WirePool pool = new WirePool();
    private final RequestWriter writer;
    private volatile List<WorkerLane> lanes = List.of(); // replaced under `changes`; by index
    private volatile LivePlacement placement;
    private volatile boolean closed;

    private final AtomicReferenceArray<RemoteDispatch> underWay =
            new AtomicReferenceArray<>(MAX_DISPATCHES);

    // Of the thread that dispatches.
    private final ArrayDeque<RemoteDispatch> idle = new ArrayDeque<>();
    private long nextId = 1;

    private final Object changes = new Object(); // notified when the placement is replaced

    /// Starts connecting to every worker and returns; see [#awaitAvailable].
    public RemoteExperts(RemoteExpertsSettings settings, RoutedModel model, Kernels kernels) {
        this.settings = settings;
        this.model = model;
        this.kernels = kernels;
        writer = new RequestWriter(pool, model.rowFormat(), model.hidden());
        loops = DataPlane.eventLoops(1, settings.sender() + "-experts-net");
        connector =
                new ScheduledThreadPoolExecutor(
                        1,
                        Thread.ofPlatform()
                                .name(settings.sender() + "-experts-connect")
                                .daemon()
                                .factory());
        connector.setExecuteExistingDelayedTasksAfterShutdownPolicy(false);
        placement = new LivePlacement(lanes, model.layers(), model.experts());
        setWorkers(settings.workers());
    }

    /// Makes these the workers: connects to new ones, and no longer tries to reach those that are not among them. A stream that one
    /// of those still has serves on until it ends. Any thread may call it.
    ///
    /// @param workers at most one of each name; one whose address has changed is connected to anew
    public void setWorkers(List<WorkerAddress> workers) {
        List<WorkerLane> begun = new ArrayList<>();
        synchronized (changes) {
            if (closed) {
                return;
            }
            List<WorkerLane> now = new ArrayList<>(lanes);
            for (WorkerLane lane : now) {
                lane.setListed(workers.contains(lane.workerAddress()));
            }
            for (WorkerAddress worker : workers) {
                if (now.stream().noneMatch(lane -> lane.isListedAt(worker))) {
                    int index = freeIndex(now);
                    WorkerLane lane =
                            new WorkerLane(
                                    index,
                                    worker,
                                    model,
                                    settings,
                                    pool,
                                    loops,
                                    connector,
                                    laneEvents);
                    if (index == now.size()) {
                        now.add(lane);
                    } else {
                        now.set(index, lane);
                    }
                    begun.add(lane);
                }
            }
            lanes = List.copyOf(now);
        }
        laneEvents.laneChanged();
        String arithmetic = kernels.kernelClass().arithmetic();
        for (WorkerLane lane : begun) {
            connector.execute(() -> lane.connect(arithmetic));
        }
    }

    /// That of a lane which is no longer used, else one more.
    private static int freeIndex(List<WorkerLane> lanes) {
        for (WorkerLane lane : lanes) {
            if (lane.isRetired()) {
                return lane.index();
            }
        }
        return lanes.size();
    }

    @Override
    public Dispatch dispatch(
            int layer,
            int rows,
            MemorySegment x,
            MemorySegment expertIds,
            MemorySegment weights,
            long deadlineNanos) {
        RemoteDispatch dispatch = idle.isEmpty() ? new RemoteDispatch(this) : idle.pop();
        long id = nextId++;
        if (!underWay.compareAndSet(slot(id), null, dispatch)) {
            throw new IllegalStateException(
                    "more than " + MAX_DISPATCHES + " dispatches under way");
        }
        dispatch.start(id, layer, rows, x, expertIds, weights, deadlineNanos);
        return dispatch;
    }

    private static int slot(long id) {
        return (int) (id & (MAX_DISPATCHES - 1));
    }

    /// Takes a dispatch back when its combine is over.
    void recycle(RemoteDispatch dispatch, long id) {
        underWay.set(slot(id), null);
        if (closed) {
            dispatch.free();
        } else {
            idle.push(dispatch);
        }
    }

    @Override
    public Optional<Failure> unavailable() {
        LivePlacement now = placement;
        int missing = now.firstMissing();
        if (missing == LivePlacement.NONE) {
            return Optional.empty();
        }
        List<String> down = new ArrayList<>();
        for (WorkerLane lane : lanes) {
            if (!lane.isRetired() && !now.isUp(lane)) {
                down.add(lane.name() + " (" + lane.trouble() + ")");
            }
        }
        return Optional.of(
                new Failure(
                        ErrorCode.NO_LIVE_REPLICA,
                        "no live replica: layer=%d expert=%d, %d experts in all, workers down=%s"
                                .formatted(
                                        missing / model.experts(),
                                        missing % model.experts(),
                                        now.missing(),
                                        down)));
    }

    /// Waits until every expert has a live holder.
    ///
    /// @return what is missing when the time is over
    public Optional<Failure> awaitAvailable(Duration timeout) throws InterruptedException {
        long deadline = System.nanoTime() + timeout.toNanos();
        synchronized (changes) {
            while (true) {
                Optional<Failure> missing = unavailable();
                long millis = (deadline - System.nanoTime()) / 1_000_000;
                if (missing.isEmpty() || millis <= 0) {
                    return missing;
                }
                changes.wait(millis);
            }
        }
    }

    /// In the order in which they were added, but that one which has joined may have the place of one that left.
    @Override
    public List<WorkerStatistics> statistics() {
        LivePlacement now = placement; // what dispatches go by, not what a lane is about to report
        List<WorkerStatistics> statistics = new ArrayList<>();
        for (WorkerLane lane : lanes) {
            if (lane.isRetired()) {
                continue;
            }
            WorkerLane.Counters counters = lane.counters;
            statistics.add(
                    new WorkerStatistics(
                            lane.name(),
                            lane.address(),
                            now.isUp(lane),
                            lane.expertCount(),
                            counters.messages.sum(),
                            counters.rows.sum(),
                            counters.routes.sum(),
                            counters.bytesSent.sum(),
                            counters.bytesReceived.sum(),
                            counters.queueNanos.sum(),
                            counters.computeNanos.sum(),
                            counters.roundTripNanos.sum(),
                            counters.failures.sum(),
                            counters.connects.sum()));
        }
        return statistics;
    }

    RoutedModel model() {
        return model;
    }

    RemoteExpertsSettings settings() {
        return settings;
    }

    Kernels kernels() {
        return kernels;
    }

    RequestWriter writer() {
        return writer;
    }

    LivePlacement placement() {
        return placement;
    }

    List<WorkerLane> lanes() {
        return lanes;
    }

    boolean isClosed() {
        return closed;
    }

    private final class LaneEvents implements WorkerLane.Listener {
        @Override
        public void laneChanged() {
            synchronized (changes) {
                placement = new LivePlacement(lanes, model.layers(), model.experts());
                changes.notifyAll();
            }
            wakeAll();
        }

        @Override
        public void replied(WorkerLane.Session session, SumReader.Sums sums, FlightMessage message)
                throws MalformedMessageException {
            long id = sums.header().dispatch();
            RemoteDispatch dispatch = underWay.get(slot(id));
            if (dispatch == null || !dispatch.deliver(id, session, sums, message)) {
                message.close(); // a late reply to a dispatch that is over
            }
        }
    }

    private void wakeAll() {
        for (int i = 0; i < MAX_DISPATCHES; i++) {
            RemoteDispatch dispatch = underWay.get(i);
            if (dispatch != null) {
                dispatch.wake();
            }
        }
    }

    /// Ends every stream. A combine that still waits fails with NOT_READY.
    @Override
    public void close() {
        List<WorkerLane> last;
        synchronized (changes) {
            closed = true;
            last = lanes;
        }
        for (WorkerLane lane : last) {
            lane.close();
        }
        connector.shutdownNow();
        wakeAll();
        loops.shutdownGracefully(0, 1, TimeUnit.SECONDS).awaitUninterruptibly();
        for (RemoteDispatch dispatch : idle) {
            dispatch.free();
        }
        idle.clear();
    }
}
