package io.atoll.attention.step;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.atoll.attention.DemoModel;
import io.atoll.attention.step.StepOutcome.Sampled;
import io.atoll.attention.step.StepPlan.SequenceRows;
import io.atoll.kernels.KernelClass;
import io.atoll.kernels.KernelLibrary;
import io.atoll.kernels.Kernels;
import io.atoll.kernels.KvFormat;
import io.atoll.kernels.scalar.ScalarKernels;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import org.junit.jupiter.api.Test;

/// Same tokens whatever happens: what a sequence gets is equal to the bit, whatever shares its steps and however they are cut.
class RowsAreIndependentTest {
    private static final AttentionSettings WIDE =
            TestWorker.settings(640, 10, 0, 1024, 8192, KvFormat.BF16);
    private static final SamplingParameters SAMPLED =
            new SamplingParameters(0.9f, 40, 0.95f, 0, 0.5f, 0.1f, 1.1f, 7);

    private final long seed = Long.getLong("seed", 20_251_125L);
    private final Random random = new Random(seed);

    /// What a sequence has come to: the tokens chosen for it, with their log-probabilities, and the bits of its states.
    private record Result(List<Sampled> sampled, Map<String, List<Integer>> state) {}

    private int[] prompt(int length) {
        return random.ints(length, 0, 2000).toArray();
    }

    private static TestWorker wide(Kernels kernels, int threads) {
        return new TestWorker(kernels, threads, WIDE, DemoModel.experts());
    }

    private static TestWorker wide() {
        return wide(KernelLibrary.select(Optional.empty()), 1);
    }

    /// The sequence by itself, `rowsPerStep` rows of its prompt at a time, then some decode steps.
    private static Result alone(TestWorker test, int[] prompt, int rowsPerStep, int decodes) {
        test.open(99, prompt.length, prompt.length + decodes, SAMPLED);
        Sampled first = test.prefill(99, prompt, rowsPerStep);
        List<Sampled> sampled = test.decode(99, prompt.length, first, decodes);
        Result result = new Result(sampled, test.state(99));
        test.worker.close(99);
        return result;
    }

    private static List<Sampled> renamed(List<Sampled> sampled, long id) {
        return sampled.stream().map(s -> new Sampled(id, s.token(), s.logprob(), s.top())).toList();
    }

    private void assertSame(Result expected, Result actual, String what) {
        assertEquals(
                renamed(expected.sampled(), 0), renamed(actual.sampled(), 0), what + seedNote());
        assertEquals(expected.state(), actual.state(), what + seedNote());
    }

    private String seedNote() {
        return " (-Dseed=" + seed + ")";
    }

    @Test
    void eightSequencesTogetherGetWhatEachGetsAlone() {
        try (TestWorker test = wide()) {
            List<int[]> prompts = new ArrayList<>();
            List<Result> alone = new ArrayList<>();
            for (int i = 0; i < 8; i++) {
                prompts.add(prompt(1 + random.nextInt(40)));
                alone.add(alone(test, prompts.get(i), 64, 4));
            }

            SequenceRows[] rows = new SequenceRows[8];
            List<List<Sampled>> together = new ArrayList<>();
            for (int i = 0; i < 8; i++) {
                int[] prompt = prompts.get(i);
                test.open(i, prompt.length, prompt.length + 4, SAMPLED);
                rows[i] = TestWorker.piece(i, prompt, 0, prompt.length);
                together.add(new ArrayList<>());
            }
            for (int step = 0; step <= 4; step++) {
                List<Sampled> sampled = test.step(rows);
                for (int i = 0; i < 8; i++) {
                    together.get(i).add(sampled.get(i));
                    int[] token = {sampled.get(i).token()};
                    rows[i] = new SequenceRows(i, prompts.get(i).length + step, token, true);
                }
            }
            for (int i = 0; i < 8; i++) {
                Result result = new Result(together.get(i), test.state(i));
                assertSame(alone.get(i), result, "sequence " + i);
            }
        }
    }

    @Test
    void decodeBesidePrefillGetsWhatItGetsAlone() {
        try (TestWorker test = wide()) {
            int[] decodes = prompt(20);
            int[] prefills = prompt(90);
            Result decodedAlone = alone(test, decodes, 64, 3);
            Result prefilledAlone = alone(test, prefills, 640, 0);

            test.open(1, 20, 23, SAMPLED);
            test.open(2, 90, 90, SAMPLED);
            List<Sampled> decoded = new ArrayList<>();
            decoded.add(test.prefill(1, decodes, 7));
            List<Sampled> prefilled = List.of();
            for (int i = 0; i < 3; i++) {
                SequenceRows decode =
                        new SequenceRows(1, 20 + i, new int[] {decoded.getLast().token()}, true);
                SequenceRows prefill = TestWorker.piece(2, prefills, 30 * i, 30 * (i + 1));
                List<Sampled> sampled =
                        i % 2 == 0 ? test.step(decode, prefill) : test.step(prefill, decode);
                for (Sampled token : sampled) {
                    if (token.sequenceId() == 1) {
                        decoded.add(token);
                    } else {
                        prefilled = List.of(token);
                    }
                }
            }
            assertSame(decodedAlone, new Result(decoded, test.state(1)), "decode");
            assertSame(prefilledAlone, new Result(prefilled, test.state(2)), "prefill");
        }
    }

    @Test
    void anyCutOfAPromptGivesTheSame() {
        try (TestWorker test = wide()) {
            int[] prompt = prompt(40);
            Result whole = alone(test, prompt, 40, 2);
            for (int cut = 1; cut < 40; cut++) {
                test.open(1, 40, 42, SAMPLED);
                test.step(TestWorker.piece(1, prompt, 0, cut));
                Sampled first = test.step(TestWorker.piece(1, prompt, cut, 40)).getFirst();
                List<Sampled> sampled = test.decode(1, 40, first, 2);
                assertSame(whole, new Result(sampled, test.state(1)), "cut at " + cut);
                test.worker.close(1);
            }
            assertSame(whole, alone(test, prompt, 1, 2), "row by row");
        }
    }

    @Test
    void cutsAtBlocksAndSegmentsGiveTheSame() {
        try (TestWorker test = wide()) {
            int[] prompt = prompt(600);
            Result whole = alone(test, prompt, 600, 2);
            for (int rowsPerStep : new int[] {255, 256, 257, 33}) {
                assertSame(
                        whole, alone(test, prompt, rowsPerStep, 2), rowsPerStep + " rows a step");
            }
        }
    }

    @Test
    void threadsDoNotShow() {
        int[] prompt = prompt(300);
        Result one;
        try (TestWorker test = wide(KernelLibrary.select(Optional.empty()), 1)) {
            one = alone(test, prompt, 128, 3);
        }
        // With eight, there are more threads than key and value heads in a decode step.
        for (int threads : new int[] {2, 3, 8}) {
            try (TestWorker test = wide(KernelLibrary.select(Optional.empty()), threads)) {
                assertSame(one, alone(test, prompt, 128, 3), threads + " threads");
            }
        }
    }

    /// Several spans, so that a decode step's context is shared by threads, and a long sequence beside short ones.
    @Test
    void threadsAndCompanyDoNotShowInALongContext() {
        AttentionSettings settings = TestWorker.settings(640, 4, 0, 4096, 16_384, KvFormat.BF16);
        int[] prompt = prompt(2600);
        Result expected;
        try (TestWorker test = longContext(settings, 1)) {
            expected = alone(test, prompt, 640, 3);
        }
        for (int threads : new int[] {2, 5}) {
            try (TestWorker test = longContext(settings, threads)) {
                assertSame(expected, alone(test, prompt, 333, 3), threads + " threads");
            }
        }
        int[] other = prompt(50);
        try (TestWorker test = longContext(settings, 2)) {
            test.open(1, prompt.length, prompt.length + 3, SAMPLED);
            test.open(2, other.length, other.length + 3, SAMPLED);
            List<Sampled> decoded = new ArrayList<>();
            decoded.add(test.prefill(1, prompt, 500));
            test.step(TestWorker.piece(2, other, 0, 47));
            for (int i = 0; i < 3; i++) {
                decoded.add(
                        test.step(
                                        new SequenceRows(
                                                1,
                                                prompt.length + i,
                                                new int[] {decoded.getLast().token()},
                                                true),
                                        TestWorker.piece(2, other, 47 + i, 48 + i))
                                .getFirst());
            }
            assertSame(expected, new Result(decoded, test.state(1)), "beside a short one");
        }
    }

    private static TestWorker longContext(AttentionSettings settings, int threads) {
        Kernels kernels = KernelLibrary.select(Optional.empty());
        return new TestWorker(kernels, threads, settings, DemoModel.experts());
    }

    @Test
    void kernelClassesGiveTheSameBits() {
        int[] prompt = prompt(70);
        Result scalar;
        try (TestWorker test = wide(new ScalarKernels(), 1)) {
            scalar = alone(test, prompt, 50, 3);
        }
        for (KernelClass kernelClass : KernelLibrary.available()) {
            Kernels kernels = KernelLibrary.select(Optional.of(kernelClass.label()));
            try (TestWorker test = wide(kernels, 2)) {
                assertSame(scalar, alone(test, prompt, 50, 3), kernelClass.label());
            }
        }
    }
}
