package io.atoll.expert.service;

import io.atoll.expert.batch.DispatchQueue;
import io.atoll.expert.transfer.ExpertSender;
import io.atoll.kernels.Kernels;
import io.atoll.proto.wire.DataPlane;
import io.atoll.proto.wire.FlightMessage;
import io.atoll.proto.wire.WirePool;
import io.grpc.Metadata;
import io.grpc.ServerCall;
import io.grpc.ServerMethodDefinition;
import io.grpc.ServerServiceDefinition;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import org.apache.arrow.flight.FlightGrpcUtils;
import org.apache.arrow.flight.auth.ServerAuthHandler;
import org.apache.arrow.memory.BufferAllocator;
import org.apache.arrow.memory.RootAllocator;

/// The worker's Flight service: Arrow's own for everything but `DoExchange`, which is ours and the same for plain Flight
/// clients and attention workers.
///
/// Owns the open streams and Arrow's allocator; `close()` ends both.
public final class ExpertService implements AutoCloseable {
    private final WorkerIdentity identity;
    private final DispatchQueue queue;
    private final Kernels kernels;
    private final Optional<ExpertSender> sender;
    private final WirePool pool = new WirePool();
    private final Set<ExchangeStream> streams = ConcurrentHashMap.newKeySet();
    private final BufferAllocator allocator = new RootAllocator();
    private final ExecutorService flightExecutor = Executors.newVirtualThreadPerTaskExecutor();

    /// @param sender of experts to other workers; empty sends none
    public ExpertService(
            WorkerIdentity identity,
            DispatchQueue queue,
            Kernels kernels,
            Optional<ExpertSender> sender) {
        this.identity = identity;
        this.queue = queue;
        this.kernels = kernels;
        this.sender = sender;
    }

    /// The service to put on a gRPC server.
    public ServerServiceDefinition definition() {
        ServerServiceDefinition flight = arrowService();
        ServerServiceDefinition.Builder ours =
                ServerServiceDefinition.builder(flight.getServiceDescriptor().getName());
        for (ServerMethodDefinition<?, ?> method : flight.getMethods()) {
            if (!method.getMethodDescriptor().getFullMethodName().equals(DataPlane.EXCHANGE)) {
                ours.addMethod(method);
            }
        }
        return ours.addMethod(DataPlane.exchangeMethod(pool), this::open).build();
    }

    /// Arrow's factory still asks for its deprecated auth handler; the no-op one leaves authentication to the transport.
    @SuppressWarnings("deprecation")
    private ServerServiceDefinition arrowService() {
        return FlightGrpcUtils.createFlightService(
                        allocator,
                        new ExpertFlights(identity, sender, allocator, flightExecutor),
                        ServerAuthHandler.NO_OP,
                        flightExecutor)
                .bindService();
    }

    private ServerCall.Listener<FlightMessage> open(
            ServerCall<FlightMessage, FlightMessage> call, Metadata headers) {
        ExchangeStream stream = new ExchangeStream(call, identity, queue, kernels, pool, streams);
        stream.open();
        return stream;
    }

    /// Open exchange streams.
    public int openStreams() {
        return streams.size();
    }

    /// Streams of attention workers that have said hello; plain Flight clients do not count.
    int attentionStreams() {
        return (int) streams.stream().filter(ExchangeStream::isOfAttentionWorker).count();
    }

    /// Tells every attention worker what is held now.
    public void announceHeld() {
        for (ExchangeStream stream : streams) {
            stream.announceHeld();
        }
    }

    /// Ends every stream with UNAVAILABLE.
    public void closeStreams() {
        for (ExchangeStream stream : streams) {
            stream.stop();
        }
    }

    @Override
    public void close() {
        closeStreams();
        flightExecutor.shutdownNow(); // ends transfers
        flightExecutor.close();
        allocator.close();
    }
}
