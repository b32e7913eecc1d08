package io.atoll.attention.sampling;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.atoll.attention.step.SamplingParameters;
import io.atoll.attention.step.TokenLogprob;
import io.atoll.kernels.Kernels;
import io.atoll.kernels.scalar.ScalarKernels;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class SamplerTest {
    private static final Kernels KERNELS = new ScalarKernels();

    private static final long[] ALL = {};

    private final long seed = Long.getLong("seed", 20_251_125L);
    private final Random random = new Random(seed);

    /// Parameters with only these set.
    private static SamplingParameters parameters(
            float temperature, int topK, float topP, float minP, long seed) {
        return new SamplingParameters(temperature, topK, topP, minP, 0, 0, 1, seed);
    }

    private static SamplingParameters penalties(float presence, float frequency, float repetition) {
        return new SamplingParameters(0, 0, 1, 0, presence, frequency, repetition, 0);
    }

    private static Choice choose(
            float[] logits, int vocabulary, SamplingParameters parameters, int position) {
        return choose(logits, vocabulary, parameters, new TokenCounts(parameters), position);
    }

    private static Choice choose(
            float[] logits,
            int vocabulary,
            SamplingParameters parameters,
            TokenCounts counts,
            int position) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment row = arena.allocateFrom(ValueLayout.JAVA_FLOAT, logits);
            return new Sampler(vocabulary, KERNELS)
                    .choose(row, parameters, counts, position, ALL, 0);
        }
    }

    private static int token(Choice choice) {
        return assertInstanceOf(Choice.Chosen.class, choice).token();
    }

    /// All tokens that come up in many draws.
    private static Set<Integer> drawn(float[] logits, SamplingParameters parameters, int draws) {
        Set<Integer> tokens = new TreeSet<>();
        Sampler sampler = new Sampler(logits.length, KERNELS);
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment row = arena.allocateFrom(ValueLayout.JAVA_FLOAT, logits);
            for (int position = 0; position < draws; position++) {
                tokens.add(
                        token(
                                sampler.choose(
                                        row,
                                        parameters,
                                        new TokenCounts(parameters),
                                        position,
                                        ALL,
                                        0)));
            }
        }
        return tokens;
    }

    @Test
    void greedyTakesTheLargestAndTheLowerIdOnATie() {
        float[] logits = {1, 5, -2, 5, 4.99f};
        assertEquals(1, token(choose(logits, 5, SamplingParameters.GREEDY, 0)));
    }

    @Test
    void paddingIsNeverChosen() {
        float[] logits = {1, 2, 3, 100, Float.NaN};
        assertEquals(2, token(choose(logits, 3, SamplingParameters.GREEDY, 0)));
        for (int position = 0; position < 200; position++) {
            int token = token(choose(logits, 3, parameters(50, 0, 1, 0, 1), position));
            assertTrue(token < 3, () -> "padding: " + token);
        }
    }

    @Test
    void logprobIsUnderTheUnmodifiedLogits() {
        float[] logits = {1, 2, 3, 99};
        double sum = Math.exp(1) + Math.exp(2) + Math.exp(3);
        SamplingParameters parameters = new SamplingParameters(5, 0, 1, 0, 1, 1, 2, 3);
        TokenCounts counts = new TokenCounts(parameters);
        counts.add(2, true);
        for (int position = 0; position < 50; position++) {
            Choice.Chosen chosen =
                    assertInstanceOf(
                            Choice.Chosen.class, choose(logits, 3, parameters, counts, position));
            assertEquals(Math.log(Math.exp(chosen.token() + 1) / sum), chosen.logprob(), 1e-6);
        }
    }

    private static Choice.Chosen chooseWithTop(
            float[] logits, int vocabulary, SamplingParameters parameters, int top) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment row = arena.allocateFrom(ValueLayout.JAVA_FLOAT, logits);
            return assertInstanceOf(
                    Choice.Chosen.class,
                    new Sampler(vocabulary, KERNELS)
                            .choose(row, parameters, new TokenCounts(parameters), 0, ALL, top));
        }
    }

    private static SamplingParameters biased(Map<Integer, Float> bias) {
        return new SamplingParameters(0, 0, 1, 0, 0, 0, 1, 0, bias);
    }

    @Test
    void mostLikelyTokensAreThoseASortFinds() {
        for (int round = 0; round < 50; round++) {
            float[] logits = new float[1 + random.nextInt(round % 2 == 0 ? 200 : 6000)];
            for (int i = 0; i < logits.length; i++) {
                logits[i] =
                        round % 3 == 0
                                ? random.nextInt(30) // with ties
                                : (float) (5 * random.nextGaussian());
            }
            int top = random.nextInt(21);
            List<Integer> expected =
                    IntStream.range(0, logits.length)
                            .boxed()
                            .sorted(
                                    Comparator.comparingDouble((Integer i) -> -logits[i])
                                            .thenComparing(i -> i))
                            .limit(top)
                            .toList();
            List<TokenLogprob> found =
                    chooseWithTop(logits, logits.length, parameters(1, 3, 0.5f, 0, 9), top).top();
            assertEquals(
                    expected, found.stream().map(TokenLogprob::token).toList(), "seed " + seed);
            if (top > 0) {
                assertEquals(
                        expected.getFirst(),
                        token(choose(logits, logits.length, SamplingParameters.GREEDY, 0)),
                        "seed " + seed);
            }
        }
    }

    @Test
    void likelyTokensAreUnderTheUnmodifiedLogitsAndWithoutPadding() {
        float[] logits = {1, 2, 3, 99};
        double sum = Math.exp(1) + Math.exp(2) + Math.exp(3);
        Choice.Chosen chosen = chooseWithTop(logits, 3, biased(Map.of(2, -100f)), 20);
        assertEquals(1, chosen.token());
        assertEquals(List.of(2, 1, 0), chosen.top().stream().map(TokenLogprob::token).toList());
        assertEquals(Math.log(Math.exp(3) / sum), chosen.top().getFirst().logprob(), 1e-6);
        assertEquals(Math.log(Math.exp(2) / sum), chosen.logprob(), 1e-6);
    }

    @Test
    void biasIsAddedBeforeTheChoice() {
        float[] logits = {1, 5, -2};
        assertEquals(0, token(choose(logits, 3, biased(Map.of(0, 4.5f)), 0)));
        assertEquals(2, token(choose(logits, 3, biased(Map.of(0, -100f, 1, -100f)), 0)));
        assertEquals(1, token(choose(logits, 3, biased(Map.of(7, 100f)), 0))); // no such token
    }

    @ParameterizedTest
    @ValueSource(floats = {Float.NaN, Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY})
    void oneBadLogitIsReportedInPlaceOfAToken(float bad) {
        float[] logits = {1, 2, bad, 4};
        assertEquals(new Choice.NotFinite(2, bad), choose(logits, 4, SamplingParameters.GREEDY, 0));
        assertEquals(
                new Choice.NotFinite(2, bad), choose(logits, 4, parameters(1, 3, 0.5f, 0, 1), 0));
    }

    @Test
    void topKKeepsTheLargestAndLowerIdsOnTies() {
        float[] logits = {3, 1, 2, 3, 2, 2};
        assertEquals(Set.of(0, 3), drawn(logits, parameters(10, 2, 1, 0, 5), 300));
        assertEquals(Set.of(0, 2, 3), drawn(logits, parameters(10, 3, 1, 0, 5), 300));
        assertEquals(Set.of(0, 2, 3, 4), drawn(logits, parameters(10, 4, 1, 0, 5), 300));
    }

    @Test
    void topPKeepsTheSmallestSetThatReachesIt() {
        float[] logits = logOf(0.1, 0.5, 0.15, 0.25);
        assertEquals(Set.of(1), drawn(logits, parameters(1, 0, 0, 0, 5), 300));
        assertEquals(Set.of(1), drawn(logits, parameters(1, 0, 0.49f, 0, 5), 300));
        assertEquals(Set.of(1, 3), drawn(logits, parameters(1, 0, 0.51f, 0, 5), 300));
        assertEquals(Set.of(1, 2, 3), drawn(logits, parameters(1, 0, 0.76f, 0, 5), 300));
        assertEquals(Set.of(0, 1, 2, 3), drawn(logits, parameters(1, 0, 0.91f, 0, 5), 300));
    }

    @Test
    void topPIsTakenOfWhatTopKKeeps() {
        // Of 0.5 and 0.25, the first has two thirds.
        float[] logits = logOf(0.1, 0.5, 0.15, 0.25);
        assertEquals(Set.of(1), drawn(logits, parameters(1, 2, 0.6f, 0, 5), 300));
        assertEquals(Set.of(1, 3), drawn(logits, parameters(1, 0, 0.6f, 0, 5), 300));
    }

    @Test
    void minPIsAShareOfTheMostLikely() {
        float[] logits = logOf(0.1, 0.5, 0.15, 0.25);
        assertEquals(Set.of(1, 3), drawn(logits, parameters(1, 0, 1, 0.45f, 5), 300));
        assertEquals(Set.of(1, 2, 3), drawn(logits, parameters(1, 0, 1, 0.29f, 5), 300));
    }

    @Test
    void drawsFollowTheTemperedDistribution() {
        float[] logits = logOf(0.1, 0.5, 0.15, 0.25);
        double[] tempered =
                IntStream.range(0, 4).mapToDouble(i -> Math.exp(logits[i] / 2)).toArray();
        double sum = Arrays.stream(tempered).sum();
        int[] counts = new int[4];
        SamplingParameters parameters = parameters(2, 0, 1, 0, 11);
        for (int position = 0; position < 4000; position++) {
            counts[token(choose(logits, 4, parameters, position))]++;
        }
        for (int i = 0; i < 4; i++) {
            double expected = 4000 * tempered[i] / sum;
            assertEquals(expected, counts[i], 5 * Math.sqrt(expected), "token " + i);
        }
    }

    @Test
    void drawDependsOnSeedAndPositionAlone() {
        float[] logits = gaussian(1000, 1);
        int first = token(choose(logits, 1000, parameters(1, 0, 1, 0, 1), 7));
        assertEquals(first, token(choose(logits, 1000, parameters(1, 0, 1, 0, 1), 7)));
        assertTrue(drawn(logits, parameters(1, 0, 1, 0, 1), 50).size() > 10);
        Set<Integer> bySeed = new TreeSet<>();
        for (int s = 0; s < 50; s++) {
            bySeed.add(token(choose(logits, 1000, parameters(1, 0, 1, 0, s), 7)));
        }
        assertTrue(bySeed.size() > 10, () -> "seed does not matter: " + bySeed);
    }

    private static void penalise(
            float[] logits, TokenCounts counts, SamplingParameters parameters) {
        MemorySegment memory = MemorySegment.ofArray(logits);
        counts.penalise(memory, logits.length, parameters);
    }

    @Test
    void penaltiesFollowTheirRules() {
        // Prompt: 0, 1. Output: 1, 2, 2.
        SamplingParameters all = penalties(0.5f, 0.25f, 2);
        TokenCounts counts = new TokenCounts(all);
        counts.add(0, false);
        counts.add(1, false);
        counts.add(1, true);
        counts.add(2, true);
        counts.add(2, true);
        float[] logits = {4, -1, 8, 8};
        penalise(logits, counts, all);
        assertEquals(
                List.of(2f, -2f - 0.25f - 0.5f, 4f - 0.5f - 0.5f, 8f),
                IntStream.range(0, 4).mapToObj(i -> logits[i]).toList());
    }

    @Test
    void penaltiesChangeTheChoice() {
        SamplingParameters repetition = penalties(0, 0, 2);
        TokenCounts counts = new TokenCounts(repetition);
        counts.add(0, false);
        assertEquals(1, token(choose(new float[] {3, 2}, 2, repetition, counts, 0)));
        SamplingParameters presence = penalties(2, 0, 1);
        TokenCounts promptOnly = new TokenCounts(presence);
        promptOnly.add(0, false);
        assertEquals(0, token(choose(new float[] {3, 2}, 2, presence, promptOnly, 0)));
    }

    @Test
    void countsSurviveGrowth() {
        SamplingParameters frequency = penalties(0, 1, 1);
        TokenCounts counts = new TokenCounts(frequency);
        int[] expected = new int[5000];
        for (int i = 0; i < 20_000; i++) {
            int token = random.nextInt(5000);
            expected[token]++;
            counts.add(token, true);
        }
        float[] logits = new float[5000];
        penalise(logits, counts, frequency);
        for (int i = 0; i < 5000; i++) {
            assertEquals(-expected[i], logits[i], "token " + i + " (-Dseed=" + seed + ")");
        }
    }

    @Test
    void countsCostNothingWithoutPenalties() {
        TokenCounts counts = new TokenCounts(SamplingParameters.GREEDY);
        counts.add(1, true);
        assertTrue(counts.isEmpty());
    }

    /// The cuts by bucket against the same cuts made by sorting everything.
    @Test
    void bucketCutsAgreeWithAFullSort() {
        for (int round = 0; round < 300; round++) {
            int size = 1 + random.nextInt(2000);
            // Rounded logits have many ties, a wide spread ends in the last bucket, a narrow one in
            // the first.
            float spread = List.of(0.001f, 1f, 5f, 40f).get(random.nextInt(4));
            float[] logits = gaussian(size, spread);
            if (random.nextBoolean()) {
                for (int i = 0; i < size; i++) {
                    logits[i] = Math.round(logits[i]);
                }
            }
            SamplingParameters parameters =
                    parameters(
                            0.1f + random.nextFloat(2),
                            random.nextBoolean() ? 0 : 1 + random.nextInt(size),
                            random.nextBoolean() ? 1 : random.nextFloat(),
                            random.nextBoolean() ? 0 : random.nextFloat(),
                            random.nextLong());
            int position = random.nextInt(1 << 20);
            assertEquals(
                    sorted(logits, parameters, position),
                    token(choose(logits, size, parameters, position)),
                    "round " + round + " " + parameters + " (-Dseed=" + seed + ")");
        }
    }

    private static int sorted(float[] logits, SamplingParameters parameters, int position) {
        List<Integer> ranked =
                IntStream.range(0, logits.length)
                        .boxed()
                        .sorted(
                                Comparator.comparingDouble((Integer i) -> -logits[i])
                                        .thenComparing(i -> i))
                        .toList();
        float max = logits[ranked.getFirst()];
        int k = parameters.topK() == 0 ? logits.length : parameters.topK();
        List<Integer> kept = ranked.subList(0, k);
        double[] weights =
                IntStream.range(0, logits.length)
                        .mapToDouble(i -> Math.exp((logits[i] - max) / parameters.temperature()))
                        .toArray();
        double all = kept.stream().mapToDouble(i -> weights[i]).sum();
        Set<Integer> left = new TreeSet<>();
        double reached = 0;
        for (int i : kept) {
            if (left.isEmpty() || reached < parameters.topP() * all) {
                left.add(i);
            }
            reached += weights[i];
        }
        left.removeIf(i -> weights[i] < parameters.minP());
        double sum = left.stream().mapToDouble(i -> weights[i]).sum();
        double target = Philox.uniform(parameters.seed(), position) * sum;
        double walked = 0;
        for (int i : left) {
            walked += weights[i];
            if (walked > target) {
                return i;
            }
        }
        throw new AssertionError("the walk ended early");
    }

    private float[] gaussian(int size, float spread) {
        float[] logits = new float[size];
        for (int i = 0; i < size; i++) {
            logits[i] = (float) random.nextGaussian() * spread;
        }
        return logits;
    }

    private static float[] logOf(double... probabilities) {
        float[] logits = new float[probabilities.length];
        for (int i = 0; i < logits.length; i++) {
            logits[i] = (float) Math.log(probabilities[i]);
        }
        return logits;
    }
}
