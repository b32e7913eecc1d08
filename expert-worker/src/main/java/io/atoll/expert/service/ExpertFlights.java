package io.atoll.expert.service;

import io.atoll.expert.transfer.ExpertSender;
import io.atoll.expert.transfer.PeerExperts;
import io.atoll.proto.wire.ArrowSchemas;
import io.atoll.proto.wire.ExchangeDescriptor;
import io.atoll.proto.wire.MalformedMessageException;
import io.atoll.proto.wire.RowFormat;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Executor;
import org.apache.arrow.flatbuf.Message;
import org.apache.arrow.flight.CallStatus;
import org.apache.arrow.flight.Criteria;
import org.apache.arrow.flight.FlightDescriptor;
import org.apache.arrow.flight.FlightEndpoint;
import org.apache.arrow.flight.FlightInfo;
import org.apache.arrow.flight.Location;
import org.apache.arrow.flight.NoOpFlightProducer;
import org.apache.arrow.flight.SchemaResult;
import org.apache.arrow.flight.Ticket;
import org.apache.arrow.memory.BufferAllocator;
import org.apache.arrow.vector.types.pojo.Schema;

/// The catalogue of a worker for any Flight client: one flight for each layer, `["experts", "<layer>"]`.
///
/// A flight's schema is that of the request; its custom metadata names the held experts and describes the answer, its
/// `app_metadata` is a `HeldExperts` message. The exchange itself is [ExchangeStream]'s. For other workers there is a flight `["model"]`,
/// and the tickets of [ExpertSender].
final class ExpertFlights extends NoOpFlightProducer {
    private final WorkerIdentity identity;
    private final Optional<ExpertSender> sender;
    private final BufferAllocator allocator;
    private final Executor executor;
    private final Schema request;

    /// @param sender of the experts themselves; empty sends none
    /// @param allocator borrowed, for what is sent
    /// @param executor sends, which blocks: callers are event loops
    ExpertFlights(
            WorkerIdentity identity,
            Optional<ExpertSender> sender,
            BufferAllocator allocator,
            Executor executor) {
        this.identity = identity;
        this.sender = sender;
        this.allocator = allocator;
        this.executor = executor;
        this.request = parse(ArrowSchemas.request(RowFormat.F32, identity.hidden()));
    }

    private static Schema parse(byte[] message) {
        ByteBuffer bytes = ByteBuffer.wrap(message).order(ByteOrder.LITTLE_ENDIAN);
        org.apache.arrow.flatbuf.Schema schema = new org.apache.arrow.flatbuf.Schema();
        Message.getRootAsMessage(bytes).header(schema);
        return Schema.convertSchema(schema);
    }

    @Override
    public void listFlights(
            CallContext context, Criteria criteria, StreamListener<FlightInfo> listener) {
        for (int layer = 0; layer < identity.shard().layers(); layer++) {
            if (identity.holdsAny(layer)) {
                listener.onNext(info(layer));
            }
        }
        listener.onCompleted();
    }

    @Override
    public FlightInfo getFlightInfo(CallContext context, FlightDescriptor descriptor) {
        if (sender.isPresent() && isCatalogue(descriptor)) {
            return FlightInfo.builder(new Schema(List.of()), descriptor, List.of())
                    .setAppMetadata(sender.get().catalogue().toByteArray())
                    .build();
        }
        return info(layerOf(descriptor));
    }

    @Override
    public SchemaResult getSchema(CallContext context, FlightDescriptor descriptor) {
        return new SchemaResult(schema(layerOf(descriptor)));
    }

    private static boolean isCatalogue(FlightDescriptor descriptor) {
        return !descriptor.isCommand()
                && descriptor.getPath().equals(List.of(PeerExperts.CATALOGUE_PATH));
    }

    @Override
    public void getStream(CallContext context, Ticket ticket, ServerStreamListener listener) {
        if (sender.isEmpty()) {
            super.getStream(context, ticket, listener);
            return;
        }
        executor.execute(() -> sender.get().send(ticket.getBytes(), allocator, listener));
    }

    private int layerOf(FlightDescriptor descriptor) {
        if (descriptor.isCommand()) {
            throw CallStatus.INVALID_ARGUMENT
                    .withDescription("flights have paths, [experts, <layer>], not commands")
                    .toRuntimeException();
        }
        int layer;
        try {
            layer = ExchangeDescriptor.layerOf(descriptor.getPath());
        } catch (MalformedMessageException e) {
            throw CallStatus.INVALID_ARGUMENT.withDescription(e.getMessage()).toRuntimeException();
        }
        if (!identity.holdsAny(layer)) {
            throw CallStatus.NOT_FOUND
                    .withDescription("no expert of layer " + layer + " on " + identity.name())
                    .toRuntimeException();
        }
        return layer;
    }

    private FlightInfo info(int layer) {
        FlightDescriptor descriptor =
                FlightDescriptor.path(ExchangeDescriptor.PATH_ROOT, Integer.toString(layer));
        String ticket = ExchangeDescriptor.PATH_ROOT + "/" + layer;
        FlightEndpoint endpoint =
                new FlightEndpoint(
                        new Ticket(ticket.getBytes(StandardCharsets.UTF_8)),
                        Location.reuseConnection());
        return FlightInfo.builder(schema(layer), descriptor, List.of(endpoint))
                .setAppMetadata(identity.held(layer).toByteArray())
                .build();
    }

    private Schema schema(int layer) {
        Map<String, String> metadata = new LinkedHashMap<>();
        metadata.put("atoll.worker", identity.name());
        metadata.put("atoll.layer", Integer.toString(layer));
        metadata.put("atoll.experts", Integer.toString(identity.shard().experts()));
        metadata.put("atoll.held", identity.heldText(layer));
        metadata.put("atoll.exchange", "DoExchange");
        metadata.put("atoll.reply", "sum: FixedSizeList<float32>[" + identity.hidden() + "]");
        return new Schema(request.getFields(), metadata);
    }
}
