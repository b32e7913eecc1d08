package io.atoll.expert;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.atoll.cluster.placement.ExpertShard;
import io.atoll.expert.store.ExpertStore;
import io.atoll.kernels.WeightFormat;
import io.atoll.proto.ErrorCode;
import io.atoll.proto.v1.Hello;
import io.atoll.proto.v1.HelloReply;
import io.atoll.proto.wire.RowFormat;
import io.atoll.proto.wire.SumReader;
import io.grpc.ManagedChannel;
import io.grpc.Status;
import io.grpc.health.v1.HealthCheckRequest;
import io.grpc.health.v1.HealthCheckResponse.ServingStatus;
import io.grpc.health.v1.HealthGrpc;
import io.grpc.netty.NettyChannelBuilder;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Optional;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.function.UnaryOperator;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

class ExpertWorkerTest {
    private static final long MINUTE_MICROS = 60_000_000;
    private static final float[] ROW = TestExperts.uniform(new Random(5), TestExperts.HIDDEN, 1);

    private static ExpertWorker start(ExpertStore store, int queueMessages) throws Exception {
        ExpertWorker worker = ExpertWorker.over(settings(store, queueMessages), store, "digest");
        worker.start();
        return worker;
    }

    static ExpertWorkerSettings settings(ExpertStore store, int queueMessages) {
        return new ExpertWorkerSettings(
                "w1",
                "test",
                Path.of("none"),
                store.shard(),
                "127.0.0.1",
                0,
                Optional.empty(),
                1,
                Optional.empty(),
                queueMessages,
                1 << 20,
                Duration.ZERO,
                Duration.ofSeconds(10),
                DeviceChoice.CPU,
                Path.of("none"),
                1 << 30,
                0);
    }

    private static ExpertStore floatStore() {
        return TestExperts.store(TestExperts.all(), WeightFormat.F32);
    }

    @Test
    void helloIsAnsweredWithTheHeldExperts() throws Exception {
        ExpertShard shard =
                ExpertShard.parse("0:1-3;2:5,7", TestExperts.LAYERS, TestExperts.EXPERTS);
        try (ExpertWorker worker = start(TestExperts.store(shard, WeightFormat.Q8), 10);
                ExactClient client = new ExactClient(worker.port())) {
            HelloReply reply = client.open(RowFormat.Q8);
            assertEquals("w1", reply.getWorker().getSender());
            assertEquals(2, reply.getHeldCount());
            assertEquals(2, reply.getHeld(1).getLayer());
            assertEquals(7, reply.getHeld(1).getRanges(1).getFirst());
        }
    }

    record Difference(String message, UnaryOperator<Hello.Builder> change) {
        @Override
        public String toString() {
            return message;
        }
    }

    static Stream<Difference> differences() {
        return Stream.of(
                new Difference(
                        "wire version: w1 has '2', attention-1 has '9'", h -> h.setWireVersion(9)),
                new Difference(
                        "cluster id: w1 has 'test', attention-1 has 'b'", h -> h.setClusterId("b")),
                new Difference(
                        "model digest: w1 has 'digest', attention-1 has 'b'",
                        h -> h.setModelDigest("b")),
                new Difference(
                        "arithmetic: w1 has 'cpu-1', attention-1 has 'b'",
                        h -> h.setArithmetic("b")),
                new Difference(
                        "row type: w1 has 'ROW_TYPE_F32', attention-1 has 'ROW_TYPE_Q8'",
                        h -> h.setRowType(RowFormat.Q8.toProto())),
                new Difference(
                        "hidden size: w1 has '64', attention-1 has '3'", h -> h.setHiddenSize(3)),
                new Difference(
                        "combine fraction bits: w1 has '20', attention-1 has '3'",
                        h -> h.setCombineFractionBits(3)));
    }

    @ParameterizedTest
    @MethodSource("differences")
    void differentHelloIsRefusedNamingBothSides(Difference difference) throws Exception {
        try (ExpertWorker worker = start(floatStore(), 10);
                ExactClient client = new ExactClient(worker.port())) {
            Hello hello = difference.change().apply(ExactClient.hello(RowFormat.F32)).build();
            client.sayHello(hello, RowFormat.F32);
            Status status = client.awaitEnd();
            assertEquals(Status.Code.FAILED_PRECONDITION, status.getCode());
            assertEquals("HELLO_MISMATCH: " + difference.message(), status.getDescription());
        }
    }

    @Test
    void olderEpochIsRefusedOnceANewerOneWasSeen() throws Exception {
        try (ExpertWorker worker = start(floatStore(), 10);
                ExactClient newer = new ExactClient(worker.port());
                ExactClient older = new ExactClient(worker.port())) {
            newer.sayHello(
                    ExactClient.hello(RowFormat.F32).setPlacementEpoch(7).build(), RowFormat.F32);
            newer.next().close();
            older.sayHello(
                    ExactClient.hello(RowFormat.F32).setPlacementEpoch(6).build(), RowFormat.F32);
            assertTrue(older.awaitEnd().getDescription().contains("placement epoch (older)"));
        }
    }

    @Test
    void sumsAnswerTheDispatchTheyBelongTo() throws Exception {
        try (ExpertWorker worker = start(floatStore(), 10);
                ExactClient client = new ExactClient(worker.port())) {
            client.open(RowFormat.F32);
            client.send(2, 77, ROW, 3, MINUTE_MICROS);
            SumReader.Sums sums = client.nextSums();
            assertEquals(77, sums.header().dispatch());
            assertEquals(1, sums.header().rows());
            assertTrue(sums.header().computeNanos() > 0);
            assertTrue(sums.header().weightBytes() >= 3 * 4 * 64 * 32);
            double[] expected = new double[TestExperts.HIDDEN];
            TestExperts.addExpert(2, 3, ROW, 1, expected);
            assertArrayEquals(expected, doubles(sums), 1e-4);
        }
    }

    private static double[] doubles(SumReader.Sums sums) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment total = arena.allocate(8L * TestExperts.HIDDEN, 8);
            sums.addRow(0, total, 0);
            double[] values = new double[TestExperts.HIDDEN];
            for (int i = 0; i < values.length; i++) {
                values[i] = Math.scalb((double) total.getAtIndex(ValueLayout.JAVA_LONG, i), -20);
            }
            return values;
        }
    }

    @Test
    void rowPastInt32ComesAsInt64() throws Exception {
        float[] large = ROW.clone();
        for (int i = 0; i < large.length; i++) {
            large[i] *=
                    300; // the output grows with the square: past 2^11, hence past 2^31 on the grid
        }
        try (ExpertWorker worker = start(floatStore(), 10);
                ExactClient client = new ExactClient(worker.port())) {
            client.open(RowFormat.F32);
            client.send(0, 1, large, 2, MINUTE_MICROS);
            SumReader.Sums sums = client.nextSums();
            assertTrue(sums.isWide(0));
            double[] expected = new double[TestExperts.HIDDEN];
            TestExperts.addExpert(0, 2, large, 1, expected);
            assertArrayEquals(expected, doubles(sums), 0.5);
        }
    }

    @Test
    void expertThatIsNotHeldIsAReplyAndTheStreamGoesOn() throws Exception {
        ExpertShard shard = ExpertShard.part(TestExperts.LAYERS, TestExperts.EXPERTS, 0, 2);
        try (ExpertWorker worker = start(TestExperts.store(shard, WeightFormat.F32), 10);
                ExactClient client = new ExactClient(worker.port())) {
            client.open(RowFormat.F32);
            client.send(1, 1, ROW, 6, MINUTE_MICROS);
            var failure = client.nextSums().failure().orElseThrow();
            assertEquals(ErrorCode.EXPERT_NOT_HELD, failure.code());
            assertEquals("layer=1 expert=6 worker=w1", failure.message());
            client.send(1, 2, ROW, 2, MINUTE_MICROS);
            assertTrue(client.nextSums().failure().isEmpty());
        }
    }

    @Test
    void nonFiniteRowIsAReplyAndTheStreamGoesOn() throws Exception {
        float[] bad = ROW.clone();
        bad[3] = Float.POSITIVE_INFINITY;
        try (ExpertWorker worker = start(floatStore(), 10);
                ExactClient client = new ExactClient(worker.port())) {
            client.open(RowFormat.F32);
            client.send(1, 1, bad, 6, MINUTE_MICROS);
            assertEquals(
                    ErrorCode.NON_FINITE_OUTPUT, client.nextSums().failure().orElseThrow().code());
            client.send(1, 2, ROW, 2, MINUTE_MICROS);
            assertTrue(client.nextSums().failure().isEmpty());
        }
    }

    @Test
    void malformedBytesEndTheStreamByName() throws Exception {
        try (ExpertWorker worker = start(floatStore(), 10);
                ExactClient client = new ExactClient(worker.port())) {
            client.open(RowFormat.F32);
            client.sendGarbage();
            Status status = client.awaitEnd();
            assertEquals(Status.Code.INVALID_ARGUMENT, status.getCode());
            assertEquals(
                    "MALFORMED_MESSAGE: app_metadata: 3 bytes, expected 40",
                    status.getDescription());
        }
    }

    @Test
    void fullQueueShedsInsteadOfBlocking() throws Exception {
        HeldBackStore store = new HeldBackStore(floatStore());
        try (ExpertWorker worker = start(store, 1);
                ExactClient client = new ExactClient(worker.port())) {
            client.open(RowFormat.F32);
            client.send(0, 1, ROW, 0, MINUTE_MICROS);
            store.awaitCompute();
            client.send(0, 2, ROW, 0, MINUTE_MICROS); // waits
            client.send(0, 3, ROW, 0, MINUTE_MICROS); // is one too many
            SumReader.Sums shed = client.nextSums();
            assertEquals(3, shed.header().dispatch());
            assertEquals(ErrorCode.OVERLOADED, shed.failure().orElseThrow().code());
            store.letGo();
            assertEquals(1, client.nextSums().header().dispatch());
            assertEquals(2, client.nextSums().header().dispatch());
        }
    }

    @Test
    void dispatchPastItsDeadlineIsNotComputed() throws Exception {
        try (ExpertWorker worker = start(floatStore(), 10);
                ExactClient client = new ExactClient(worker.port())) {
            client.open(RowFormat.F32);
            client.send(0, 1, ROW, 0, -1);
            SumReader.Sums late = client.nextSums();
            assertEquals(ErrorCode.DEADLINE_EXCEEDED, late.failure().orElseThrow().code());
            assertEquals(0, late.header().computeNanos());
        }
    }

    @Test
    void rowsOfACancelledStreamAreDroppedBeforeCompute() throws Exception {
        HeldBackStore store = new HeldBackStore(floatStore());
        try (ExpertWorker worker = start(store, 10);
                ExactClient blocking = new ExactClient(worker.port());
                ExactClient leaving = new ExactClient(worker.port())) {
            blocking.open(RowFormat.F32);
            leaving.open(RowFormat.F32);
            blocking.send(0, 1, ROW, 0, MINUTE_MICROS);
            store.awaitCompute();
            leaving.send(1, 2, ROW, 0, MINUTE_MICROS);
            await(() -> worker.queuedDispatches() == 1);
            leaving.cancel();
            await(() -> worker.openStreams() == 1);
            store.letGo();
            // Of another layer, so that it has a batch of its own, after the one that is dropped.
            blocking.send(2, 3, ROW, 0, MINUTE_MICROS);
            assertEquals(1, blocking.nextSums().header().dispatch());
            assertEquals(3, blocking.nextSums().header().dispatch());
            assertFalse(leaving.hasReply());
        }
    }

    private static void await(java.util.function.BooleanSupplier condition) {
        long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(20);
        while (!condition.getAsBoolean()) {
            assertTrue(System.nanoTime() < deadline, "condition not met in 20 s");
            Thread.onSpinWait();
        }
    }

    @Test
    void stopFinishesWhatIsQueuedAndEndsTheStreams() throws Exception {
        HeldBackStore store = new HeldBackStore(floatStore());
        ExpertWorker worker = start(store, 10);
        try (ExactClient client = new ExactClient(worker.port())) {
            client.open(RowFormat.F32);
            client.send(0, 1, ROW, 0, MINUTE_MICROS);
            store.awaitCompute();
            client.send(1, 2, ROW, 0, MINUTE_MICROS);
            await(() -> worker.queuedDispatches() == 1);
            CompletableFuture<Void> stopped = CompletableFuture.runAsync(worker::close);
            await(worker::isStopping);
            client.send(2, 3, ROW, 0, MINUTE_MICROS);
            SumReader.Sums late = client.nextSums();
            assertEquals(3, late.header().dispatch());
            assertEquals(ErrorCode.NOT_READY, late.failure().orElseThrow().code());
            store.letGo();
            assertEquals(1, client.nextSums().header().dispatch());
            SumReader.Sums second = client.nextSums();
            assertEquals(2, second.header().dispatch());
            assertTrue(second.failure().isEmpty());
            assertEquals(Status.Code.UNAVAILABLE, client.awaitEnd().getCode());
            stopped.get(20, TimeUnit.SECONDS);
        }
    }

    @Test
    void portInUseIsAnErrorAndTheWorkerCanBeClosed() throws Exception {
        try (ExpertWorker first = start(floatStore(), 10)) {
            ExpertStore store = floatStore();
            ExpertWorkerSettings settings =
                    ExpertWorkerSettings.of(
                            "w2",
                            "test",
                            Path.of("none"),
                            store.shard(),
                            "127.0.0.1",
                            first.port());
            try (ExpertWorker second = ExpertWorker.over(settings, store, "digest")) {
                assertThrows(IOException.class, second::start);
            }
        }
    }

    @Test
    void healthServiceSaysServing() throws Exception {
        try (ExpertWorker worker = start(floatStore(), 10)) {
            ManagedChannel channel =
                    NettyChannelBuilder.forAddress("127.0.0.1", worker.port())
                            .usePlaintext()
                            .build();
            try {
                var reply =
                        HealthGrpc.newBlockingStub(channel)
                                .check(HealthCheckRequest.getDefaultInstance());
                assertEquals(ServingStatus.SERVING, reply.getStatus());
            } finally {
                channel.shutdownNow();
            }
        }
    }
}
