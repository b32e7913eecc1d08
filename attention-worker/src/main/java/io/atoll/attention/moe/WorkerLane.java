package io.atoll.attention.moe;

import com.google.protobuf.InvalidProtocolBufferException;
import io.atoll.cluster.placement.ExpertShard;
import io.atoll.cluster.placement.ExpertShard.LayerRange;
import io.atoll.proto.ErrorCode;
import io.atoll.proto.v1.ExpertRange;
import io.atoll.proto.v1.HeldExperts;
import io.atoll.proto.v1.Hello;
import io.atoll.proto.v1.HelloReply;
import io.atoll.proto.wire.ArrowSchemas;
import io.atoll.proto.wire.DataPlane;
import io.atoll.proto.wire.ExchangeDescriptor;
import io.atoll.proto.wire.FlightMessage;
import io.atoll.proto.wire.Handshake;
import io.atoll.proto.wire.HeldUpdate;
import io.atoll.proto.wire.MalformedMessageException;
import io.atoll.proto.wire.StatusText;
import io.atoll.proto.wire.SumReader;
import io.atoll.proto.wire.WirePool;
import io.grpc.CallOptions;
import io.grpc.ClientCall;
import io.grpc.ManagedChannel;
import io.grpc.Metadata;
import io.grpc.Status;
import io.netty.channel.ChannelOption;
import io.netty.channel.EventLoopGroup;
import java.net.InetSocketAddress;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.LongAdder;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/// One worker's stream, kept alive: connects, says hello, and when the stream ends tries again for as long as the lane is
/// open, at once the first time and then with a growing, bounded wait. Every attempt has a fresh channel, so that nothing of
/// a dead connection lives on.
final class WorkerLane {
    private static final Logger LOG = LoggerFactory.getLogger(WorkerLane.class);

    private static final int CONNECT_TIMEOUT_MILLIS = 2_000;

    /// A worker that accepts but does not answer a hello for this long is as good as down.
    private static final long HELLO_TIMEOUT_MILLIS = 5_000;

    private static final byte[] NONE = {};

    /// Who is told about streams and replies; called by event loops and the connecting thread.
    interface Listener {
        /// A stream came up or went down, or its worker holds other experts.
        void laneChanged();

        /// A reply arrived; the listener owns the message.
        ///
        /// @throws MalformedMessageException if it answers nothing that was asked; the stream is then ended
        void replied(Session session, SumReader.Sums sums, FlightMessage message)
                throws MalformedMessageException;
    }

    private final int index;
    private final WorkerAddress address;
    private final RoutedModel model;
    private final RemoteExpertsSettings settings;
    private final Hello hello;
    private final WirePool pool;
    private final EventLoopGroup loops;
    private final ScheduledExecutorService connector;
    private final Listener listener;
    final Counters counters = new Counters();

    private volatile Session live; // null while down
    private volatile Optional<ExpertShard> lastHeld = Optional.empty();
    private volatile String trouble = "not connected yet"; // why the lane is down

    // Guarded by this.
    private int wireVersion = Handshake.WIRE_VERSION; // to offer next
    private Session current; // live or connecting; null between attempts
    private int failures;
    private String loggedTrouble = "";
    private boolean listed = true;
    private boolean retired;
    private boolean closed;

    /// See [WorkerStatistics].
    static final class Counters {
        final LongAdder messages = new LongAdder();
        final LongAdder rows = new LongAdder();
        final LongAdder routes = new LongAdder();
        final LongAdder bytesSent = new LongAdder();
        final LongAdder bytesReceived = new LongAdder();
        final LongAdder queueNanos = new LongAdder();
        final LongAdder computeNanos = new LongAdder();
        final LongAdder roundTripNanos = new LongAdder();
        final LongAdder failures = new LongAdder();
        final LongAdder connects = new LongAdder();
    }

    /// @param index by which dispatches and placements know it; no other lane in use has it
    WorkerLane(
            int index,
            WorkerAddress address,
            RoutedModel model,
            RemoteExpertsSettings settings,
            WirePool pool,
            EventLoopGroup loops,
            ScheduledExecutorService connector,
            Listener listener) {
        this.index = index;
        this.address = address;
        this.model = model;
        this.settings = settings;
        this.pool = pool;
        this.loops = loops;
        this.connector = connector;
        this.listener = listener;
        this.hello =
                Hello.newBuilder()
                        .setClusterId(settings.clusterId())
                        .setModelDigest(model.digest())
                        .setPlacementEpoch(settings.placementEpoch())
                        .setArithmetic("")
                        .setRowType(model.rowFormat().toProto())
                        .setHiddenSize(model.hidden())
                        .setCombineFractionBits(model.fractionBits())
                        .setSender(settings.sender())
                        .build();
    }

    int index() {
        return index;
    }

    String name() {
        return address.name();
    }

    WorkerAddress workerAddress() {
        return address;
    }

    /// Whether this lane is, and may go on to be, that of the worker.
    synchronized boolean isListedAt(WorkerAddress worker) {
        return listed && !closed && address.equals(worker);
    }

    /// Whether its worker has left, so that another lane may have its index.
    synchronized boolean isRetired() {
        return retired;
    }

    /// Says whether the worker belongs to the cluster. One that does not is given up once its stream ends; one that is down already, now.
    void setListed(boolean now) {
        boolean givenUp;
        synchronized (this) {
            listed = now;
            givenUp = !listed && live == null && !closed;
            retired |= givenUp;
        }
        if (givenUp) {
            close();
        }
    }

    String address() {
        return address.host() + ":" + address.port();
    }

    /// The live stream, or null.
    Session live() {
        return live;
    }

    /// Why the lane is down.
    String trouble() {
        return trouble;
    }

    /// Whether the worker holds the expert, or did when its stream was last up.
    boolean lastHeld(int layer, int expert) {
        return lastHeld.isPresent() && lastHeld.get().holds(layer, expert);
    }

    int expertCount() {
        return lastHeld.map(ExpertShard::size).orElse(0);
    }

    /// Makes one attempt. Runs on the connector's thread, since it may look up a name.
    void connect(String arithmetic) {
        Session session;
        synchronized (this) {
            if (closed) {
                return;
            }
            ManagedChannel channel =
                    DataPlane.channel(
                                    new InetSocketAddress(address.host(), address.port()),
                                    settings.credentials(),
                                    loops)
                            .withOption(
                                    ChannelOption.CONNECT_TIMEOUT_MILLIS, CONNECT_TIMEOUT_MILLIS)
                            .build();
            session = new Session(channel, arithmetic, wireVersion);
            current = session;
        }
        session.start();
    }

    private synchronized void up(Session session) {
        if (closed || !session.equals(current)) {
            return;
        }
        failures = 0;
        loggedTrouble = "";
        lastHeld = Optional.of(session.held());
        counters.connects.increment();
        live = session;
        LOG.info("{} is up and holds {} experts ({})", address, expertCount(), session.held());
    }

    private void down(Session session, Status status) {
        String why = StatusText.of(status);
        synchronized (this) {
            if (!session.equals(current)) {
                return;
            }
            boolean wasLive = live != null;
            current = null;
            live = null;
            trouble = why;
            if (why.contains(ErrorCode.HELLO_MISMATCH.name())) {
                // A worker that has not been upgraded yet refuses every version but its own.
                wireVersion =
                        session.wireVersion == Handshake.WIRE_VERSION
                                ? Handshake.OLDEST_WIRE_VERSION
                                : Handshake.WIRE_VERSION;
            }
            if (closed) {
                return;
            }
            if (!listed) {
                closed = true;
                retired = true;
                LOG.info("{} has left: {}", address, why);
                return;
            }
            // A worker that is away would otherwise fill the log, one line an attempt.
            if (wasLive || !why.equals(loggedTrouble)) {
                loggedTrouble = why;
                LOG.warn("{} is down: {}", address, why);
            }
            long delay = backoffMillis();
            failures++;
            var _ =
                    connector.schedule(
                            () -> connect(session.arithmetic), delay, TimeUnit.MILLISECONDS);
        }
    }

    private long backoffMillis() {
        if (failures == 0) {
            return 0;
        }
        long min = settings.minBackoff().toMillis();
        long max = settings.maxBackoff().toMillis();
        return Math.min(max, min << Math.min(failures - 1, 20));
    }

    void close() {
        Session last;
        synchronized (this) {
            closed = true;
            last = current;
            live = null;
            trouble = "closed";
        }
        if (last != null) {
            last.end("attention worker is stopping");
        }
    }

    /// One stream, from the attempt to connect until it ends.
    final class Session extends ClientCall.Listener<FlightMessage> {
        private final ManagedChannel channel;
        private final String arithmetic;
        private final int wireVersion;
        private final ClientCall<FlightMessage, FlightMessage> call;
        private final SumReader reader = new SumReader(model.hidden());
        private final AtomicBoolean ended = new AtomicBoolean();
        private volatile Optional<ExpertShard> held = Optional.empty(); // empty until the hello
        private final VitalSigns vitalSigns;

        private Session(ManagedChannel channel, String arithmetic, int wireVersion) {
            this.channel = channel;
            this.arithmetic = arithmetic;
            this.wireVersion = wireVersion;
            this.call = channel.newCall(DataPlane.exchangeMethod(pool), CallOptions.DEFAULT);
            this.vitalSigns =
                    new VitalSigns(channel, settings.failureDeadline(), loops.next(), this::end);
        }

        private Hello hello() {
            return hello.toBuilder().setWireVersion(wireVersion).setArithmetic(arithmetic).build();
        }

        /// With [#end] one at a time, since a call cannot be cancelled halfway into its start.
        private synchronized void start() {
            if (ended.get()) {
                return;
            }
            call.start(this, new Metadata());
            call.request(16);
            call.sendMessage(
                    FlightMessage.of(
                            pool,
                            ExchangeDescriptor.encode(new ExchangeDescriptor.Exact(hello())),
                            ArrowSchemas.request(model.rowFormat(), model.hidden()),
                            NONE));
            var _ =
                    connector.schedule(
                            this::expireHello, HELLO_TIMEOUT_MILLIS, TimeUnit.MILLISECONDS);
        }

        private void expireHello() {
            if (held.isEmpty() && !ended.get()) {
                end("no answer to the hello in " + HELLO_TIMEOUT_MILLIS + " ms");
            }
        }

        WorkerLane lane() {
            return WorkerLane.this;
        }

        /// What the worker said last it holds.
        ExpertShard held() {
            return held.orElseThrow();
        }

        /// Whether the stream has ended: what was sent on it and not answered never will be.
        boolean hasEnded() {
            return ended.get();
        }

        /// Sends a message. On a stream that has ended the message is dropped; [#hasEnded] tells.
        void send(FlightMessage message) {
            try {
                call.sendMessage(message);
            } catch (IllegalStateException _) {
                // Cancelled between the caller's look and now.
                message.close();
            }
        }

        @Override
        public void onMessage(FlightMessage message) {
            vitalSigns.seen();
            try {
                if (message.problem().isPresent()) {
                    throw message.problem().get();
                }
                if (held.isEmpty()) {
                    readHello(message);
                } else if (HeldUpdate.is(message)) {
                    readHeld(message);
                } else {
                    listener.replied(this, reader.read(message), message);
                }
            } catch (MalformedMessageException e) {
                message.close();
                end(e.getMessage());
                return;
            }
            call.request(1);
        }

        private void readHello(FlightMessage message) throws MalformedMessageException {
            ArrowSchemas.checkExactSums(message, model.hidden());
            HelloReply reply;
            try {
                reply = HelloReply.parseFrom(message.metadata());
            } catch (InvalidProtocolBufferException e) {
                throw new MalformedMessageException("hello", String.valueOf(e.getMessage()));
            }
            message.close();
            // The worker took our epoch, so its own is at least ours.
            Optional<String> mismatch =
                    Handshake.mismatch(
                            hello(),
                            reply.getWorker().toBuilder()
                                    .setPlacementEpoch(hello.getPlacementEpoch())
                                    .build());
            if (mismatch.isPresent()) {
                throw new MalformedMessageException("hello", mismatch.get());
            }
            held = Optional.of(shard(reply));
            vitalSigns.watch();
            up(this);
            listener.laneChanged();
        }

        private void readHeld(FlightMessage message) throws MalformedMessageException {
            ExpertShard now = shard(HeldUpdate.read(message));
            message.close();
            ExpertShard before = held();
            held = Optional.of(now);
            lastHeld = held;
            LOG.info(
                    "{} holds {} experts now, {} more and {} less ({})",
                    address,
                    now.size(),
                    now.without(before).size(),
                    before.without(now).size(),
                    now);
            listener.laneChanged();
        }

        private ExpertShard shard(HelloReply reply) throws MalformedMessageException {
            List<LayerRange> ranges = new ArrayList<>();
            for (HeldExperts layer : reply.getHeldList()) {
                for (ExpertRange range : layer.getRangesList()) {
                    ranges.add(new LayerRange(layer.getLayer(), range.getFirst(), range.getLast()));
                }
            }
            try {
                return ExpertShard.of(model.layers(), model.experts(), ranges);
            } catch (IllegalArgumentException e) {
                throw new MalformedMessageException("hello.held", String.valueOf(e.getMessage()));
            }
        }

        @Override
        public void onClose(Status status, Metadata trailers) {
            finish(status);
        }

        /// Ends the stream from this side.
        void end(String why) {
            synchronized (this) {
                call.cancel(why, null);
            }
            finish(Status.CANCELLED.withDescription(why));
        }

        private void finish(Status status) {
            if (ended.compareAndSet(false, true)) {
                vitalSigns.stop();
                channel.shutdownNow();
                down(this, status);
                listener.laneChanged();
            }
        }
    }
}
