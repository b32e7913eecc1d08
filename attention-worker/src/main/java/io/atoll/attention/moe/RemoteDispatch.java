package io.atoll.attention.moe;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;

import io.atoll.proto.ErrorCode;
import io.atoll.proto.Failure;
import io.atoll.proto.wire.DispatchHeader;
import io.atoll.proto.wire.FlightMessage;
import io.atoll.proto.wire.MalformedMessageException;
import io.atoll.proto.wire.RequestWriter;
import io.atoll.proto.wire.RowFormat;
import io.atoll.proto.wire.SumReader;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.locks.LockSupport;

/// The rows of one dispatch until its combine is complete. Reused for dispatch after dispatch.
///
/// A route, one (row, expert) pair, is open until its worker's sum has been added. Open routes are either part of a message
/// that is under way or unplaced; a message whose stream ended, or that was refused for now, turns its routes back to
/// unplaced. Since every route is in exactly one unanswered message at a time, nothing is added twice.
///
/// Everything is done by the thread that dispatches and combines, except [#deliver] and [#wake].
final class RemoteDispatch implements RoutedExperts.Dispatch {
    private static final long FIRST_RETRY_NANOS = 1_000_000;
    private static final long MAX_RETRY_NANOS = 32_000_000;
    private static final long NEVER = Long.MAX_VALUE;

    private final RemoteExperts experts;
    private final RoutedModel model;
    private final int rowBytes;
    private final int scaleBytes;
    private final long sumBytes; // of one row

    // The request.
    private volatile long id; // 0 while idle
    private int layer;
    private int rows;
    private int k;
    private MemorySegment x = MemorySegment.NULL; // [rows, hidden] as it travels
    private MemorySegment scales = MemorySegment.NULL; // [rows, hidden / 32]
    private int[] expertOf = new int[16]; // [rows * k]
    private float[] weightOf = new float[16]; // [rows * k]
    private long startNanos;
    private long deadlineNanos;

    // Its state.
    private int[] laneOf = new int[16]; // [rows * k], of unplaced routes while placing
    private boolean[] unplaced = new boolean[16]; // [rows * k]
    private int unplacedCount;
    private int openCount;
    private int rowsSent;
    private long missingSince; // 0 while every unplaced route has a live holder
    private long[] retryAt = {}; // by lane: 0, or when it may be asked again
    private long[] retryWait = {}; // by lane

    private final List<Part> parts = new ArrayList<>(); // guarded by this
    private final List<Part> spareParts = new ArrayList<>();

    private volatile int events;
    private volatile Thread waiter; // null unless parked or about to be

    // Native memory, grown to the largest dispatch.
    private Arena arena = Arena.ofShared();
    private long capacityRows;
    private MemorySegment quantized = MemorySegment.NULL;
    private MemorySegment quantizedScales = MemorySegment.NULL;
    private MemorySegment sums = MemorySegment.NULL; // int64 [rows, hidden]

    /// One message under way.
    private static final class Part {
        private LivePlacement placement; // that it was sent by
        private WorkerLane.Session session;
        private int firstRow;
        private int rowCount;
        private int[] rowOf = new int[4]; // [rowCount], rows of the dispatch
        private int routeCount;
        private int[] routeOf = new int[8]; // [routeCount], routes of the dispatch
        private long sentNanos;
        private int sentBytes;
        private boolean done;

        // Guarded by the dispatch.
        private SumReader.Sums reply; // null until it is there
        private FlightMessage replyMessage;
        private long repliedNanos;

        void addRow(int row) {
            if (rowCount == rowOf.length) {
                rowOf = Arrays.copyOf(rowOf, 2 * rowCount);
            }
            rowOf[rowCount++] = row;
        }

        void addRoute(int route) {
            if (routeCount == routeOf.length) {
                routeOf = Arrays.copyOf(routeOf, 2 * routeCount);
            }
            routeOf[routeCount++] = route;
        }

        void clear() {
            rowCount = 0;
            routeCount = 0;
            done = false;
            placement = null;
            session = null;
            reply = null;
            if (replyMessage != null) {
                replyMessage.close();
                replyMessage = null;
            }
        }
    }

    RemoteDispatch(RemoteExperts experts) {
        this.experts = experts;
        this.model = experts.model();
        this.rowBytes = model.rowFormat().rowBytes(model.hidden());
        this.scaleBytes = model.rowFormat().scaleBytes(model.hidden());
        this.sumBytes = (long) model.hidden() * Long.BYTES;
    }

    void start(
            long id,
            int layer,
            int rows,
            MemorySegment x,
            MemorySegment expertIds,
            MemorySegment weights,
            long deadlineNanos) {
        int routes = Math.toIntExact(expertIds.byteSize() / Integer.BYTES);
        if (rows <= 0 || routes % rows != 0 || layer < 0 || layer >= model.layers()) {
            throw new IllegalArgumentException(
                    "layer=%d of %d, %d rows with %d routes"
                            .formatted(layer, model.layers(), rows, routes));
        }
        this.layer = layer;
        this.rows = rows;
        this.k = routes / rows;
        this.deadlineNanos = deadlineNanos;
        this.startNanos = System.nanoTime();
        grow(routes);
        for (int route = 0; route < routes; route++) {
            expertOf[route] = expertIds.getAtIndex(JAVA_INT, route);
            weightOf[route] = weights.getAtIndex(JAVA_FLOAT, route);
        }
        Arrays.fill(unplaced, 0, routes, true);
        Arrays.fill(retryAt, 0);
        Arrays.fill(retryWait, 0);
        unplacedCount = routes;
        openCount = routes;
        rowsSent = 0;
        missingSince = 0;
        takeRows(x);
        sums.asSlice(0, rows * sumBytes).fill((byte) 0);
        synchronized (this) {
            this.id = id;
        }
        place(startNanos);
    }

    private void grow(int routes) {
        if (expertOf.length < routes) {
            expertOf = new int[2 * routes];
            weightOf = new float[2 * routes];
            laneOf = new int[2 * routes];
            unplaced = new boolean[2 * routes];
        }
        if (capacityRows < rows) {
            arena.close();
            arena = Arena.ofShared();
            capacityRows = rows + rows / 2L;
            sums = arena.allocate(capacityRows * sumBytes, 64);
            if (model.rowFormat() == RowFormat.Q8) {
                quantized = arena.allocate(capacityRows * rowBytes, 64);
                quantizedScales = arena.allocate(capacityRows * scaleBytes, 64);
            }
        }
    }

    /// Rows are quantised once, however often they are sent.
    private void takeRows(MemorySegment floats) {
        if (model.rowFormat() == RowFormat.Q8) {
            experts.kernels()
                    .quantizeRows(floats, rows, model.hidden(), quantized, quantizedScales);
            x = quantized;
            scales = quantizedScales;
        } else {
            x = floats;
        }
    }

    /// Sends every unplaced route that has a live holder to it.
    private void place(long now) {
        LivePlacement placement = experts.placement();
        if (retryAt.length < placement.lanes()) { // a worker has joined
            retryAt = Arrays.copyOf(retryAt, placement.lanes());
            retryWait = Arrays.copyOf(retryWait, placement.lanes());
        }
        int placed = 0;
        boolean missing = false;
        for (int route = 0; route < rows * k; route++) {
            if (!unplaced[route]) {
                continue;
            }
            int lane = laneFor(placement, expertOf[route], now);
            laneOf[route] = lane;
            if (lane == LivePlacement.NONE) {
                missing |= !isHeldByAny(placement, expertOf[route]);
            } else {
                placed++;
            }
        }
        if (!missing) {
            missingSince = 0;
        } else if (missingSince == 0) {
            missingSince = now;
        }
        for (int lane = 0; placed > 0 && lane < placement.lanes(); lane++) {
            placed -= sendTo(lane, placement, now);
        }
    }

    private int laneFor(LivePlacement placement, int expert, long now) {
        int preferred = placement.preferred(layer, expert);
        if (preferred == LivePlacement.NONE
                || (retryAt[preferred] == 0 && placement.isUp(preferred))) {
            return preferred;
        }
        for (int lane = 0; lane < placement.lanes(); lane++) {
            if (placement.holds(lane, layer, expert) && mayAsk(lane, now)) {
                return lane;
            }
        }
        return LivePlacement.NONE;
    }

    private boolean mayAsk(int lane, long now) {
        return retryAt[lane] == 0 || (retryAt[lane] != NEVER && retryAt[lane] - now <= 0);
    }

    /// Whether a live lane will take the expert, now or after a wait.
    private boolean isHeldByAny(LivePlacement placement, int expert) {
        for (int lane = 0; lane < placement.lanes(); lane++) {
            if (placement.holds(lane, layer, expert) && retryAt[lane] != NEVER) {
                return true;
            }
        }
        return false;
    }

    /// Sends the routes placed on a lane, in messages of bounded size, and gives their number.
    private int sendTo(int lane, LivePlacement placement, long now) {
        int maxRows = experts.writer().rowsWithin(experts.settings().maxMessageBytes(), k);
        int sent = 0;
        Part part = null;
        for (int row = 0; row < rows; row++) {
            boolean newRow = true;
            for (int route = row * k; route < row * k + k; route++) {
                if (!unplaced[route] || laneOf[route] != lane) {
                    continue;
                }
                if (newRow) {
                    if (part != null && part.rowCount == maxRows) {
                        send(part, now);
                        part = null;
                    }
                    if (part == null) {
                        part = spareParts.isEmpty() ? new Part() : spareParts.removeLast();
                        part.placement = placement;
                        part.session = placement.session(lane);
                    }
                    part.addRow(row);
                    newRow = false;
                }
                part.addRoute(route);
                unplaced[route] = false;
                unplacedCount--;
                sent++;
            }
        }
        if (part != null) {
            send(part, now);
        }
        return sent;
    }

    private void send(Part part, long now) {
        RequestWriter writer = experts.writer();
        writer.start(part.rowCount, part.routeCount);
        int next = 0;
        for (int i = 0; i < part.rowCount; i++) {
            long row = part.rowOf[i];
            if (model.rowFormat() == RowFormat.Q8) {
                writer.row(x, row * rowBytes, scales, row * scaleBytes);
            } else {
                writer.row(x, row * rowBytes);
            }
            while (next < part.routeCount && part.routeOf[next] / k == row) {
                int route = part.routeOf[next++];
                writer.route(expertOf[route], weightOf[route]);
            }
        }
        part.firstRow = rowsSent;
        part.sentNanos = System.nanoTime();
        rowsSent += part.rowCount;
        long remainingMicros = (deadlineNanos - now) / 1000;
        FlightMessage message =
                writer.finish(
                        new DispatchHeader(
                                layer, id, part.firstRow, part.rowCount, remainingMicros));
        part.sentBytes = message.totalBytes();
        synchronized (this) {
            parts.add(part); // before the message leaves, so that its reply finds it
        }
        part.session.send(message);
    }

    /// Takes a reply from an event loop.
    ///
    /// @return false if nothing waits for it any more; the message is then still the caller's
    synchronized boolean deliver(
            long answered, WorkerLane.Session session, SumReader.Sums reply, FlightMessage message)
            throws MalformedMessageException {
        if (answered != id) {
            return false;
        }
        for (Part part : parts) {
            if (session.equals(part.session)
                    && part.firstRow == reply.header().firstRow()
                    && part.reply == null
                    && !part.done) {
                if (reply.header().rows() != part.rowCount) {
                    throw new MalformedMessageException(
                            "app_metadata.rows",
                            reply.header().rows() + " in a reply to " + part.rowCount);
                }
                part.reply = reply;
                part.replyMessage = message;
                part.repliedNanos = System.nanoTime();
                wake();
                return true;
            }
        }
        return false;
    }

    /// Tells the combine that something has changed.
    @SuppressWarnings("NonAtomicVolatileUpdate") // under the lock of this
    synchronized void wake() {
        events++;
        Thread sleeping = waiter;
        if (sleeping != null) {
            LockSupport.unpark(sleeping);
        }
    }

    @Override
    public Optional<Failure> combine(MemorySegment out) {
        if (id == 0) {
            throw new IllegalStateException("combine was called already");
        }
        try {
            Optional<Failure> failure = collect();
            if (failure.isEmpty()) {
                int count = Math.multiplyExact(rows, model.hidden());
                experts.kernels().combineToFloat(sums, out, count, model.fractionBits());
            }
            return failure;
        } finally {
            finish();
        }
    }

    private Optional<Failure> collect() {
        while (true) {
            int seen = events;
            long now = System.nanoTime();
            Optional<Failure> failure = takeReplies(now);
            if (failure.isPresent() || openCount == 0) {
                return failure;
            }
            if (unplacedCount > 0) {
                place(now);
            }
            long limit = deadlineNanos;
            if (missingSince != 0) {
                limit =
                        earlier(
                                limit,
                                missingSince + experts.settings().reconnectGrace().toNanos());
            }
            if (experts.isClosed()) {
                return Optional.of(
                        new Failure(ErrorCode.NOT_READY, "attention worker is stopping"));
            }
            if (limit - now <= 0) {
                return Optional.of(timeOver(now));
            }
            await(seen, unplacedCount > 0 ? earlier(limit, nextRetry(now)) : limit);
        }
    }

    private static long earlier(long a, long b) {
        return a - b <= 0 ? a : b;
    }

    private long nextRetry(long now) {
        long next = now + MAX_RETRY_NANOS;
        for (long at : retryAt) {
            if (at != 0 && at != NEVER && at - now > 0) {
                next = earlier(next, at);
            }
        }
        return next;
    }

    /// Adds what has arrived, and takes back what never will.
    private Optional<Failure> takeReplies(long now) {
        for (int i = 0; i < parts.size(); i++) {
            Part part = parts.get(i);
            if (part.done) {
                continue;
            }
            // In this order: a reply that came before the stream's end counts.
            boolean ended = part.session.hasEnded();
            SumReader.Sums reply;
            synchronized (this) {
                reply = part.reply;
                if (reply != null || ended) {
                    part.done = true;
                }
            }
            if (reply == null) {
                if (ended) {
                    part.session.lane().counters.failures.increment();
                    takeBack(part);
                }
                continue;
            }
            if (reply.failure().isPresent()) {
                part.session.lane().counters.failures.increment();
                Optional<Failure> fatal = refused(part, reply.failure().get(), now);
                if (fatal.isPresent()) {
                    return fatal;
                }
            } else {
                add(part, reply);
            }
        }
        return Optional.empty();
    }

    private void add(Part part, SumReader.Sums reply) {
        for (int row = 0; row < part.rowCount; row++) {
            reply.addRow(row, sums, part.rowOf[row] * sumBytes);
        }
        openCount -= part.routeCount;
        WorkerLane.Counters counters = part.session.lane().counters;
        counters.messages.increment();
        counters.rows.add(part.rowCount);
        counters.routes.add(part.routeCount);
        counters.bytesSent.add(part.sentBytes);
        counters.bytesReceived.add(part.replyMessage.totalBytes());
        counters.queueNanos.add(reply.header().queueNanos());
        counters.computeNanos.add(reply.header().computeNanos());
        counters.roundTripNanos.add(part.repliedNanos - part.sentNanos);
    }

    private void takeBack(Part part) {
        for (int i = 0; i < part.routeCount; i++) {
            unplaced[part.routeOf[i]] = true;
        }
        unplacedCount += part.routeCount;
    }

    /// A worker's error about one message: another worker, the same one later, or the end.
    private Optional<Failure> refused(Part part, Failure failure, long now) {
        int lane = part.session.lane().index();
        return switch (failure.code()) {
            case OVERLOADED, NOT_READY -> {
                retryWait[lane] =
                        Math.clamp(2 * retryWait[lane], FIRST_RETRY_NANOS, MAX_RETRY_NANOS);
                retryAt[lane] = now + retryWait[lane];
                takeBack(part);
                yield Optional.empty();
            }
            case EXPERT_NOT_HELD -> {
                // The worker says what it holds before it refuses: then there is a newer placement
                // than the message was sent by.
                if (part.placement == experts.placement()) {
                    retryAt[lane] = NEVER;
                }
                takeBack(part);
                yield Optional.empty();
            }
            default ->
                    Optional.of(
                            new Failure(
                                    failure.code(),
                                    part.session.lane().name() + ": " + failure.message()));
        };
    }

    private Failure timeOver(long now) {
        if (missingSince != 0) {
            LivePlacement placement = experts.placement();
            for (int route = 0; route < rows * k; route++) {
                if (unplaced[route] && !isHeldByAny(placement, expertOf[route])) {
                    return new Failure(
                            ErrorCode.NO_LIVE_REPLICA,
                            "no live replica: layer=%d expert=%d tried=%s waited=%dms"
                                    .formatted(
                                            layer,
                                            expertOf[route],
                                            holders(expertOf[route]),
                                            (now - missingSince) / 1_000_000));
                }
            }
        }
        List<String> waitingFor = new ArrayList<>();
        for (Part part : parts) {
            if (!part.done && !waitingFor.contains(part.session.lane().name())) {
                waitingFor.add(part.session.lane().name());
            }
        }
        return new Failure(
                ErrorCode.DEADLINE_EXCEEDED,
                "no answer in time: layer=%d rows=%d waiting for=%s refused for now=%d waited=%dms"
                        .formatted(
                                layer,
                                rows,
                                waitingFor,
                                unplacedCount,
                                (now - startNanos) / 1_000_000));
    }

    private List<String> holders(int expert) {
        return experts.lanes().stream()
                .filter(lane -> lane.lastHeld(layer, expert))
                .map(WorkerLane::name)
                .toList();
    }

    /// Waits until something has changed since `seen`, or until `limit`.
    private void await(int seen, long limit) {
        long spinEnd = System.nanoTime() + experts.settings().spin().toNanos();
        while (events == seen && System.nanoTime() - spinEnd < 0) {
            Thread.onSpinWait();
        }
        waiter = Thread.currentThread();
        try {
            while (events == seen) {
                long left = limit - System.nanoTime();
                if (left <= 0) {
                    return;
                }
                LockSupport.parkNanos(this, left);
            }
        } finally {
            waiter = null;
        }
    }

    private void finish() {
        long over = id;
        synchronized (this) {
            id = 0;
            for (Part part : parts) {
                part.clear();
                spareParts.add(part);
            }
            parts.clear();
        }
        x = MemorySegment.NULL;
        experts.recycle(this, over);
    }

    void free() {
        arena.close();
    }
}
