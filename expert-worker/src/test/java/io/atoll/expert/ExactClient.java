package io.atoll.expert;

import io.atoll.proto.v1.Hello;
import io.atoll.proto.v1.HelloReply;
import io.atoll.proto.wire.ArrowSchemas;
import io.atoll.proto.wire.DataPlane;
import io.atoll.proto.wire.DispatchHeader;
import io.atoll.proto.wire.ExchangeDescriptor;
import io.atoll.proto.wire.FlightMessage;
import io.atoll.proto.wire.Handshake;
import io.atoll.proto.wire.RequestWriter;
import io.atoll.proto.wire.RowFormat;
import io.atoll.proto.wire.SumReader;
import io.atoll.proto.wire.WirePool;
import io.grpc.CallOptions;
import io.grpc.ClientCall;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import io.grpc.Metadata;
import io.grpc.Status;
import io.netty.channel.EventLoopGroup;
import java.lang.foreign.MemorySegment;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;

/// One exact-mode stream, message by message.
final class ExactClient implements AutoCloseable {
    private static final byte[] NONE = {};

    final WirePool pool = new WirePool();
    private final EventLoopGroup loops = DataPlane.eventLoops(1, "test-client");
    private final int hidden;
    private final ManagedChannel channel;
    private final ClientCall<FlightMessage, FlightMessage> call;
    private final BlockingQueue<FlightMessage> replies = new LinkedBlockingQueue<>();
    private final CompletableFuture<Status> ended = new CompletableFuture<>();

    ExactClient(int port) {
        this(port, TestExperts.HIDDEN);
    }

    /// @param hidden width of the worker's rows
    ExactClient(int port, int hidden) {
        this.hidden = hidden;
        channel =
                DataPlane.channel(
                                new InetSocketAddress(InetAddress.getLoopbackAddress(), port),
                                InsecureChannelCredentials.create(),
                                loops)
                        .build();
        call = channel.newCall(DataPlane.exchangeMethod(pool), CallOptions.DEFAULT);
        call.start(
                new ClientCall.Listener<>() {
                    @Override
                    public void onMessage(FlightMessage message) {
                        replies.add(message);
                        call.request(1);
                    }

                    @Override
                    public void onClose(Status status, Metadata trailers) {
                        ended.complete(status);
                    }
                },
                new Metadata());
        call.request(1);
    }

    static Hello.Builder hello(RowFormat format) {
        return Hello.newBuilder()
                .setWireVersion(Handshake.WIRE_VERSION)
                .setClusterId("test")
                .setModelDigest("digest")
                .setArithmetic("cpu-1")
                .setRowType(format.toProto())
                .setHiddenSize(TestExperts.HIDDEN)
                .setCombineFractionBits(20)
                .setSender("attention-1");
    }

    void sayHello(Hello hello, RowFormat format) {
        call.sendMessage(
                FlightMessage.of(
                        pool,
                        ExchangeDescriptor.encode(new ExchangeDescriptor.Exact(hello)),
                        ArrowSchemas.request(format, hidden),
                        NONE));
    }

    /// Says hello and reads the answer.
    HelloReply open(RowFormat format) throws Exception {
        sayHello(hello(format).build(), format);
        try (FlightMessage message = next()) {
            ArrowSchemas.checkExactSums(message, TestExperts.HIDDEN);
            return HelloReply.parseFrom(message.metadata());
        }
    }

    /// Sends f32 rows, each with one route of weight 1 to the same expert.
    void send(int layer, long dispatch, float[] rows, int expert, long remainingMicros) {
        int count = rows.length / TestExperts.HIDDEN;
        RequestWriter writer = new RequestWriter(pool, RowFormat.F32, TestExperts.HIDDEN);
        writer.start(count, count);
        MemorySegment x = MemorySegment.ofArray(rows);
        for (int row = 0; row < count; row++) {
            writer.row(x, 4L * row * TestExperts.HIDDEN);
            writer.route(expert, 1);
        }
        send(writer.finish(new DispatchHeader(layer, dispatch, 0, count, remainingMicros)));
    }

    void send(FlightMessage message) {
        call.sendMessage(message);
    }

    /// Sends a message of `app_metadata` alone.
    void sendGarbage() {
        call.sendMessage(FlightMessage.of(pool, NONE, NONE, new byte[] {1, 2, 3}));
    }

    FlightMessage next() throws InterruptedException {
        FlightMessage message = replies.poll(20, TimeUnit.SECONDS);
        if (message == null) {
            throw new AssertionError("no reply; stream: " + ended);
        }
        return message;
    }

    SumReader.Sums nextSums() throws Exception {
        return new SumReader(TestExperts.HIDDEN).read(next());
    }

    boolean hasReply() {
        return !replies.isEmpty();
    }

    Status awaitEnd() throws Exception {
        return ended.get(20, TimeUnit.SECONDS);
    }

    void cancel() {
        call.cancel("test", null);
    }

    @Override
    public void close() {
        channel.shutdownNow();
        loops.shutdownGracefully(0, 1, TimeUnit.SECONDS).awaitUninterruptibly();
    }
}
