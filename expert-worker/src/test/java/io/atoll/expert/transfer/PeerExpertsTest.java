package io.atoll.expert.transfer;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.atoll.cluster.config.HostPort;
import io.atoll.cluster.placement.ExpertShard;
import io.atoll.expert.ExpertWorker;
import io.atoll.expert.ExpertWorkerSettings;
import io.atoll.expert.store.PackedExpert;
import io.atoll.expert.store.ResidentExperts;
import io.atoll.kernels.ComputePool;
import io.atoll.kernels.PackedMatrix;
import io.atoll.kernels.WeightFormat;
import io.atoll.model.ModelDirectory;
import io.atoll.proto.v1.ChangeRequest;
import io.atoll.proto.v1.ExpertControlGrpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.InsecureServerCredentials;
import io.grpc.ManagedChannel;
import io.grpc.netty.NettyChannelBuilder;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import org.apache.arrow.memory.RootAllocator;
import org.apache.arrow.vector.VarBinaryVector;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/// Experts of the demo model that go from worker to worker.
class PeerExpertsTest {
    private static final Path MODEL = Path.of(System.getProperty("atoll.root"), "demo-model");
    private static final int LAYERS = 9;
    private static final int EXPERTS = 32;

    private final Deque<AutoCloseable> opened = new ArrayDeque<>();
    private final Map<String, HostPort> addresses = new TreeMap<>();
    private Arena memory;
    private ResidentExperts expected;

    @BeforeEach
    void open() {
        memory = keep(Arena.ofShared());
        ModelDirectory model = keep(ModelDirectory.open(MODEL));
        expected =
                keep(
                        ResidentExperts.load(
                                model.textWeights(),
                                shard("0:0-3;8:0-3"),
                                Optional.empty(),
                                keep(new ComputePool(1))));
    }

    @AfterEach
    void close() throws Exception {
        while (!opened.isEmpty()) {
            opened.pop().close();
        }
    }

    private <T extends AutoCloseable> T keep(T part) {
        opened.push(part);
        return part;
    }

    private static ExpertShard shard(String text) {
        return ExpertShard.parse(text, LAYERS, EXPERTS);
    }

    private ExpertWorker worker(String name, String clusterId, String held) throws Exception {
        ExpertWorker worker =
                keep(
                        ExpertWorker.open(
                                ExpertWorkerSettings.of(
                                        name, clusterId, MODEL, shard(held), "127.0.0.1", 0)));
        worker.start();
        addresses.put(name, new HostPort("127.0.0.1", worker.port()));
        return worker;
    }

    private PeerExperts peers() {
        return keep(
                new PeerExperts(
                        "test",
                        () -> new HashMap<>(addresses),
                        InsecureChannelCredentials.create()));
    }

    private static void assertSame(PackedExpert expected, PackedExpert fetched) {
        assertSame(expected.gate(), fetched.gate());
        assertSame(expected.up(), fetched.up());
        assertSame(expected.down(), fetched.down());
    }

    private static void assertSame(PackedMatrix expected, PackedMatrix fetched) {
        assertEquals(expected.format(), fetched.format());
        assertEquals(expected.rows(), fetched.rows());
        assertEquals(expected.cols(), fetched.cols());
        assertEquals(-1, expected.data().mismatch(fetched.data()));
        assertEquals(0, fetched.data().address() % PackedMatrix.ALIGNMENT);
    }

    @Test
    void fetchedExpertsHaveTheSendersBits() throws Exception {
        worker("w1", "test", "0:0-3");
        worker("w2", "test", "8:0-3");
        PeerExperts peers = peers();
        assertEquals(
                new ModelShape(digest(), LAYERS, EXPERTS, 256, 32, false),
                peers.shape(Duration.ZERO));
        for (int layer : new int[] {0, 8}) {
            for (int expert = 0; expert < 4; expert++) {
                assertSame(expected.expert(layer, expert), peers.expert(layer, expert, memory));
            }
        }
    }

    private static String digest() {
        try (ModelDirectory model = ModelDirectory.open(MODEL)) {
            return model.modelDigest();
        }
    }

    @Test
    void anotherHolderIsAskedWhenOneFails() throws Exception {
        ExpertWorker first = worker("w1", "test", "0:0-3");
        worker("w2", "test", "0:0-3");
        PeerExperts peers = peers();
        peers.shape(Duration.ZERO);
        first.close();
        for (int expert = 0; expert < 4; expert++) {
            assertSame(expected.expert(0, expert), peers.expert(0, expert, memory));
        }
    }

    /// What they held when they were last asked is not what counts.
    @Test
    void peersAreAskedAnewForWhatNobodyHeld() throws Exception {
        worker("w1", "test", "8:0-3");
        PeerExperts peers = peers();
        peers.shape(Duration.ZERO);
        worker("w2", "test", "0:0-3");
        assertSame(expected.expert(0, 2), peers.expert(0, 2, memory));
    }

    @Test
    void expertThatNobodyHasIsATypedErrorThatNamesIt() throws Exception {
        worker("w1", "test", "0:0-3");
        worker("stranger", "other", "*");
        PeerExperts peers = peers();
        peers.shape(Duration.ZERO);
        ExpertTransferException e =
                assertThrows(ExpertTransferException.class, () -> peers.expert(3, 7, memory));
        assertTrue(e.getMessage().contains("layer=3 expert=7"), e.getMessage());
        assertTrue(e.getMessage().contains("belongs to cluster other"), e.getMessage());
    }

    @Test
    void nobodyAnswers() {
        addresses.put("w1", new HostPort("127.0.0.1", 1));
        ExpertTransferException e =
                assertThrows(ExpertTransferException.class, () -> peers().shape(Duration.ZERO));
        assertTrue(e.getMessage().contains("w1 at 127.0.0.1:1"), e.getMessage());
    }

    @Test
    void damagedPartIsNoticed() {
        try (RootAllocator allocator = new RootAllocator();
                ExpertParts part = ExpertParts.allocate(allocator)) {
            MemorySegment data = memory.allocate(4096);
            data.fill((byte) 7);
            part.set("gate", WeightFormat.BF16.name(), 16, 32, 0, data);
            assertEquals(-1, data.mismatch(part.data()));
            VarBinaryVector column = (VarBinaryVector) part.root().getVector("data");
            column.getDataBuffer().setByte(99, 8);
            ExpertTransferException e = assertThrows(ExpertTransferException.class, part::data);
            assertTrue(e.getMessage().contains("gate at 0: checksum"), e.getMessage());
        }
    }

    /// A worker that has no model's files starts with nothing, loads and starts with something, from others.
    @Test
    void workerWithoutTheModelServesWhatItFetched() throws Exception {
        worker("w1", "test", "*");
        for (String initial : List.of("none", "8:0-3")) {
            PeerExperts peers = peers();
            peers.shape(Duration.ZERO);
            try (ExpertWorker worker =
                            ExpertWorker.open(
                                    ExpertWorkerSettings.of(
                                            "w2",
                                            "test",
                                            Path.of("nowhere"),
                                            shard(initial),
                                            "127.0.0.1",
                                            0),
                                    InsecureServerCredentials.create(),
                                    Optional.of(peers));
                    PeerExperts others =
                            new PeerExperts(
                                    "test",
                                    () -> Map.of("w2", new HostPort("127.0.0.1", worker.port())),
                                    InsecureChannelCredentials.create())) {
                worker.start();
                load(worker, "0:0-3");
                others.shape(Duration.ZERO);
                assertSame(expected.expert(0, 3), others.expert(0, 3, memory));
                if (!initial.equals("none")) {
                    assertSame(expected.expert(8, 1), others.expert(8, 1, memory));
                }
            }
        }
    }

    private static void load(ExpertWorker worker, String experts) {
        ManagedChannel channel =
                NettyChannelBuilder.forAddress("127.0.0.1", worker.port()).usePlaintext().build();
        try {
            ExpertControlGrpc.newBlockingStub(channel)
                    .load(
                            ChangeRequest.newBuilder()
                                    .setClusterId("test")
                                    .setEpoch(5)
                                    .setExperts(experts)
                                    .build())
                    .forEachRemaining(_ -> {});
        } finally {
            channel.shutdownNow();
        }
    }
}
