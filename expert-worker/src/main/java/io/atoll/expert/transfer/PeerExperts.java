package io.atoll.expert.transfer;

import com.google.protobuf.InvalidProtocolBufferException;
import io.atoll.cluster.config.HostPort;
import io.atoll.cluster.placement.ExpertShard;
import io.atoll.expert.store.PackedExpert;
import io.atoll.expert.store.ResidentExperts;
import io.atoll.kernels.PackedMatrix;
import io.atoll.kernels.WeightFormat;
import io.atoll.proto.v1.ExpertTicket;
import io.atoll.proto.v1.WorkerCatalogue;
import io.grpc.ChannelCredentials;
import io.grpc.netty.NettyChannelBuilder;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SegmentAllocator;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Supplier;
import org.apache.arrow.flight.CallOption;
import org.apache.arrow.flight.CallOptions;
import org.apache.arrow.flight.FlightClient;
import org.apache.arrow.flight.FlightDescriptor;
import org.apache.arrow.flight.FlightGrpcUtils;
import org.apache.arrow.flight.FlightRuntimeException;
import org.apache.arrow.flight.FlightStream;
import org.apache.arrow.flight.Ticket;
import org.apache.arrow.memory.BufferAllocator;
import org.apache.arrow.memory.RootAllocator;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/// Experts from other workers of the cluster. Holders of an expert take turns; when one fails, the next is asked, so a peer that dies
/// in a transfer costs one expert's bytes.
///
/// Every part has a checksum, sizes are checked before memory is taken for them, and an expert is whole or not there. Owns its
/// connections. Safe for any thread.
public final class PeerExperts implements ResidentExperts.Source, AutoCloseable {
    private static final Logger LOG = LoggerFactory.getLogger(PeerExperts.class);

    /// Of the flight that tells what a worker serves and holds.
    public static final String CATALOGUE_PATH = "model";

    private static final int MAX_MESSAGE_BYTES = 4 << 20;
    private static final CallOption ASK_LIMIT = CallOptions.timeout(5, TimeUnit.SECONDS);
    private static final CallOption FETCH_LIMIT = CallOptions.timeout(2, TimeUnit.MINUTES);
    private static final int AT_A_TIME = 4;

    private final String clusterId;
    private final Supplier<Map<String, HostPort>> addresses;
    private final ChannelCredentials credentials;
    private final BufferAllocator allocator = new RootAllocator();
    private final AtomicInteger turn = new AtomicInteger();

    // Guarded by this.
    private final Map<HostPort, FlightClient> clients = new HashMap<>();
    private Optional<ModelShape> shape = Optional.empty();
    private List<Peer> peers = List.of();
    private boolean closed;

    /// A worker that answers.
    private record Peer(String name, FlightClient client, ExpertShard held) {}

    /// @param addresses of the other workers, by name; asked anew when an expert is not found
    /// @param credentials of this node, and how it checks the others'
    public PeerExperts(
            String clusterId,
            Supplier<Map<String, HostPort>> addresses,
            ChannelCredentials credentials) {
        this.clusterId = clusterId;
        this.addresses = addresses;
        this.credentials = credentials;
    }

    /// Takes only experts of this model.
    public synchronized void require(ModelShape model) {
        shape = Optional.of(model);
    }

    /// The model that the peers serve. Waits for one of them to answer.
    ///
    /// @throws ExpertTransferException if none does in time, with what is known of each, or they serve different models
    public ModelShape shape(Duration patience) throws InterruptedException {
        long end = System.nanoTime() + patience.toNanos();
        while (true) {
            List<String> failures = ask();
            synchronized (this) {
                if (shape.isPresent()) {
                    return shape.get();
                }
            }
            if (System.nanoTime() - end >= 0) {
                throw new ExpertTransferException(
                        "no other worker says what the model is: " + failures);
            }
            TimeUnit.MILLISECONDS.sleep(200);
        }
    }

    @Override
    public int concurrency() {
        return AT_A_TIME;
    }

    @Override
    public PackedExpert expert(int layer, int expert, SegmentAllocator memory) {
        List<String> failures = new ArrayList<>();
        Attempts attempts = new Attempts(memory);
        for (int round = 0; round < 2; round++) {
            List<Peer> holders = holders(layer, expert);
            int first = turn.getAndIncrement();
            for (int i = 0; i < holders.size(); i++) {
                Peer peer = holders.get(Math.floorMod(first + i, holders.size()));
                try {
                    return fetch(peer, layer, expert, attempts.next());
                } catch (FlightRuntimeException | ExpertTransferException e) {
                    failures.add(peer.name + ": " + e.getMessage());
                    LOG.warn(
                            "layer={} expert={} from {}: {}",
                            layer,
                            expert,
                            peer.name,
                            e.getMessage());
                }
            }
            if (round == 0) {
                failures.addAll(ask()); // what they hold may have changed
            }
        }
        throw new ExpertTransferException(
                "layer=%d expert=%d could be had from no worker: %s"
                        .formatted(layer, expert, failures));
    }

    /// Memory for one expert, the same for one attempt to fetch it and the next.
    private static final class Attempts implements SegmentAllocator {
        private final SegmentAllocator memory;
        private final List<MemorySegment> taken = new ArrayList<>();
        private int used;

        Attempts(SegmentAllocator memory) {
            this.memory = memory;
        }

        SegmentAllocator next() {
            used = 0;
            return this;
        }

        @Override
        public MemorySegment allocate(long bytes, long alignment) {
            if (used < taken.size() && taken.get(used).byteSize() == bytes) {
                return taken.get(used++);
            }
            MemorySegment fresh = memory.allocate(bytes, alignment);
            taken.add(used++, fresh);
            return fresh;
        }
    }

    private synchronized List<Peer> holders(int layer, int expert) {
        return peers.stream().filter(peer -> peer.held.holds(layer, expert)).toList();
    }

    /// Asks every peer what it holds.
    ///
    /// @return why some were left out
    private List<String> ask() {
        List<String> failures = new ArrayList<>();
        List<Peer> answering = new ArrayList<>();
        addresses
                .get()
                .forEach(
                        (name, address) -> {
                            try {
                                answering.add(ask(name, client(address)));
                            } catch (FlightRuntimeException
                                    | ExpertTransferException
                                    | IllegalArgumentException e) {
                                failures.add(name + " at " + address + ": " + e.getMessage());
                            }
                        });
        synchronized (this) {
            peers = List.copyOf(answering);
        }
        return failures;
    }

    private Peer ask(String name, FlightClient client) {
        byte[] answer =
                client.getInfo(FlightDescriptor.path(CATALOGUE_PATH), ASK_LIMIT).getAppMetadata();
        WorkerCatalogue catalogue;
        try {
            catalogue = WorkerCatalogue.parseFrom(answer);
        } catch (InvalidProtocolBufferException e) {
            throw new ExpertTransferException("its catalogue does not parse", e);
        }
        if (!catalogue.getClusterId().equals(clusterId)) {
            throw new ExpertTransferException(
                    "it belongs to cluster " + catalogue.getClusterId() + ", not " + clusterId);
        }
        ModelShape theirs = ModelShape.of(catalogue);
        synchronized (this) {
            if (shape.isEmpty()) {
                shape = Optional.of(theirs);
            } else if (!shape.get().equals(theirs)) {
                throw new ExpertTransferException(
                        "it serves another model: " + theirs + ", not " + shape.get());
            }
        }
        return new Peer(
                name,
                client,
                ExpertShard.parse(catalogue.getHeld(), theirs.layers(), theirs.experts()));
    }

    private synchronized FlightClient client(HostPort address) {
        if (closed) {
            throw new ExpertTransferException("closed");
        }
        return clients.computeIfAbsent(
                address,
                at ->
                        FlightGrpcUtils.createFlightClient(
                                allocator,
                                NettyChannelBuilder.forAddress(at.host(), at.port(), credentials)
                                        .maxInboundMessageSize(MAX_MESSAGE_BYTES)
                                        .build()));
    }

    private PackedExpert fetch(Peer peer, int layer, int expert, SegmentAllocator memory) {
        ModelShape model;
        synchronized (this) {
            model = shape.orElseThrow();
        }
        byte[] ticket =
                ExpertTicket.newBuilder()
                        .setClusterId(clusterId)
                        .setModelDigest(model.digest())
                        .setLayer(layer)
                        .setExpert(expert)
                        .build()
                        .toByteArray();
        FlightStream stream = peer.client.getStream(new Ticket(ticket), FETCH_LIMIT);
        try {
            List<PackedMatrix> matrices = new ArrayList<>();
            for (String name : ExpertParts.MATRICES) {
                boolean down = name.equals("down");
                matrices.add(
                        receive(
                                stream,
                                name,
                                down ? model.hidden() : model.intermediate(),
                                down ? model.intermediate() : model.hidden(),
                                memory));
            }
            if (stream.next()) {
                throw new ExpertTransferException("more came than an expert");
            }
            return new PackedExpert(matrices.get(0), matrices.get(1), matrices.get(2));
        } finally {
            end(stream);
        }
    }

    private static void end(FlightStream stream) {
        try {
            stream.close();
        } catch (InterruptedException _) {
            Thread.currentThread().interrupt();
        } catch (Exception e) { // the signature of AutoCloseable
            LOG.debug("a stream did not close", e);
        }
    }

    /// One matrix, which has to have these sizes.
    private static PackedMatrix receive(
            FlightStream stream, String name, int rows, int cols, SegmentAllocator memory) {
        WeightFormat format = null;
        MemorySegment matrix = MemorySegment.NULL;
        long filled = 0;
        while (format == null || filled < matrix.byteSize()) {
            if (!stream.next()) {
                throw new ExpertTransferException(
                        "%s ended after %d bytes".formatted(name, filled));
            }
            ExpertParts part = ExpertParts.of(stream.getRoot());
            if (!part.isOne()
                    || !part.matrix().equals(name)
                    || part.rows() != rows
                    || part.cols() != cols
                    || part.offset() != filled) {
                throw new ExpertTransferException(
                        "a part is not the one at %d of %s, %d x %d"
                                .formatted(filled, name, rows, cols));
            }
            if (format == null) {
                format = format(part.format(), cols);
                matrix =
                        memory.allocate(
                                PackedMatrix.bytes(format, rows, cols), PackedMatrix.ALIGNMENT);
            }
            MemorySegment data = part.data();
            if (data.byteSize() == 0 || data.byteSize() > matrix.byteSize() - filled) {
                throw new ExpertTransferException(
                        "%s has %d bytes at %d of %d"
                                .formatted(name, data.byteSize(), filled, matrix.byteSize()));
            }
            MemorySegment.copy(data, 0, matrix, filled, data.byteSize());
            filled += data.byteSize();
        }
        return new PackedMatrix(matrix, format, rows, cols);
    }

    private static WeightFormat format(String name, int cols) {
        for (WeightFormat format : WeightFormat.values()) {
            if (format.name().equals(name) && cols % format.columnMultiple() == 0) {
                return format;
            }
        }
        throw new ExpertTransferException(
                "no format of matrices with " + cols + " columns: " + name);
    }

    @Override
    public synchronized void close() {
        if (closed) {
            return;
        }
        closed = true;
        for (FlightClient client : clients.values()) {
            try {
                client.close();
            } catch (InterruptedException _) {
                Thread.currentThread().interrupt();
            }
        }
        clients.clear();
        allocator.close();
    }
}
