package io.atoll.expert.service;

import io.atoll.expert.batch.DispatchQueue;
import io.atoll.expert.batch.PendingDispatch;
import io.atoll.kernels.Kernels;
import io.atoll.proto.ErrorCode;
import io.atoll.proto.Failure;
import io.atoll.proto.wire.ArrowSchemas;
import io.atoll.proto.wire.DispatchHeader;
import io.atoll.proto.wire.ExchangeDescriptor;
import io.atoll.proto.wire.FlightMessage;
import io.atoll.proto.wire.Handshake;
import io.atoll.proto.wire.HeldUpdate;
import io.atoll.proto.wire.MalformedMessageException;
import io.atoll.proto.wire.ReplyHeader;
import io.atoll.proto.wire.RequestReader;
import io.atoll.proto.wire.RequestReader.Request;
import io.atoll.proto.wire.RowFormat;
import io.atoll.proto.wire.SumWriter;
import io.atoll.proto.wire.WirePool;
import io.grpc.Grpc;
import io.grpc.Metadata;
import io.grpc.ServerCall;
import io.grpc.Status;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Optional;
import java.util.Set;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/// One `DoExchange` stream: a descriptor, a schema, then batches of rows until either side ends it.
///
/// The descriptor decides the mode: an attention worker's hello gives exact integer sums for any layer, a path gives float
/// sums for one layer. The descriptor and the schema may come in one message, as ours do, or in two, as Flight clients send
/// them. In exact mode an error about one dispatch is a reply and the stream goes on; a plain client has no place for such
/// a reply, so its stream ends with the error's status. Malformed bytes end either.
///
/// Messages arrive on an event loop, one at a time; answers come from the compute thread. `this` guards what leaves.
final class ExchangeStream extends ServerCall.Listener<FlightMessage>
        implements PendingDispatch.Owner {
    private static final Logger LOG = LoggerFactory.getLogger(ExchangeStream.class);

    /// A plain client names no deadline; it hangs up when it has waited enough.
    private static final long NO_DEADLINE_NANOS = Long.MAX_VALUE / 2;

    private static final long MAX_DEADLINE_MICROS = NO_DEADLINE_NANOS / 1000;

    private final ServerCall<FlightMessage, FlightMessage> call;
    private final WorkerIdentity identity;
    private final DispatchQueue queue;
    private final Kernels kernels;
    private final WirePool pool;
    private final Set<ExchangeStream> streams;
    private final String peer;

    // Of the event loop.
    private Optional<ExchangeDescriptor> mode = Optional.empty();
    private boolean schemaSeen;
    private RequestReader reader; // null until the descriptor is known
    private long received;
    private boolean paused;
    private boolean halfClosed;

    // Guarded by this.
    private final SumWriter writer;
    private boolean ended;
    private long pending;
    private boolean lastExpected;
    private int wireVersion; // of an attention worker whose hello was answered, else 0

    private volatile boolean gone;

    ExchangeStream(
            ServerCall<FlightMessage, FlightMessage> call,
            WorkerIdentity identity,
            DispatchQueue queue,
            Kernels kernels,
            WirePool pool,
            Set<ExchangeStream> streams) {
        this.call = call;
        this.identity = identity;
        this.queue = queue;
        this.kernels = kernels;
        this.pool = pool;
        this.streams = streams;
        this.writer = new SumWriter(pool, identity.hidden());
        this.peer = String.valueOf(call.getAttributes().get(Grpc.TRANSPORT_ATTR_REMOTE_ADDR));
    }

    void open() {
        streams.add(this);
        call.sendHeaders(new Metadata());
        call.request(1);
    }

    @Override
    public void onMessage(FlightMessage message) {
        boolean handedOver = false;
        try {
            if (message.problem().isPresent()) {
                throw message.problem().get();
            }
            handedOver = accept(message);
        } catch (MalformedMessageException e) {
            refuse(ErrorCode.MALFORMED_MESSAGE, e.getMessage());
        } finally {
            if (!handedOver) {
                message.close();
            }
        }
        requestNext();
    }

    /// Handles one message; true if the queue owns it now.
    private boolean accept(FlightMessage message) throws MalformedMessageException {
        if (gone) {
            return false;
        }
        if (mode.isEmpty()) {
            if (!message.hasDescriptor()) {
                throw new MalformedMessageException(
                        "flight_descriptor", "missing in the first message");
            }
            ExchangeDescriptor descriptor = ExchangeDescriptor.parse(message.descriptor());
            if (!agree(descriptor)) {
                return false;
            }
            mode = Optional.of(descriptor);
            if (!message.hasHeader()) {
                return false; // the schema comes by itself
            }
        }
        if (!schemaSeen) {
            ArrowSchemas.checkRequest(message, rowFormat(), identity.hidden());
            schemaSeen = true;
            return false;
        }
        return dispatch(message);
    }

    /// A plain client's rows are floats, whatever the weights take.
    private RowFormat rowFormat() {
        return mode.get() instanceof ExchangeDescriptor.Exact ? identity.format() : RowFormat.F32;
    }

    private boolean agree(ExchangeDescriptor descriptor) {
        return switch (descriptor) {
            case ExchangeDescriptor.Exact(var hello) -> {
                Optional<String> refusal = identity.refuse(hello);
                if (refusal.isPresent()) {
                    refuse(ErrorCode.HELLO_MISMATCH, refusal.get());
                    yield false;
                }
                LOG.info(
                        "hello from {} at {}, epoch {}",
                        hello.getSender(),
                        peer,
                        hello.getPlacementEpoch());
                reader = newReader(identity.format());
                synchronized (this) { // so that every change is in the answer or announced after it
                    send(
                            FlightMessage.of(
                                    pool,
                                    new byte[0],
                                    ArrowSchemas.exactSums(identity.hidden()),
                                    identity.reply(hello.getWireVersion()).toByteArray()));
                    wireVersion = hello.getWireVersion();
                }
                yield true;
            }
            case ExchangeDescriptor.Floats(var layer) -> {
                if (!identity.holdsAny(layer)) {
                    refuse(
                            ErrorCode.EXPERT_NOT_HELD,
                            "no expert of layer " + layer + " on " + identity.name());
                    yield false;
                }
                LOG.info("flight exchange from {}, layer {}", peer, layer);
                reader = newReader(RowFormat.F32);
                send(
                        FlightMessage.of(
                                pool,
                                new byte[0],
                                ArrowSchemas.floatSums(identity.hidden()),
                                new byte[0]));
                yield true;
            }
        };
    }

    private RequestReader newReader(RowFormat format) {
        return new RequestReader(format, identity.hidden(), identity.shard().experts());
    }

    private boolean dispatch(FlightMessage message) throws MalformedMessageException {
        long now = System.nanoTime();
        Request request;
        long deadline;
        switch (mode.get()) {
            case ExchangeDescriptor.Exact _ -> {
                request = reader.read(message);
                long micros = Math.min(request.header().remainingMicros(), MAX_DEADLINE_MICROS);
                deadline = now + Math.max(0, micros) * 1000;
            }
            case ExchangeDescriptor.Floats(var layer) -> {
                // The wire's own number stands in for a dispatch id.
                received++;
                request = reader.readPlain(message, new DispatchHeader(layer, received, 0, 1, 0));
                deadline = now + NO_DEADLINE_NANOS;
            }
        }
        PendingDispatch dispatch =
                new PendingDispatch(
                        message, request, rowFormat() == RowFormat.Q8, now, deadline, this);
        synchronized (this) {
            pending++;
        }
        Optional<Failure> refusal = queue.offer(dispatch);
        if (refusal.isPresent()) {
            failed(dispatch, refusal.get(), new PendingDispatch.Timing(0, 0, 0));
            return false;
        }
        return true;
    }

    /// Whether an attention worker has said hello on it.
    synchronized boolean isOfAttentionWorker() {
        return wireVersion != 0;
    }

    /// Tells an attention worker what is held now. One that speaks a version without such messages says hello again, since its
    /// stream ends.
    void announceHeld() {
        synchronized (this) {
            if (wireVersion == 0) {
                return; // no attention worker, or one that will hear it in the answer to its hello
            }
            if (wireVersion >= Handshake.HELD_UPDATES_VERSION) {
                send(HeldUpdate.of(pool, identity.reply(wireVersion)));
                return;
            }
        }
        end(
                Status.fromCode(ErrorCode.NOT_READY.grpcCode())
                        .withDescription(ErrorCode.NOT_READY + ": other experts are held now"));
    }

    @Override
    public void computed(
            PendingDispatch dispatch, MemorySegment sums, PendingDispatch.Timing timing) {
        if (mode.get() instanceof ExchangeDescriptor.Exact) {
            synchronized (this) {
                if (!ended) {
                    call.sendMessage(writer.exact(header(dispatch, timing), sums));
                }
            }
        } else {
            int rows = dispatch.request().rows();
            int count = Math.multiplyExact(rows, identity.hidden());
            try (Arena arena = Arena.ofConfined()) {
                MemorySegment floats = arena.allocate(ValueLayout.JAVA_FLOAT, count);
                kernels.combineToFloat(sums, floats, count, identity.fractionBits());
                synchronized (this) {
                    if (!ended) {
                        call.sendMessage(writer.floats(rows, floats));
                    }
                }
            }
        }
        answered();
    }

    @Override
    public void failed(PendingDispatch dispatch, Failure failure, PendingDispatch.Timing timing) {
        if (mode.get() instanceof ExchangeDescriptor.Exact) {
            send(header(dispatch, timing).error(pool, failure));
        } else {
            refuse(failure.code(), failure.message());
        }
        answered();
    }

    private static ReplyHeader header(PendingDispatch dispatch, PendingDispatch.Timing timing) {
        DispatchHeader asked = dispatch.request().header();
        return new ReplyHeader(
                asked.dispatch(),
                asked.firstRow(),
                dispatch.request().rows(),
                timing.queueNanos(),
                timing.computeNanos(),
                dispatch.message().totalBytes(),
                timing.weightBytes());
    }

    private synchronized void send(FlightMessage message) {
        if (ended) {
            message.close();
        } else {
            call.sendMessage(message);
        }
    }

    /// A client that has sent all its batches gets its last answer before the stream ends.
    private synchronized void answered() {
        pending--;
        if (lastExpected && pending == 0) {
            end(Status.OK);
        }
    }

    private void refuse(ErrorCode code, String message) {
        LOG.warn("exchange from {} refused, {}: {}", peer, code, message);
        end(Status.fromCode(code.grpcCode()).withDescription(code + ": " + message));
    }

    private synchronized void end(Status status) {
        if (!ended) {
            ended = true;
            gone = true;
            streams.remove(this);
            call.close(status, new Metadata());
        }
    }

    /// Ends the stream because the worker stops.
    void stop() {
        end(
                Status.fromCode(ErrorCode.NOT_READY.grpcCode())
                        .withDescription(ErrorCode.NOT_READY + ": worker is stopping"));
    }

    /// Asks for the next message, unless the peer does not read its answers: then it waits until they have left.
    private void requestNext() {
        if (gone || halfClosed) {
            return;
        }
        if (call.isReady()) {
            call.request(1);
        } else {
            paused = true;
        }
    }

    @Override
    public void onReady() {
        if (paused) {
            paused = false;
            requestNext();
        }
    }

    @Override
    public void onHalfClose() {
        halfClosed = true;
        synchronized (this) {
            lastExpected = true;
            if (pending == 0) {
                end(Status.OK);
            }
        }
    }

    @Override
    public void onCancel() {
        gone = true;
        synchronized (this) {
            ended = true;
        }
        streams.remove(this);
        LOG.info("exchange from {} ended by the peer", peer);
    }

    @Override
    public boolean isGone() {
        return gone;
    }
}
