package io.atoll.attention.step;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.atoll.attention.DemoModel;
import io.atoll.attention.InProcessExperts;
import io.atoll.attention.step.StepOutcome.Sampled;
import io.atoll.attention.step.StepPlan.SequenceRows;
import io.atoll.kernels.KernelLibrary;
import io.atoll.proto.ErrorCode;
import io.atoll.proto.Failure;
import io.grpc.InsecureChannelCredentials;
import io.grpc.InsecureServerCredentials;
import io.grpc.ManagedChannel;
import io.grpc.health.v1.HealthCheckRequest;
import io.grpc.health.v1.HealthCheckResponse.ServingStatus;
import io.grpc.health.v1.HealthGrpc;
import io.grpc.netty.NettyChannelBuilder;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(120)
class RemoteAttentionWorkerTest {
    private static final int[] PROMPT = {2017, 801, 261, 198, 344, 287, 273, 426, 385, 1712};
    private static final SamplingParameters SAMPLED =
            new SamplingParameters(
                    0.8f, 30, 0.9f, 0.01f, 0.5f, 0.2f, 1.2f, -3, Map.of(300, 9f, 198, -100f));
    private static final SequenceOptions OPTIONS =
            new SequenceOptions(PROMPT.length, 32, SAMPLED, 3);
    private static final Duration CALL_TIMEOUT = Duration.ofSeconds(20);

    private final InProcessExperts experts =
            new InProcessExperts(DemoModel.directory().textWeights());
    private final TestWorker local =
            new TestWorker(KernelLibrary.select(Optional.empty()), 2, TestWorker.SETTINGS, experts);
    private AttentionServer server;

    @BeforeEach
    void start() throws IOException {
        server = serve(local.worker, 0);
    }

    @AfterEach
    void stop() {
        server.close();
        local.close();
        experts.close();
    }

    private static AttentionServer serve(AttentionWorker worker, int port) throws IOException {
        return new AttentionServer(
                new InetSocketAddress(InetAddress.getLoopbackAddress(), port),
                InsecureServerCredentials.create(),
                "test-cluster",
                worker);
    }

    private RemoteAttentionWorker connect() throws IOException {
        return connect("test-cluster", CALL_TIMEOUT);
    }

    private RemoteAttentionWorker connect(String cluster, Duration callTimeout) throws IOException {
        return new RemoteAttentionWorker(
                InetAddress.getLoopbackAddress().getHostAddress(),
                server.port(),
                InsecureChannelCredentials.create(),
                cluster,
                "test",
                callTimeout);
    }

    private static List<Sampled> completed(StepOutcome outcome) {
        return assertInstanceOf(StepOutcome.Completed.class, outcome, outcome::toString).sampled();
    }

    private static ErrorCode failed(StepOutcome outcome) {
        return assertInstanceOf(StepOutcome.Failed.class, outcome).failure().code();
    }

    private StepPlan plan(SequenceRows... rows) {
        return local.plan(rows);
    }

    /// Prefills the prompt in two cuts and decodes a few tokens.
    private List<Sampled> generate(AttentionWorker worker, long id) {
        assertEquals(Optional.empty(), TestWorker.tryOpen(worker, id, OPTIONS));
        completed(worker.step(plan(TestWorker.piece(id, PROMPT, 0, 4))));
        List<Sampled> sampled =
                new ArrayList<>(
                        completed(
                                worker.step(plan(TestWorker.piece(id, PROMPT, 4, PROMPT.length)))));
        for (int i = 0; i < 6; i++) {
            int[] token = {sampled.getLast().token()};
            sampled.addAll(
                    completed(
                            worker.step(
                                    plan(new SequenceRows(id, PROMPT.length + i, token, true)))));
        }
        worker.close(id);
        return sampled;
    }

    @Test
    void remoteEqualsLocalToTheBit() throws IOException {
        List<Sampled> expected = generate(local.worker, 5);
        try (RemoteAttentionWorker remote = connect()) {
            assertEquals(local.worker.info(), remote.info());
            assertEquals(expected, generate(remote, 5));
            expected.forEach(sampled -> assertEquals(3, sampled.top().size()));
        }
    }

    @Test
    void aPromptIsScoredRemotelyToo() throws IOException {
        SequenceOptions scored =
                new SequenceOptions(
                        PROMPT.length,
                        PROMPT.length + 1,
                        SamplingParameters.GREEDY,
                        2,
                        Optional.empty(),
                        true);
        SequenceRows rows = TestWorker.piece(7, PROMPT, 0, PROMPT.length);
        assertEquals(new Opening.Opened(0), local.worker.open(7, scored, PROMPT));
        StepOutcome expected = local.worker.step(plan(rows));
        assertEquals(
                PROMPT.length - 1,
                assertInstanceOf(StepOutcome.Completed.class, expected).scored().size());
        local.worker.close(7);
        try (RemoteAttentionWorker remote = connect()) {
            assertEquals(new Opening.Opened(0), remote.open(7, scored, PROMPT));
            assertEquals(expected, remote.step(plan(rows)));
        }
    }

    @Test
    void remoteLoadIsThatOfTheLastReply() throws IOException {
        try (RemoteAttentionWorker remote = connect()) {
            assertEquals(local.worker.load(), remote.load());
            assertEquals(Optional.empty(), TestWorker.tryOpen(remote, 1, OPTIONS));
            completed(remote.step(plan(TestWorker.piece(1, PROMPT, 0, PROMPT.length))));
            AttentionLoad load = remote.load();
            assertEquals(local.worker.load(), load);
            assertEquals(1, load.sequences());
            assertTrue(load.stepTimes().experts() > 0, load.toString());
            remote.close(1);
            assertEquals(Optional.empty(), remote.unavailable());
            assertEquals(0, remote.load().sequences());
        }
    }

    @Test
    void twoCoordinatorsMayUseTheSameIds() throws IOException {
        try (RemoteAttentionWorker one = connect();
                RemoteAttentionWorker other = connect()) {
            assertEquals(Optional.empty(), TestWorker.tryOpen(one, 1, OPTIONS));
            assertEquals(Optional.empty(), TestWorker.tryOpen(other, 1, OPTIONS));
            SequenceRows rows = TestWorker.piece(1, PROMPT, 0, PROMPT.length);
            List<Sampled> sampled = completed(one.step(plan(rows)));
            assertEquals(sampled, completed(other.step(plan(rows))));
            one.close(1);
            int[] next = {sampled.getFirst().token()};
            completed(other.step(plan(new SequenceRows(1, PROMPT.length, next, true))));
        }
    }

    @Test
    void sequencesOfACoordinatorThatLeavesAreFreed() throws IOException {
        int slots = TestWorker.SETTINGS.maxSequences();
        RemoteAttentionWorker leaver = connect();
        for (int i = 0; i < slots; i++) {
            assertEquals(Optional.empty(), TestWorker.tryOpen(leaver, i, OPTIONS));
        }
        try (RemoteAttentionWorker stayer = connect()) {
            assertEquals(
                    ErrorCode.OVERLOADED,
                    TestWorker.tryOpen(stayer, 0, OPTIONS).map(Failure::code).orElseThrow());
            leaver.close();
            // The end of a stream is noticed in its own time.
            long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(30);
            int opened = 0;
            while (opened < slots && System.nanoTime() < deadline) {
                opened += TestWorker.tryOpen(stayer, opened, OPTIONS).isEmpty() ? 1 : 0;
            }
            assertEquals(slots, opened);
        }
    }

    @Test
    void failuresKeepTheirCodeAndMessage() throws IOException {
        try (RemoteAttentionWorker remote = connect()) {
            SequenceRows rows = TestWorker.piece(1, PROMPT, 0, PROMPT.length);
            assertEquals(ErrorCode.SEQUENCE_LOST, failed(remote.step(plan(rows))));
            assertEquals(Optional.empty(), TestWorker.tryOpen(remote, 1, OPTIONS));
            assertEquals(
                    ErrorCode.INVALID_REQUEST,
                    TestWorker.tryOpen(remote, 1, OPTIONS).map(Failure::code).orElseThrow());

            Failure cause = new Failure(ErrorCode.NO_LIVE_REPLICA, "layer=3 expert=7");
            experts.failWhen(layer -> layer == 3 ? Optional.of(cause) : Optional.empty());
            assertEquals(new StepOutcome.Failed(cause), remote.step(plan(rows)));
            experts.setUnavailable(Optional.of(cause));
            assertEquals(Optional.of(cause), remote.unavailable());
            experts.setUnavailable(Optional.empty());
            assertEquals(Optional.empty(), remote.unavailable());
        }
    }

    @Test
    void bugInAStepIsAnAnswerAndNotAHang() throws IOException {
        experts.failWhen(
                layer -> {
                    throw new IllegalStateException("a bug in layer " + layer);
                });
        try (RemoteAttentionWorker remote = connect()) {
            assertEquals(Optional.empty(), TestWorker.tryOpen(remote, 1, OPTIONS));
            SequenceRows rows = TestWorker.piece(1, PROMPT, 0, PROMPT.length);
            assertEquals(ErrorCode.INTERNAL, failed(remote.step(plan(rows))));
            assertEquals(ErrorCode.SEQUENCE_LOST, failed(remote.step(plan(rows))));
        }
    }

    @Test
    void stepPastItsTimeFailsOnTheOtherSideToo() throws IOException {
        try (RemoteAttentionWorker remote = connect()) {
            assertEquals(Optional.empty(), TestWorker.tryOpen(remote, 1, OPTIONS));
            SequenceRows rows = TestWorker.piece(1, PROMPT, 0, PROMPT.length);
            StepPlan late = new StepPlan(1, List.of(rows), Duration.ofNanos(1));
            assertEquals(ErrorCode.DEADLINE_EXCEEDED, failed(remote.step(late)));
            // It was over before it began, so nothing is lost.
            completed(remote.step(plan(rows)));
        }
    }

    @Test
    void sequenceClosedOnOneSideIsFreedOnTheOther() throws IOException {
        int slots = TestWorker.SETTINGS.maxSequences();
        try (RemoteAttentionWorker remote = connect()) {
            for (int i = 0; i < 3 * slots; i++) {
                assertEquals(
                        Optional.empty(), TestWorker.tryOpen(remote, i, OPTIONS), "sequence " + i);
                remote.close(i);
                remote.close(i);
            }
        }
    }

    @Test
    void coordinatorOfAnotherClusterIsRefused() {
        IOException refused =
                assertThrows(IOException.class, () -> connect("other-cluster", CALL_TIMEOUT));
        String message = String.valueOf(refused.getMessage());
        assertTrue(message.contains("HELLO_MISMATCH"), message);
        assertTrue(message.contains("other-cluster") && message.contains("test-cluster"), message);
    }

    @Test
    void workerThatIsNotThereIsAnErrorInTime() {
        server.close();
        assertThrows(IOException.class, () -> connect("test-cluster", Duration.ofSeconds(5)));
    }

    @Test
    void lostWorkerFailsStepsAndIsFoundAgain() throws IOException {
        try (RemoteAttentionWorker remote = connect()) {
            assertEquals(Optional.empty(), TestWorker.tryOpen(remote, 1, OPTIONS));
            int port = server.port();
            server.close();
            SequenceRows rows = TestWorker.piece(1, PROMPT, 0, PROMPT.length);
            assertEquals(ErrorCode.ATTENTION_UNAVAILABLE, failed(remote.step(plan(rows))));
            assertEquals(
                    ErrorCode.ATTENTION_UNAVAILABLE,
                    remote.unavailable().map(Failure::code).orElseThrow());

            server = serve(local.worker, port);
            assertEquals(Optional.empty(), remote.unavailable());
            assertEquals(ErrorCode.SEQUENCE_LOST, failed(remote.step(plan(rows))));
            assertEquals(TestWorker.SETTINGS.maxSequences(), local.worker.freeSequences());
            assertEquals(generate(local.worker, 1), generate(remote, 1));
        }
    }

    @Test
    void workerThatDoesNotAnswerIsGivenUp() throws IOException {
        CountDownLatch stuck = new CountDownLatch(1);
        AttentionWorker silent = new SilentWorker(local.worker.info(), stuck);
        server.close();
        server = serve(silent, 0);
        try (RemoteAttentionWorker remote = connect("test-cluster", Duration.ofSeconds(2))) {
            Failure failure = TestWorker.tryOpen(remote, 1, OPTIONS).orElseThrow();
            assertEquals(ErrorCode.ATTENTION_UNAVAILABLE, failure.code());
            assertTrue(failure.message().contains("no answer"), failure.message());
        } finally {
            stuck.countDown();
        }
    }

    /// Never gets done with opening a sequence.
    private record SilentWorker(AttentionWorkerInfo info, CountDownLatch stuck)
            implements AttentionWorker {
        @Override
        public Opening open(long sequenceId, SequenceOptions options, int[] tokens) {
            try {
                stuck.await();
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
            return new Opening.Opened(0);
        }

        @Override
        public Opening opening(long sequenceId) {
            throw new IllegalStateException("nothing is loading");
        }

        @Override
        public StepOutcome step(StepPlan plan) {
            throw new IllegalStateException("no step was expected");
        }

        @Override
        public void close(long sequenceId) {}

        @Override
        public AttentionLoad load() {
            return AttentionLoad.NONE;
        }

        @Override
        public Optional<Failure> unavailable() {
            return Optional.empty();
        }

        @Override
        public void close() {}
    }

    @Test
    void sessionsAreBounded() throws IOException {
        List<RemoteAttentionWorker> open = new ArrayList<>();
        try {
            for (int i = 0; i < 8; i++) {
                open.add(connect());
            }
            IOException refused = assertThrows(IOException.class, this::connect);
            assertTrue(
                    String.valueOf(refused.getMessage()).contains("8 sessions"),
                    refused.getMessage());
        } finally {
            open.forEach(RemoteAttentionWorker::close);
        }
    }

    @Test
    void healthServiceSaysServing() {
        ManagedChannel channel =
                NettyChannelBuilder.forAddress(
                                InetAddress.getLoopbackAddress().getHostAddress(),
                                server.port(),
                                InsecureChannelCredentials.create())
                        .build();
        try {
            assertEquals(
                    ServingStatus.SERVING,
                    HealthGrpc.newBlockingStub(channel)
                            .check(
                                    HealthCheckRequest.newBuilder()
                                            .setService("atoll.v1.Attention")
                                            .build())
                            .getStatus());
        } finally {
            channel.shutdownNow();
        }
    }
}
