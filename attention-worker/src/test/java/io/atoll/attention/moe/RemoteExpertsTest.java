package io.atoll.attention.moe;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.atoll.cluster.placement.ExpertShard;
import io.atoll.expert.DeviceChoice;
import io.atoll.expert.ExpertWorker;
import io.atoll.expert.ExpertWorkerSettings;
import io.atoll.expert.batch.ExpertEngine;
import io.atoll.expert.store.ResidentExperts;
import io.atoll.kernels.ComputePool;
import io.atoll.kernels.KernelLibrary;
import io.atoll.kernels.Kernels;
import io.atoll.kernels.WeightFormat;
import io.atoll.model.ModelDirectory;
import io.atoll.proto.ErrorCode;
import io.atoll.proto.Failure;
import io.atoll.proto.v1.ChangeRequest;
import io.atoll.proto.v1.DescribeRequest;
import io.atoll.proto.v1.ExpertControlGrpc;
import io.atoll.proto.v1.WorkerDescription;
import io.atoll.proto.wire.RowFormat;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import io.grpc.netty.NettyChannelBuilder;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.locks.LockSupport;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/// The demo model's experts on real workers in this JVM, over loopback.
class RemoteExpertsTest {
    private static final Path MODEL = Path.of(System.getProperty("atoll.root"), "demo-model");
    private static final int LAYERS = 8;
    private static final int EXPERTS = 32;
    private static final int HIDDEN = 256;
    private static final int K = 4;
    private static final Kernels KERNELS = KernelLibrary.select(Optional.empty());
    private static final Duration LONG = Duration.ofSeconds(30);

    private final Arena arena = Arena.ofAuto();
    private final List<AutoCloseable> open = new ArrayList<>();

    @AfterEach
    void close() throws Exception {
        for (AutoCloseable each : open.reversed()) {
            each.close();
        }
    }

    private <T extends AutoCloseable> T keep(T resource) {
        open.add(resource);
        return resource;
    }

    private ExpertWorker worker(String name, String shard) throws Exception {
        return worker(name, shard, Optional.empty(), 0, 1024);
    }

    private ExpertWorker worker(
            String name, String shard, Optional<WeightFormat> format, int port, int queueMessages)
            throws Exception {
        ExpertWorker worker =
                keep(
                        ExpertWorker.open(
                                new ExpertWorkerSettings(
                                        name,
                                        "test",
                                        MODEL,
                                        ExpertShard.parse(shard, LAYERS, EXPERTS),
                                        "127.0.0.1",
                                        port,
                                        Optional.empty(),
                                        1,
                                        format,
                                        queueMessages,
                                        64 << 20,
                                        Duration.ZERO,
                                        Duration.ofSeconds(5),
                                        DeviceChoice.CPU,
                                        MODEL,
                                        1L << 30,
                                        0)));
        worker.start();
        return worker;
    }

    private static WorkerAddress at(String name, int port) {
        return new WorkerAddress(name, "127.0.0.1", port);
    }

    private RemoteExperts connect(WorkerAddress... workers) {
        return connect(RowFormat.F32, 1 << 20, LONG, workers);
    }

    private RemoteExperts connect(Duration failureDeadline, WorkerAddress... workers) {
        return connect(RowFormat.F32, 1 << 20, failureDeadline, LONG, workers);
    }

    private RemoteExperts connect(
            RowFormat format, int messageBytes, Duration grace, WorkerAddress... workers) {
        return connect(format, messageBytes, LONG, grace, workers);
    }

    private RemoteExperts connect(
            RowFormat format,
            int messageBytes,
            Duration failureDeadline,
            Duration grace,
            WorkerAddress... workers) {
        RemoteExpertsSettings settings =
                new RemoteExpertsSettings(
                        "attention-1",
                        "test",
                        0,
                        List.of(workers),
                        failureDeadline,
                        grace,
                        Duration.ofMillis(5),
                        Duration.ofMillis(20),
                        Duration.ZERO,
                        messageBytes,
                        InsecureChannelCredentials.create());
        String digest;
        try (ModelDirectory model = ModelDirectory.open(MODEL)) {
            digest = model.modelDigest();
        }
        RoutedModel model = new RoutedModel(digest, LAYERS, EXPERTS, HIDDEN, format, 20);
        return keep(new RemoteExperts(settings, model, KERNELS));
    }

    private static RemoteExperts ready(RemoteExperts experts) throws Exception {
        assertEquals(Optional.empty(), experts.awaitAvailable(LONG));
        return experts;
    }

    /// Rows and routes of one dispatch, and what an engine in this process makes of them.
    private final class Rows {
        private final int layer;
        private final int count;
        private final MemorySegment x;
        private final MemorySegment ids;
        private final MemorySegment weights;

        Rows(long seed, int layer, int count) {
            this.layer = layer;
            this.count = count;
            Random random = new Random(seed);
            x = arena.allocate(4L * count * HIDDEN, 64);
            ids = arena.allocate(4L * count * K, 64);
            weights = arena.allocate(4L * count * K, 64);
            for (int i = 0; i < count * HIDDEN; i++) {
                x.setAtIndex(JAVA_FLOAT, i, (float) random.nextGaussian());
            }
            for (int row = 0; row < count; row++) {
                int[] chosen = random.ints(0, EXPERTS).distinct().limit(K).toArray();
                for (int i = 0; i < K; i++) {
                    ids.setAtIndex(JAVA_INT, (long) row * K + i, chosen[i]);
                    weights.setAtIndex(JAVA_FLOAT, (long) row * K + i, random.nextFloat());
                }
            }
        }

        RoutedExperts.Dispatch dispatch(RemoteExperts experts, Duration deadline) {
            long at = System.nanoTime() + deadline.toNanos();
            return experts.dispatch(layer, count, x, ids, weights, at);
        }

        float[] combine(RoutedExperts.Dispatch dispatch) {
            MemorySegment out = arena.allocate(4L * count * HIDDEN, 64);
            assertEquals(Optional.empty(), dispatch.combine(out));
            return out.toArray(JAVA_FLOAT);
        }

        float[] through(RemoteExperts experts) {
            return combine(dispatch(experts, LONG));
        }

        float[] inProcess(Optional<WeightFormat> format) {
            MemorySegment sums = arena.allocate(8L * count * HIDDEN, 64);
            MemorySegment out = arena.allocate(4L * count * HIDDEN, 64);
            try (ModelDirectory model = ModelDirectory.open(MODEL);
                    ResidentExperts store =
                            ResidentExperts.load(
                                    model.textWeights(),
                                    ExpertShard.parse(layer + ":*", LAYERS, EXPERTS),
                                    format,
                                    new ComputePool(1));
                    ComputePool pool = new ComputePool(2);
                    ExpertEngine engine = new ExpertEngine(store, KERNELS, pool, 20)) {
                engine.begin(layer);
                engine.addFloats(count, x, K, ids, weights, sums);
                engine.run();
            }
            KERNELS.combineToFloat(sums, out, count * HIDDEN, 20);
            return out.toArray(JAVA_FLOAT);
        }
    }

    private static void assertSomething(float[] sums) {
        double total = 0;
        for (float sum : sums) {
            total += Math.abs(sum);
        }
        assertTrue(total > 1, "sums are all but zero: " + total);
    }

    @Test
    void oneTwoOrThreeUnevenWorkersGiveTheSameBits() throws Exception {
        Rows rows = new Rows(1, 3, 70);
        float[] expected = rows.inProcess(Optional.empty());
        assertSomething(expected);
        ExpertWorker all = worker("all", "*");
        ExpertWorker low = worker("low", "0-4");
        ExpertWorker middle = worker("middle", "0-2:5-31;3:5-17;4-7:5-31");
        ExpertWorker high = worker("high", "3:18-31");
        WorkerAddress lowAt = at("low", low.port());
        WorkerAddress middleAt = at("middle", middle.port());
        WorkerAddress highAt = at("high", high.port());
        WorkerAddress allAt = at("all", all.port());
        assertArrayEquals(expected, rows.through(ready(connect(allAt))));
        assertArrayEquals(expected, rows.through(ready(connect(lowAt, allAt))));
        RemoteExperts three = ready(connect(highAt, lowAt, middleAt));
        assertArrayEquals(expected, rows.through(three));
        for (WorkerStatistics one : three.statistics()) {
            assertTrue(one.live() && one.rows() > 0 && one.computeNanos() > 0, one.toString());
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {2_000, 7_000, 40_000})
    void cuttingADispatchIntoMessagesChangesNoBit(int messageBytes) throws Exception {
        Rows rows = new Rows(2, 0, 90);
        ExpertWorker low = worker("low", "0-9");
        ExpertWorker high = worker("high", "10-31");
        RemoteExperts experts =
                ready(
                        connect(
                                RowFormat.F32,
                                messageBytes,
                                LONG,
                                at("low", low.port()),
                                at("high", high.port())));
        assertArrayEquals(rows.inProcess(Optional.empty()), rows.through(experts));
        assertTrue(experts.statistics().getFirst().messages() >= 90 * 256 * 4 / 2 / messageBytes);
    }

    @Test
    void rowsThatTravelAsInt8GiveTheBitsOfAnEngineInProcess() throws Exception {
        Rows rows = new Rows(3, 5, 33);
        Optional<WeightFormat> q8 = Optional.of(WeightFormat.Q8);
        ExpertWorker low = worker("low", "0-12", q8, 0, 100);
        ExpertWorker high = worker("high", "13-31", q8, 0, 100);
        RemoteExperts experts =
                ready(
                        connect(
                                RowFormat.Q8,
                                1 << 20,
                                LONG,
                                at("low", low.port()),
                                at("high", high.port())));
        assertArrayEquals(rows.inProcess(q8), rows.through(experts));
    }

    @Test
    void dispatchesUnderWayDoNotMix() throws Exception {
        RemoteExperts experts = ready(connect(at("all", worker("all", "*").port())));
        Rows first = new Rows(4, 1, 3);
        Rows second = new Rows(5, 2, 60);
        Rows third = new Rows(6, 1, 1);
        var one = first.dispatch(experts, LONG);
        var two = second.dispatch(experts, LONG);
        var three = third.dispatch(experts, LONG);
        assertArrayEquals(third.inProcess(Optional.empty()), third.combine(three));
        assertArrayEquals(first.inProcess(Optional.empty()), first.combine(one));
        assertArrayEquals(second.inProcess(Optional.empty()), second.combine(two));
    }

    @Test
    void whatAFailedStreamDidNotAnswerGoesToAReplica() throws Exception {
        TcpProxy wire = keep(new TcpProxy(worker("w1", "*").port()));
        ExpertWorker second = worker("w2", "*");
        RemoteExperts experts = ready(connect(at("w1", wire.port()), at("w2", second.port())));
        Rows rows = new Rows(7, 4, 20);
        float[] expected = rows.inProcess(Optional.empty());
        awaitLive(experts, 2);
        assertArrayEquals(expected, rows.through(experts));
        long shared = experts.statistics().get(1).routes();
        wire.holdReplies();
        var dispatch = rows.dispatch(experts, LONG);
        wire.awaitHeldReply();
        wire.cut();
        assertArrayEquals(expected, rows.combine(dispatch));
        List<WorkerStatistics> statistics = experts.statistics();
        assertEquals(1, statistics.get(0).failures());
        assertEquals(shared + 20 * 4, statistics.get(1).routes());
        assertArrayEquals(expected, rows.through(experts), "the next dispatch knows");
    }

    @Test
    void replicasShareTheWork() throws Exception {
        RemoteExperts experts =
                ready(
                        connect(
                                at("w1", worker("w1", "*").port()),
                                at("w2", worker("w2", "*").port()),
                                at("w3", worker("w3", "0-7").port())));
        awaitLive(experts, 3);
        Rows rows = new Rows(7, 4, 64);
        assertArrayEquals(rows.inProcess(Optional.empty()), rows.through(experts));
        for (WorkerStatistics worker : experts.statistics()) {
            assertTrue(worker.routes() > 20, worker.toString());
        }
    }

    @Test
    void whatASilentWorkerDoesNotAnswerGoesToAReplica() throws Exception {
        TcpProxy wire = keep(new TcpProxy(worker("w1", "*").port()));
        ExpertWorker second = worker("w2", "*");
        Duration deadline = Duration.ofMillis(500);
        RemoteExperts experts =
                ready(connect(deadline, at("w1", wire.port()), at("w2", second.port())));
        Rows rows = new Rows(7, 4, 20);
        float[] expected = rows.inProcess(Optional.empty());
        awaitLive(experts, 2);
        wire.holdReplies(); // its connection stays, as that of a frozen process does
        assertArrayEquals(expected, rows.through(experts));
        assertFalse(experts.statistics().getFirst().live());
        assertEquals(1, experts.statistics().getFirst().failures());
    }

    @Test
    void aWorkerThatIsAskedNothingIsKept() throws Exception {
        TcpProxy wire = keep(new TcpProxy(worker("w1", "*").port()));
        Duration deadline = Duration.ofMillis(500);
        RemoteExperts experts = ready(connect(deadline, at("w1", wire.port())));
        long until = System.nanoTime() + 4 * deadline.toNanos();
        while (System.nanoTime() < until) {
            LockSupport.parkNanos(10_000_000);
        }
        assertEquals(1, experts.statistics().getFirst().connects());
    }

    /// Availability asks for one holder of each expert; a test of replicas wants them all.
    private static void awaitLive(RemoteExperts experts, int count) {
        while (experts.statistics().stream().filter(WorkerStatistics::live).count() < count) {
            Thread.onSpinWait();
        }
    }

    /// One leaves while rows wait for it, another has joined, and a third takes the place of the one that left.
    @Test
    void workersJoinAndLeaveUnderRows() throws Exception {
        Rows rows = new Rows(9, 4, 20);
        float[] expected = rows.inProcess(Optional.empty());
        TcpProxy wire = keep(new TcpProxy(worker("w1", "*").port()));
        WorkerAddress first = at("w1", wire.port());
        RemoteExperts experts = ready(connect(first));
        wire.holdReplies();
        var dispatch = rows.dispatch(experts, LONG);
        wire.awaitHeldReply();

        WorkerAddress second = at("w2", worker("w2", "*").port());
        experts.setWorkers(List.of(second));
        awaitLive(experts, 2); // the first one's stream is there still
        assertEquals(2, experts.statistics().size());
        wire.cut();
        assertArrayEquals(expected, rows.combine(dispatch));
        awaitListed(experts, "w2");

        WorkerAddress third = at("w3", worker("w3", "0-9").port());
        experts.setWorkers(List.of(second, third));
        awaitLive(experts, 2);
        awaitListed(experts, "w3", "w2");
        assertArrayEquals(expected, rows.through(experts));
        WorkerStatistics joined = experts.statistics().getFirst();
        assertTrue(joined.rows() > 0, joined.toString());
    }

    private static void awaitListed(RemoteExperts experts, String... names) {
        while (!experts.statistics().stream()
                .map(WorkerStatistics::name)
                .toList()
                .equals(List.of(names))) {
            Thread.onSpinWait();
        }
    }

    @Test
    void workerThatComesBackInTimeAnswersAfterAll() throws Exception {
        TcpProxy wire = keep(new TcpProxy(worker("w1", "*").port()));
        RemoteExperts experts = ready(connect(at("w1", wire.port())));
        Rows rows = new Rows(8, 4, 20);
        float[] expected = rows.inProcess(Optional.empty());
        wire.holdReplies();
        var dispatch = rows.dispatch(experts, LONG);
        wire.awaitHeldReply();
        wire.cut();
        wire.mend();
        assertArrayEquals(expected, rows.combine(dispatch));
        assertEquals(2, experts.statistics().getFirst().connects());
    }

    @Test
    void workerRestartedOnItsPortIsFoundAgain() throws Exception {
        ExpertWorker first = worker("w1", "*");
        int port = first.port();
        RemoteExperts experts = ready(connect(at("w1", port)));
        Rows rows = new Rows(9, 6, 5);
        float[] expected = rows.inProcess(Optional.empty());
        assertArrayEquals(expected, rows.through(experts));
        first.close();
        while (experts.unavailable().isEmpty()) {
            Thread.onSpinWait();
        }
        var dispatch = rows.dispatch(experts, LONG); // while nobody is there
        worker("w1", "*", Optional.empty(), port, 100);
        assertArrayEquals(expected, rows.combine(dispatch));
    }

    @Test
    void withoutALiveReplicaTheDispatchFailsWithinTheGrace() throws Exception {
        ExpertWorker low = worker("w1", "0-15");
        ExpertWorker high = worker("w2", "16-31");
        RemoteExperts experts =
                ready(
                        connect(
                                RowFormat.F32,
                                1 << 20,
                                Duration.ofMillis(150),
                                at("w1", low.port()),
                                at("w2", high.port())));
        high.close();
        while (experts.unavailable().isEmpty()) {
            Thread.onSpinWait();
        }
        long begin = System.nanoTime();
        Rows rows = new Rows(10, 7, 8);
        Failure failure =
                rows.dispatch(experts, LONG).combine(arena.allocate(4L * 8 * HIDDEN)).orElseThrow();
        assertEquals(ErrorCode.NO_LIVE_REPLICA, failure.code());
        assertTrue(
                failure.message()
                        .matches(
                                "no live replica: layer=7 expert=(1[6-9]|2\\d|3[01]) tried=\\[w2]"
                                        + " waited=\\d+ms"),
                failure.message());
        assertTrue(System.nanoTime() - begin < LONG.toNanos() / 2);
    }

    @Test
    void withoutAnAnswerTheDispatchFailsAtItsDeadlineAndTheLateReplyIsIgnored() throws Exception {
        TcpProxy wire = keep(new TcpProxy(worker("w1", "*").port()));
        RemoteExperts experts = ready(connect(at("w1", wire.port())));
        Rows rows = new Rows(11, 2, 6);
        wire.holdReplies();
        var dispatch = rows.dispatch(experts, Duration.ofMillis(100));
        Failure failure = dispatch.combine(arena.allocate(4L * 6 * HIDDEN)).orElseThrow();
        assertEquals(ErrorCode.DEADLINE_EXCEEDED, failure.code());
        assertTrue(failure.message().contains("waiting for=[w1]"), failure.message());
        Rows next = new Rows(12, 2, 6);
        var second = next.dispatch(experts, LONG);
        wire.releaseReplies();
        assertArrayEquals(next.inProcess(Optional.empty()), next.combine(second));
    }

    @Test
    void shedMessagesAreSentAgainUntilTheyAreTaken() throws Exception {
        ExpertWorker tight = worker("w1", "*", Optional.empty(), 0, 1);
        RemoteExperts experts = ready(connect(RowFormat.F32, 2_000, LONG, at("w1", tight.port())));
        Rows rows = new Rows(13, 1, 120);
        assertArrayEquals(rows.inProcess(Optional.empty()), rows.through(experts));
        assertTrue(experts.statistics().getFirst().failures() > 0, "nothing was shed");
    }

    @Test
    void workerOfAnotherModelIsNamedWithBothValues() throws Exception {
        ExpertWorker worker =
                worker("w1", "*", Optional.of(WeightFormat.Q8), 0, 100); // takes int8 rows
        RemoteExperts experts = connect(at("w1", worker.port()));
        String refusal = "row type: w1 has 'ROW_TYPE_Q8', attention-1 has 'ROW_TYPE_F32'";
        Failure failure;
        do {
            failure = experts.unavailable().orElseThrow();
        } while (failure.message().contains("not connected yet"));
        assertEquals(ErrorCode.NO_LIVE_REPLICA, failure.code());
        assertTrue(failure.message().contains(refusal), failure.message());
    }

    @Test
    void expertsThatNobodyHoldsAreNamed() throws Exception {
        ExpertWorker worker = worker("w1", "0-6:*;7:0-29");
        RemoteExperts experts = connect(at("w1", worker.port()));
        while (!experts.statistics().getFirst().live()) {
            Thread.onSpinWait();
        }
        assertEquals(
                "no live replica: layer=7 expert=30, 2 experts in all, workers down=[]",
                experts.awaitAvailable(Duration.ZERO).orElseThrow().message());
    }

    @Test
    void expertsMoveBetweenWorkersWhileRowsAreUnderWayAndNoBitChanges() throws Exception {
        ExpertWorker first = worker("w1", "0-15");
        ExpertWorker second = worker("w2", "16-31");
        RemoteExperts experts = ready(connect(at("w1", first.port()), at("w2", second.port())));
        Rows rows = new Rows(71, 3, 40);
        float[] expected = rows.through(experts);
        assertSomething(expected);
        try (WorkerCalls ofFirst = new WorkerCalls(first.port());
                WorkerCalls ofSecond = new WorkerCalls(second.port())) {
            CompletableFuture<Void> moves =
                    CompletableFuture.runAsync(
                            () -> {
                                for (int round = 0; round < 10; round++) {
                                    ofSecond.load("0-7");
                                    ofFirst.release("0-7");
                                    ofFirst.load("0-7");
                                    ofSecond.release("0-7");
                                }
                            });
            int dispatches = 0;
            while (!moves.isDone() || dispatches == 0) {
                assertArrayEquals(expected, rows.through(experts));
                dispatches++;
            }
            moves.get();
            ofSecond.load("8-15");
            ofFirst.release("*");
            assertEquals("none", ofFirst.describe().getHeld());
            assertEquals("8-31", ofSecond.describe().getHeld());
            ofSecond.load("0-7");
        }
        assertArrayEquals(expected, rows.through(experts));
        assertEquals(List.of(0, LAYERS * EXPERTS), counts(experts));
    }

    private static List<Integer> counts(RemoteExperts experts) {
        return experts.statistics().stream().map(WorkerStatistics::experts).toList();
    }

    /// Calls that change what a worker holds, as a coordinator makes them.
    private static final class WorkerCalls implements AutoCloseable {
        private final ManagedChannel channel;
        private final ExpertControlGrpc.ExpertControlBlockingStub stub;

        WorkerCalls(int port) {
            channel = NettyChannelBuilder.forAddress("127.0.0.1", port).usePlaintext().build();
            stub = ExpertControlGrpc.newBlockingStub(channel);
        }

        private static ChangeRequest change(String experts) {
            return ChangeRequest.newBuilder().setClusterId("test").setExperts(experts).build();
        }

        void load(String experts) {
            stub.load(change(experts)).forEachRemaining(progress -> {});
        }

        void release(String experts) {
            stub.release(change(experts));
        }

        WorkerDescription describe() {
            return stub.describe(DescribeRequest.newBuilder().setClusterId("test").build());
        }

        @Override
        public void close() {
            channel.shutdownNow();
        }
    }

    @Test
    void closeEndsACombineThatWaits() throws Exception {
        RemoteExperts experts = connect(at("w1", 1));
        Rows rows = new Rows(14, 0, 1);
        var dispatch = rows.dispatch(experts, LONG);
        experts.close();
        Failure failure = dispatch.combine(arena.allocate(4L * HIDDEN)).orElseThrow();
        assertEquals(ErrorCode.NOT_READY, failure.code());
        assertFalse(experts.statistics().getFirst().live());
    }
}
