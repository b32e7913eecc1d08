package io.atoll.expert;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.atoll.cluster.placement.ExpertShard;
import io.atoll.model.ModelDirectory;
import io.atoll.proto.v1.ChangeRequest;
import io.atoll.proto.v1.DescribeRequest;
import io.atoll.proto.v1.ExpertControlGrpc;
import io.atoll.proto.v1.ExpertControlGrpc.ExpertControlBlockingStub;
import io.atoll.proto.v1.Hello;
import io.atoll.proto.v1.HelloReply;
import io.atoll.proto.v1.LoadProgress;
import io.atoll.proto.v1.WorkerDescription;
import io.atoll.proto.wire.FlightMessage;
import io.atoll.proto.wire.HeldUpdate;
import io.atoll.proto.wire.RowFormat;
import io.grpc.ManagedChannel;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.netty.NettyChannelBuilder;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/// What a coordinator may have a worker do, over the demo model's experts.
class ExpertControlTest {
    private static final Path MODEL = Path.of(System.getProperty("atoll.root"), "demo-model");
    private static final int HIDDEN = 256;
    private static final long EXPERT_BYTES = 49_152;
    private static final int HELD = 9 * 8;

    private ExpertWorker worker;
    private ManagedChannel channel;
    private ExpertControlBlockingStub control;
    private String digest;

    @BeforeEach
    void start() throws Exception {
        worker =
                ExpertWorker.open(
                        new ExpertWorkerSettings(
                                "w1",
                                "test",
                                MODEL,
                                ExpertShard.parse("0-7", 9, 32),
                                "127.0.0.1",
                                0,
                                Optional.empty(),
                                1,
                                Optional.empty(),
                                10,
                                1 << 20,
                                Duration.ZERO,
                                Duration.ofSeconds(1),
                                DeviceChoice.CPU,
                                MODEL,
                                (HELD + 10) * EXPERT_BYTES,
                                0));
        worker.start();
        channel = NettyChannelBuilder.forAddress("127.0.0.1", worker.port()).usePlaintext().build();
        control = ExpertControlGrpc.newBlockingStub(channel);
        try (ModelDirectory model = ModelDirectory.open(MODEL)) {
            digest = model.modelDigest();
        }
    }

    @AfterEach
    void stop() {
        channel.shutdownNow();
        worker.close();
    }

    private static ChangeRequest.Builder change(String experts) {
        return ChangeRequest.newBuilder().setClusterId("test").setEpoch(5).setExperts(experts);
    }

    private List<LoadProgress> load(String experts) {
        List<LoadProgress> all = new ArrayList<>();
        control.load(change(experts).build()).forEachRemaining(all::add);
        return all;
    }

    private WorkerDescription describe() {
        return control.describe(
                DescribeRequest.newBuilder().setClusterId("test").setEpoch(5).build());
    }

    private Hello hello(int wireVersion) {
        return Hello.newBuilder()
                .setWireVersion(wireVersion)
                .setClusterId("test")
                .setModelDigest(digest)
                .setArithmetic("cpu-1")
                .setRowType(RowFormat.F32.toProto())
                .setHiddenSize(HIDDEN)
                .setCombineFractionBits(20)
                .setSender("attention-1")
                .build();
    }

    private static HelloReply greeted(ExactClient client, Hello hello) throws Exception {
        client.sayHello(hello, RowFormat.F32);
        try (FlightMessage message = client.next()) {
            return HelloReply.parseFrom(message.metadata());
        }
    }

    @Test
    void loadAndReleaseSayWhatIsHeldThen() {
        WorkerDescription before = describe();
        assertEquals("0-7", before.getHeld());
        assertEquals(HELD * EXPERT_BYTES, before.getBytesHeld());
        assertEquals(EXPERT_BYTES, before.getExpertBytes(8));
        List<LoadProgress> progress = load("3:6-9;5:31");
        LoadProgress last = progress.getLast();
        assertEquals(3, last.getWanted(), "6 and 7 are held already");
        assertEquals("0-2:0-7;3:0-9;4:0-7;5:0-7,31;6-8:0-7", last.getDone().getHeld());
        assertEquals((HELD + 3) * EXPERT_BYTES, last.getDone().getBytesHeld());
        WorkerDescription released = control.release(change("0-8:0-31").build());
        assertEquals("none", released.getHeld());
        assertEquals(0, released.getBytesHeld());
    }

    @Test
    void loadThatNeedsTooMuchMemoryChangesNothing() {
        StatusRuntimeException e = assertThrows(StatusRuntimeException.class, () -> load("8-9"));
        assertEquals(Status.Code.RESOURCE_EXHAUSTED, e.getStatus().getCode());
        assertTrue(
                e.getStatus().getDescription().contains("may take " + (HELD + 10) * EXPERT_BYTES),
                e.getStatus().getDescription());
        assertEquals("0-7", describe().getHeld());
        assertEquals("0-6:0-7;7:0-16;8:0-7", load("7:8-16").getLast().getDone().getHeld());
    }

    @Test
    void attentionWorkerIsToldOfChanges() throws Exception {
        try (ExactClient client = new ExactClient(worker.port(), HIDDEN)) {
            assertEquals(2, greeted(client, hello(2)).getWorker().getWireVersion());
            assertEquals(1, describe().getStreams());
            load("4:20");
            try (FlightMessage message = client.next()) {
                assertTrue(HeldUpdate.is(message));
                HelloReply held = HeldUpdate.read(message);
                assertEquals(2, held.getHeld(4).getRangesCount());
                assertEquals(20, held.getHeld(4).getRanges(1).getFirst());
            }
        }
    }

    @Test
    void attentionWorkerOfVersionOneIsMadeToSayHelloAgain() throws Exception {
        try (ExactClient client = new ExactClient(worker.port(), HIDDEN)) {
            assertEquals(1, greeted(client, hello(1)).getWorker().getWireVersion());
            load("4:20");
            Status end = client.awaitEnd();
            assertEquals(Status.Code.UNAVAILABLE, end.getCode());
            assertFalse(client.hasReply());
        }
        try (ExactClient client = new ExactClient(worker.port(), HIDDEN)) {
            assertEquals(2, greeted(client, hello(1)).getHeld(4).getRangesCount());
        }
    }

    @Test
    void callsOfOthersAreRefusedNamingBothSides() {
        describe(); // epoch 5
        assertRefused(change("8").setClusterId("b"), "cluster id: w1 has 'test', the caller 'b'");
        assertRefused(change("8").setModelDigest("b"), "the caller 'b'");
        assertRefused(change("8").setEpoch(4), "epoch: w1 has heard of 5, the caller has 4");
        StatusRuntimeException e = assertThrows(StatusRuntimeException.class, () -> load("8-99"));
        assertEquals(Status.Code.INVALID_ARGUMENT, e.getStatus().getCode());
        assertEquals("0-7", describe().getHeld());
    }

    private void assertRefused(ChangeRequest.Builder request, String why) {
        StatusRuntimeException e =
                assertThrows(StatusRuntimeException.class, () -> control.release(request.build()));
        assertEquals(Status.Code.FAILED_PRECONDITION, e.getStatus().getCode());
        assertTrue(e.getStatus().getDescription().contains(why), e.getStatus().getDescription());
    }
}
