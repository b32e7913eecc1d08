package io.atoll.attention.step;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.atoll.attention.DemoModel;
import io.atoll.attention.step.Speculation.DrafterKind;
import io.atoll.attention.step.StepOutcome.Sampled;
import io.atoll.attention.step.StepPlan.SequenceRows;
import io.atoll.kernels.KernelLibrary;
import io.atoll.kernels.KvFormat;
import io.atoll.proto.ErrorCode;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/// Speculation changes how many steps an answer takes and nothing else: tokens, logprobs and states are compared bit for bit with those
/// of a worker that never drafts.
class SpeculationTest {
    private static final int[] PROMPT = {
        2017, 801, 261, 198, 344, 287, 273, 426, 385, 1794, 30, 2018, 198, 2017, 373, 743, 198,
        2034, 198
    };
    private static final int TOKENS = 24;
    private static final int MAX_TOKENS = 128;

    private static final SamplingParameters SAMPLED =
            new SamplingParameters(0.9f, 40, 0.95f, 0f, 0f, 0f, 1f, 7, Map.of());
    private static final SamplingParameters PENALISED =
            new SamplingParameters(0.7f, 0, 1f, 0.02f, 0.5f, 0.3f, 1.2f, 11, Map.of(198, -2f));

    private static AttentionSettings settings(Speculation speculation, int checkpoints) {
        return new AttentionSettings(
                64,
                10,
                checkpoints,
                1024,
                4096,
                KvFormat.BF16,
                2,
                Optional.empty(),
                Duration.ofSeconds(10),
                Optional.empty(),
                speculation);
    }

    private static TestWorker worker(DrafterKind drafter, int checkpoints) {
        return new TestWorker(
                KernelLibrary.select(Optional.empty()),
                2,
                settings(new Speculation(drafter, 4), checkpoints),
                DemoModel.experts());
    }

    /// Guesses what a plain run said, wrong now and then.
    private static final class Oracle implements Drafter {
        private final List<Sampled> answer;
        private final Random random;
        private final double right;

        Oracle(List<Sampled> answer, Random random, double right) {
            this.answer = answer;
            this.random = random;
            this.right = right;
        }

        @Override
        public Guesses draft(List<Request> requests, long deadlineNanos) {
            return new Guesses.Found(requests.stream().map(this::draft).toArray(int[][]::new));
        }

        private int[] draft(Request request) {
            int from = request.length() - request.options().promptTokens();
            return IntStream.range(from, Math.min(answer.size(), from + request.wanted()))
                    .map(i -> answer.get(i).token())
                    .map(token -> random.nextDouble() < right ? token : (token + 1) % 2000)
                    .toArray();
        }
    }

    /// What became of a sequence.
    ///
    /// @param steps that its answer took
    private record Run(
            List<Sampled> sampled, Map<String, List<Integer>> state, int steps, int drafted) {}

    private static Run run(
            TestWorker worker, SamplingParameters sampling, int most, Random random, int tokens) {
        SequenceOptions options = new SequenceOptions(PROMPT.length, MAX_TOKENS, sampling, 3);
        assertInstanceOf(Opening.Opened.class, worker.worker.open(1, options, PROMPT));
        List<Sampled> sampled = new ArrayList<>(List.of(worker.prefill(1, PROMPT, 7)));
        int steps = 0;
        int drafted = 0;
        while (sampled.size() < tokens) {
            int room = Math.min(most, tokens - sampled.size() - 1);
            int drafts = room == 0 ? 0 : random.nextInt(room + 1);
            int position = PROMPT.length + sampled.size() - 1;
            int[] token = {sampled.getLast().token()};
            StepOutcome.Completed outcome =
                    assertInstanceOf(
                            StepOutcome.Completed.class,
                            worker.worker.step(
                                    worker.plan(
                                            new SequenceRows(1, position, token, true)
                                                    .withDrafts(drafts))));
            sampled.addAll(outcome.sampled());
            drafted += outcome.drafted().getOrDefault(1L, 0);
            steps++;
        }
        return new Run(sampled, worker.state(1), steps, drafted);
    }

    private static Run plain(SamplingParameters sampling) {
        try (TestWorker worker = worker(DrafterKind.OFF, 0)) {
            return run(worker, sampling, 0, new Random(0), TOKENS);
        }
    }

    private static void assertSame(Run expected, Run found) {
        assertEquals(expected.sampled(), found.sampled());
        expected.state().forEach((name, bits) -> assertEquals(bits, found.state().get(name), name));
        assertEquals(expected.state().keySet(), found.state().keySet());
    }

    @ParameterizedTest
    @EnumSource(
            value = DrafterKind.class,
            names = {"MTP", "NGRAM"})
    void tokensLogprobsAndStatesAreThoseOfAPlainRun(DrafterKind drafter) {
        for (SamplingParameters sampling : List.of(SamplingParameters.GREEDY, SAMPLED, PENALISED)) {
            Run plain = plain(sampling);
            try (TestWorker worker = worker(drafter, 0)) {
                Run run = run(worker, sampling, 4, new Random(5), TOKENS);
                assertSame(plain, run);
                assertTrue(drafter != DrafterKind.MTP || run.drafted() > 5, run.toString());
            }
        }
    }

    @Test
    void statesAreExactHoweverManyDraftsAreRight() {
        long seed = Long.getLong("seed", System.nanoTime());
        Run plain = plain(SAMPLED);
        for (double right : new double[] {0, 0.5, 0.8, 1}) {
            try (TestWorker worker = worker(DrafterKind.NGRAM, 0)) {
                Random random = new Random(seed);
                worker.worker.draftWith(new Oracle(plain.sampled(), random, right));
                Run run = run(worker, SAMPLED, 4, random, TOKENS);
                assertSame(plain, run);
                assertTrue(
                        right < 1 || run.steps() < TOKENS - 1,
                        "no draft was right: -Dseed=" + seed);
                assertTrue(right > 0 || run.steps() == TOKENS - 1, "a wrong draft: -Dseed=" + seed);
            } catch (AssertionError e) {
                throw new AssertionError("right=" + right + " -Dseed=" + seed, e);
            }
        }
    }

    @Test
    void theModulesGuessesAreOftenRight() {
        try (TestWorker worker = worker(DrafterKind.MTP, 0)) {
            Run run = run(worker, SamplingParameters.GREEDY, 4, new Random(1), TOKENS);
            assertTrue(run.steps() < 2 * TOKENS / 3, run.steps() + " steps");
        }
    }

    @Test
    void batchMatesDoNotShow() {
        Run plain = plain(SAMPLED);
        try (TestWorker worker = worker(DrafterKind.MTP, 0)) {
            int sequences = 3;
            List<List<Sampled>> sampled = new ArrayList<>();
            for (int i = 0; i < sequences; i++) {
                SequenceOptions options =
                        new SequenceOptions(PROMPT.length, MAX_TOKENS, SAMPLED, 3);
                assertInstanceOf(Opening.Opened.class, worker.worker.open(i, options, PROMPT));
                sampled.add(new ArrayList<>(List.of(worker.prefill(i, PROMPT, 5 + i))));
            }
            while (sampled.stream().anyMatch(each -> each.size() < TOKENS)) {
                List<SequenceRows> rows = new ArrayList<>();
                for (int i = 0; i < sequences; i++) {
                    List<Sampled> mine = sampled.get(i);
                    if (mine.size() < TOKENS) {
                        int[] token = {mine.getLast().token()};
                        rows.add(
                                new SequenceRows(i, PROMPT.length + mine.size() - 1, token, true)
                                        .withDrafts(i * 2));
                    }
                }
                for (Sampled one : worker.step(rows.toArray(SequenceRows[]::new))) {
                    sampled.get((int) one.sequenceId()).add(one);
                }
            }
            for (List<Sampled> each : sampled) {
                assertEquals(bits(plain.sampled()), bits(each.subList(0, TOKENS)));
            }
        }
    }

    private static List<String> bits(List<Sampled> sampled) {
        return sampled.stream()
                .map(one -> one.token() + " " + Float.floatToIntBits(one.logprob()))
                .toList();
    }

    @Test
    void goesOnFromACheckpointWithTheSameTokensAndTheSameGuesses() {
        try (TestWorker worker = worker(DrafterKind.MTP, 4)) {
            run(worker, SAMPLED, 4, new Random(2), TOKENS);
            int[] seen = seen(SAMPLED);
            worker.worker.close(1);
            int cached = open(worker, seen);
            assertTrue(cached > PROMPT.length + TOKENS - 6, "cached " + cached);
            int[] again = guesses(worker, seen, cached);
            assertEquals(4, again.length);
            worker.worker.close(1);
            try (TestWorker fresh = worker(DrafterKind.MTP, 0)) {
                assertEquals(0, open(fresh, seen));
                assertArrayEquals(guesses(fresh, seen, 0), again);
                assertEquals(fresh.state(1), freshState(worker, seen));
            }
        }
    }

    private static Map<String, List<Integer>> freshState(TestWorker worker, int[] tokens) {
        guesses(worker, tokens, open(worker, tokens));
        return worker.state(1);
    }

    /// The prompt, what a plain run answers, and two tokens more.
    private static int[] seen(SamplingParameters sampling) {
        return IntStream.concat(
                        IntStream.of(PROMPT),
                        IntStream.concat(
                                plain(sampling).sampled().stream().mapToInt(Sampled::token),
                                IntStream.of(283, 477)))
                .toArray();
    }

    private static int open(TestWorker worker, int[] tokens) {
        SequenceOptions options =
                new SequenceOptions(tokens.length, MAX_TOKENS, SamplingParameters.GREEDY);
        return assertInstanceOf(Opening.Opened.class, worker.worker.open(1, options, tokens))
                .cachedTokens();
    }

    /// Feeds what is not cached, and asks for guesses after one more token.
    private static int[] guesses(TestWorker worker, int[] tokens, int cached) {
        worker.step(
                new SequenceRows(
                        1, cached, Arrays.copyOfRange(tokens, cached, tokens.length), true));
        return worker.worker.guess(1, 831, 4, Duration.ofSeconds(10));
    }

    @Test
    void moreDraftsThanServedAreRefused() {
        try (TestWorker worker = worker(DrafterKind.OFF, 0)) {
            worker.open(1, 1, 8);
            StepOutcome outcome =
                    worker.worker.step(
                            worker.plan(new SequenceRows(1, 0, new int[] {5}, true).withDrafts(1)));
            assertEquals(
                    ErrorCode.INVALID_REQUEST,
                    assertInstanceOf(StepOutcome.Failed.class, outcome).failure().code());
        }
    }

    @Test
    void lookupTakesWhatFollowedTheLongestRun() {
        int[] tokens = {1, 2, 3, 9, 7, 2, 3, 8, 1, 2, 3};
        assertArrayEquals(new int[] {9, 7}, PromptLookup.draft(tokens, tokens.length, 2));
        assertArrayEquals(new int[] {9, 7, 2, 3}, PromptLookup.draft(tokens, tokens.length, 4));
        assertArrayEquals(new int[0], PromptLookup.draft(new int[] {1, 2, 3, 4}, 4, 4));
        assertArrayEquals(new int[0], PromptLookup.draft(new int[] {5}, 1, 4));
        int[] repeated = {6, 6, 6, 6, 6, 6};
        assertArrayEquals(new int[] {6}, PromptLookup.draft(repeated, 6, 4));
    }
}
