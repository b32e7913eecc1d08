package io.atoll.attention.step;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.atoll.attention.DemoModel;
import io.atoll.attention.state.CheckpointDisk;
import io.atoll.attention.state.CheckpointDiskException;
import io.atoll.kernels.KernelLibrary;
import io.atoll.kernels.KvFormat;
import io.grpc.InsecureChannelCredentials;
import io.grpc.InsecureServerCredentials;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/// Checkpoints that went to disk: sequences that begin at them have the same bits, and damage costs only time.
class CheckpointDiskTest {
    private static final int TOKENS = 100;
    private static final int CHECKPOINT = 70; // not a multiple of a block
    private static final long MUCH = 1L << 30;

    @TempDir Path directory;

    private static int[] prompt(int seed) {
        return new Random(seed).ints(TOKENS, 0, 2000).toArray();
    }

    private TestWorker worker(int checkpoints, KvFormat format, long maxBytes, String variant) {
        return worker(
                checkpoints, format, Optional.of(new CheckpointDisk(directory, maxBytes, variant)));
    }

    private static TestWorker worker(
            int checkpoints, KvFormat format, Optional<CheckpointDisk> disk) {
        return worker(TestWorker.settings(128, 3, checkpoints, 256, 1024, format, disk));
    }

    private static TestWorker worker(AttentionSettings settings) {
        return new TestWorker(
                KernelLibrary.select(Optional.empty()), 1, settings, DemoModel.experts());
    }

    /// One that guesses with the model's prediction module.
    private static TestWorker predicting(int checkpoints, Optional<CheckpointDisk> disk) {
        return worker(
                new AttentionSettings(
                        128,
                        3,
                        checkpoints,
                        256,
                        1024,
                        KvFormat.F32,
                        1,
                        Optional.empty(),
                        Duration.ofSeconds(10),
                        disk,
                        Speculation.DEFAULT));
    }

    private TestWorker worker() {
        return worker(2, KvFormat.F32, MUCH, "");
    }

    private static Opening open(AttentionWorker worker, long id, int[] tokens) {
        SequenceOptions options =
                new SequenceOptions(tokens.length, tokens.length + 20, SamplingParameters.GREEDY);
        return worker.open(id, options, tokens);
    }

    /// Tokens that no step has to compute.
    private static int opened(TestWorker test, long id, int[] tokens) throws InterruptedException {
        Opening opening = open(test.worker, id, tokens);
        while (opening instanceof Opening.Loading) {
            Thread.sleep(1);
            opening = test.worker.opening(id);
        }
        return assertInstanceOf(Opening.Opened.class, opening).cachedTokens();
    }

    private record Run(List<StepOutcome.Sampled> sampled, Map<String, List<Integer>> state) {}

    private static Run run(TestWorker test, long id, int[] prompt, int from) {
        StepOutcome.Sampled first =
                test.step(TestWorker.piece(id, prompt, from, prompt.length)).getFirst();
        return new Run(test.decode(id, prompt.length, first, 4), test.state(id));
    }

    private static Run undisturbed(int[] prompt) throws InterruptedException {
        try (TestWorker test = worker(0, KvFormat.F32, Optional.empty())) {
            assertEquals(0, opened(test, 9, prompt));
            return run(test, 9, prompt, 0);
        }
    }

    /// Makes a checkpoint of each prompt after its 70th token. Memory holds two.
    private void fill(TestWorker test, int prompts) throws Exception {
        for (int i = 0; i < prompts; i++) {
            int[] prompt = prompt(i);
            assertEquals(0, opened(test, i, prompt));
            test.step(TestWorker.piece(i, Arrays.copyOf(prompt, CHECKPOINT + 1), 0, CHECKPOINT));
            test.worker.close(i);
            test.worker.awaitStored();
        }
    }

    private Stream<String> names() throws IOException {
        try (Stream<Path> files = Files.list(directory)) {
            return files.map(file -> file.getFileName().toString()).toList().stream();
        }
    }

    private List<Path> checkpoints() throws IOException {
        return names().filter(name -> name.endsWith(".checkpoint"))
                .map(directory::resolve)
                .toList();
    }

    @Test
    void checkpointFromDiskGivesTheSameBits() throws Exception {
        try (TestWorker test = worker()) {
            fill(test, 6);
            assertTrue(test.worker.load().storedCheckpoints() >= 3);
            int[] first = prompt(0);
            assertEquals(CHECKPOINT, opened(test, 9, first));
            assertEquals(undisturbed(first), run(test, 9, first, CHECKPOINT));
            assertEquals(1, test.worker.load().checkpointLoads());
        }
    }

    @Test
    void coordinatorElsewhereWaitsForACheckpointToo() throws Exception {
        try (TestWorker test = worker();
                AttentionServer server =
                        new AttentionServer(
                                new InetSocketAddress(InetAddress.getLoopbackAddress(), 0),
                                InsecureServerCredentials.create(),
                                "test",
                                test.worker)) {
            fill(test, 6);
            try (RemoteAttentionWorker remote =
                    new RemoteAttentionWorker(
                            InetAddress.getLoopbackAddress().getHostAddress(),
                            server.port(),
                            InsecureChannelCredentials.create(),
                            "test",
                            "test",
                            TestWorker.TIMEOUT)) {
                int[] first = prompt(0);
                Opening opening = open(remote, 1, first);
                while (opening instanceof Opening.Loading) {
                    opening = remote.opening(1);
                }
                assertEquals(new Opening.Opened(CHECKPOINT), opening);
                assertInstanceOf(Opening.Refused.class, remote.opening(2));
                StepPlan rest = test.plan(TestWorker.piece(1, first, CHECKPOINT, TOKENS));
                assertInstanceOf(StepOutcome.Completed.class, remote.step(rest));
                assertEquals(1, remote.load().checkpointLoads());
            }
        }
    }

    @Test
    void checkpointsOutliveTheirProcess() throws Exception {
        try (TestWorker test = worker()) {
            fill(test, 6);
        }
        int[] first = prompt(0);
        try (TestWorker test = worker()) {
            assertEquals(CHECKPOINT, opened(test, 9, first));
            assertEquals(undisturbed(first), run(test, 9, first, CHECKPOINT));
        }
    }

    @Test
    void whatThePredictionModuleHasSeenComesFromDiskToo() throws Exception {
        int[] first = prompt(0);
        int[] guessed;
        try (TestWorker test = predicting(0, Optional.empty())) {
            assertEquals(0, opened(test, 9, first));
            run(test, 9, first, 0);
            guessed = test.worker.guess(9, first[0], 3, TestWorker.TIMEOUT);
        }
        Optional<CheckpointDisk> disk = Optional.of(new CheckpointDisk(directory, MUCH, ""));
        try (TestWorker test = predicting(2, disk)) {
            fill(test, 6);
            assertEquals(CHECKPOINT, opened(test, 9, first));
            assertEquals(undisturbed(first), run(test, 9, first, CHECKPOINT));
            assertArrayEquals(guessed, test.worker.guess(9, first[0], 3, TestWorker.TIMEOUT));
        }
        try (TestWorker test = worker()) { // has no room for the module's part
            assertEquals(0, opened(test, 9, first));
        }
    }

    @Test
    void checkpointsOfOtherStatesAreNotTaken() throws Exception {
        try (TestWorker test = worker()) {
            fill(test, 6);
        }
        int stored = checkpoints().size();
        try (TestWorker test = worker(2, KvFormat.BF16, MUCH, "")) {
            assertEquals(0, opened(test, 9, prompt(0)));
        }
        try (TestWorker test = worker(2, KvFormat.F32, MUCH, "q8")) {
            assertEquals(0, opened(test, 9, prompt(0)));
        }
        assertEquals(stored, checkpoints().size());
    }

    /// What may happen to a file.
    enum Damage {
        HEADER(20),
        TOKEN(80),
        STATE(5000),
        LAST_BYTE(-1),
        TORN(0),
        GONE(0);

        private final int at;

        Damage(int at) {
            this.at = at;
        }

        void harm(Path file) throws IOException {
            if (this == GONE) {
                Files.delete(file);
                return;
            }
            byte[] bytes = Files.readAllBytes(file);
            if (this == TORN) {
                bytes = Arrays.copyOf(bytes, bytes.length / 2);
            } else {
                bytes[at < 0 ? bytes.length + at : at] ^= 4;
            }
            Files.write(file, bytes);
        }
    }

    @ParameterizedTest
    @EnumSource
    void damageIsNoticedWhenACheckpointIsRead(Damage damage) throws Exception {
        try (TestWorker test = worker()) {
            fill(test, 6);
            for (Path file : checkpoints()) {
                damage.harm(file);
            }
            int[] first = prompt(0);
            assertEquals(0, opened(test, 9, first));
            assertEquals(undisturbed(first), run(test, 9, first, 0));
        }
    }

    @ParameterizedTest
    @EnumSource
    void damageIsNoticedAfterARestart(Damage damage) throws Exception {
        try (TestWorker test = worker()) {
            fill(test, 6);
        }
        for (Path file : checkpoints()) {
            damage.harm(file);
        }
        Files.write(directory.resolve("half.checkpoint.unfinished"), new byte[10]);
        try (TestWorker test = worker()) {
            assertEquals(0, names().filter(name -> name.endsWith(".unfinished")).count());
            int[] first = prompt(0);
            assertEquals(0, opened(test, 9, first));
            assertEquals(undisturbed(first), run(test, 9, first, 0));
        }
    }

    @Test
    void filesStayWithinTheirBound() throws Exception {
        long one;
        try (TestWorker test = worker()) {
            fill(test, 4);
            one = Files.size(checkpoints().getFirst());
        }
        try (TestWorker test = worker(2, KvFormat.F32, 2 * one, "")) {
            assertEquals(2, checkpoints().size());
            for (int i = 10; i < 16; i++) {
                int[] prompt = prompt(i);
                open(test.worker, i, prompt);
                test.step(TestWorker.piece(i, Arrays.copyOf(prompt, 71), 0, CHECKPOINT));
                test.worker.close(i);
                test.worker.awaitStored();
                assertTrue(checkpoints().size() <= 2, () -> "after " + prompt.length);
            }
        }
    }

    @Test
    void diskThatFailsCostsNothingButItsCheckpoints() throws Exception {
        try (TestWorker test = worker()) {
            Files.delete(directory.resolve("lock"));
            Files.delete(directory);
            for (int i = 0; i < 6; i++) {
                int[] prompt = prompt(i);
                assertEquals(0, opened(test, i, prompt));
                test.step(TestWorker.piece(i, prompt, 0, TOKENS));
                test.worker.close(i);
            }
            assertEquals(0, test.worker.load().storedCheckpoints());
        }
    }

    @Test
    void sequenceThatEndsWhileItLoadsGivesItsMemoryBack() throws Exception {
        try (TestWorker test = worker()) {
            fill(test, 6);
            int[] first = prompt(0);
            for (int i = 10; i < 60; i++) {
                assertTrue(!(open(test.worker, i, first) instanceof Opening.Refused));
                test.worker.close(i);
            }
            List<Integer> ids = IntStream.range(100, 103).boxed().toList();
            for (int id : ids) {
                assertEquals(CHECKPOINT, opened(test, id, first));
            }
            assertEquals(0, test.worker.freeSequences());
        }
    }

    @Test
    void stepWaitsForTheCheckpoint() throws Exception {
        try (TestWorker test = worker()) {
            fill(test, 6);
            int[] first = prompt(0);
            if (open(test.worker, 9, first) instanceof Opening.Loading) {
                StepOutcome outcome = test.worker.step(test.plan(TestWorker.piece(9, first, 0, 9)));
                assertInstanceOf(StepOutcome.Failed.class, outcome);
            }
            while (test.worker.opening(9) instanceof Opening.Loading) {
                Thread.sleep(1);
            }
            assertEquals(new Opening.Opened(CHECKPOINT), test.worker.opening(9));
            assertEquals(undisturbed(first), run(test, 9, first, CHECKPOINT));
        }
    }

    @Test
    void twoWorkersDoNotShareADirectory() {
        try (TestWorker _ = worker()) {
            String message = assertThrows(CheckpointDiskException.class, this::worker).getMessage();
            assertTrue(message.contains(directory.toString()), message);
        }
    }
}
