package io.atoll.attention.sampling;

import io.atoll.attention.step.SamplingParameters;
import io.atoll.attention.step.TokenLogprob;
import io.atoll.kernels.scalar.ScalarMath;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;

/// Chooses a token from one row of logits.
///
/// The candidates go through the steps of [SamplingParameters] in its order, each a cut in the ranking "larger logit first,
/// lower id on a tie". The draw then walks the tokens that are left in ascending id until their weights reach `u` times the
/// sum, where `u` comes from [Philox]. Exponentials are the kernels' own and sums are taken in f64 in ascending order of
/// id, so the choice is the same on every machine.
///
/// A cut does not sort the vocabulary: logits are counted into buckets of equal width below the largest, and only the
/// bucket that the cut goes through is sorted. Holds scratch arrays, so each thread has its own sampler.
public final class Sampler {
    private static final int BUCKETS = 4096;

    /// 128 buckets for each unit of logit: the last one takes all tokens that are less likely than e^-32.
    private static final float BUCKETS_PER_LOGIT = 128;

    private final int vocabularySize;
    private final float[] logits;
    private final int[] ids;
    private final float[] weights;
    private final long[] ranked;
    private final int[] bucketCounts = new int[BUCKETS];
    private final double[] bucketWeights = new double[BUCKETS];

    // The candidates are ids[0..count), ascending; weights[0..count) are theirs.
    private int count;

    /// @param vocabularySize tokens that may be chosen; logits from here on are padding
    public Sampler(int vocabularySize) {
        if (vocabularySize <= 0) {
            throw new IllegalArgumentException("empty vocabulary: " + vocabularySize);
        }
        this.vocabularySize = vocabularySize;
        logits = new float[vocabularySize];
        ids = new int[vocabularySize];
        weights = new float[vocabularySize];
        ranked = new long[vocabularySize];
    }

    /// Chooses the token at `position` of a sequence.
    ///
    /// @param row f32, at least `vocabularySize` logits
    /// @param counts the sequence's tokens before `position`
    /// @param top how many of the most likely tokens to report
    public Choice choose(
            MemorySegment row,
            SamplingParameters parameters,
            TokenCounts counts,
            int position,
            int top) {
        MemorySegment.copy(row, ValueLayout.JAVA_FLOAT, 0, logits, 0, vocabularySize);
        for (int i = 0; i < vocabularySize; i++) {
            if (!(Math.abs(logits[i]) <= Float.MAX_VALUE)) {
                return new Choice.NotFinite(i, logits[i]);
            }
        }
        double logSum = logSumExp(logits[largest()]);
        List<TokenLogprob> likely = mostLikely(top, logSum);
        bias(parameters.logitBias());
        counts.penalise(logits, parameters);
        int token = parameters.temperature() == 0 ? largest() : draw(parameters, position);
        float logit = row.getAtIndex(ValueLayout.JAVA_FLOAT, token);
        return new Choice.Chosen(token, (float) (logit - logSum), likely);
    }

    /// The tokens with the largest logits, by the ranking of this class.
    private List<TokenLogprob> mostLikely(int wanted, double logSum) {
        int kept = 0; // ranked[0..kept) are the best so far, ascending keys
        for (int i = 0; wanted > 0 && i < vocabularySize; i++) {
            if (kept == wanted && logits[i] <= logits[(int) ranked[kept - 1]]) {
                continue;
            }
            int at = kept == wanted ? kept - 1 : kept++;
            long key = key(i);
            for (; at > 0 && ranked[at - 1] > key; at--) {
                ranked[at] = ranked[at - 1];
            }
            ranked[at] = key;
        }
        List<TokenLogprob> likely = new ArrayList<>(kept);
        for (int i = 0; i < kept; i++) {
            int token = (int) ranked[i];
            likely.add(new TokenLogprob(token, (float) (logits[token] - logSum)));
        }
        return likely;
    }

    private void bias(Map<Integer, Float> biases) {
        biases.forEach(
                (token, bias) -> {
                    if (token >= 0 && token < vocabularySize) {
                        logits[token] += bias;
                    }
                });
    }

    private int draw(SamplingParameters parameters, int position) {
        int best = largest();
        for (int i = 0; i < vocabularySize; i++) {
            ids[i] = i;
        }
        count = vocabularySize;
        keepTopK(parameters.topK(), logits[best]);
        weigh(logits[best], parameters.temperature());
        keepTopP(parameters.topP(), logits[best], parameters.temperature());
        keepMinP(parameters.minP());

        double sum = 0;
        for (int i = 0; i < count; i++) {
            sum += weights[i];
        }
        double target = Philox.uniform(parameters.seed(), position) * sum;
        double walked = 0;
        int chosen = best;
        for (int i = 0; i < count && walked <= target; i++) {
            walked += weights[i];
            // A weight that has underflowed is never chosen, even where the target is 0.
            chosen = weights[i] > 0 ? ids[i] : chosen;
        }
        return chosen;
    }

    /// Id of the largest logit, the lowest of equals.
    private int largest() {
        int best = 0;
        for (int i = 1; i < vocabularySize; i++) {
            best = logits[i] > logits[best] ? i : best;
        }
        return best;
    }

    private double logSumExp(float max) {
        double sum = 0;
        for (int i = 0; i < vocabularySize; i++) {
            sum += ScalarMath.exp(logits[i] - max);
        }
        return max + StrictMath.log(sum);
    }

    /// Weights of the candidates relative to the most likely one, whose weight is 1.
    private void weigh(float max, float temperature) {
        for (int i = 0; i < count; i++) {
            weights[i] = ScalarMath.exp((logits[ids[i]] - max) / temperature);
        }
    }

    private void keepTopK(int k, float max) {
        if (k == 0 || k >= count) {
            return;
        }
        Arrays.fill(bucketCounts, 0);
        for (int i = 0; i < count; i++) {
            bucketCounts[bucket(logits[ids[i]], max)]++;
        }
        int cut = 0;
        int before = 0;
        while (before + bucketCounts[cut] < k) {
            before += bucketCounts[cut++];
        }
        rank(cut, max);
        keep(cut, ranked[k - before - 1], max);
    }

    private void keepTopP(float p, float max, float temperature) {
        if (p >= 1) {
            return;
        }
        Arrays.fill(bucketWeights, 0);
        double sum = 0;
        for (int i = 0; i < count; i++) {
            sum += weights[i];
            bucketWeights[bucket(logits[ids[i]], max)] += weights[i];
        }
        double wanted = p * sum;
        int cut = 0;
        double before = 0;
        while (cut < BUCKETS - 1 && before + bucketWeights[cut] < wanted) {
            before += bucketWeights[cut++];
        }
        // The cut bucket is not empty unless rounding has carried the walk past the last candidate;
        // then all are kept.
        int size = rank(cut, max);
        for (int i = 0; i < size; i++) {
            before += ScalarMath.exp((logits[(int) ranked[i]] - max) / temperature);
            if (before >= wanted) {
                keep(cut, ranked[i], max);
                return;
            }
        }
    }

    private void keepMinP(float minP) {
        int kept = 0;
        for (int i = 0; i < count; i++) {
            if (weights[i] >= minP) {
                ids[kept] = ids[i];
                weights[kept++] = weights[i];
            }
        }
        count = kept;
    }

    /// Monotone in the logit, so buckets follow the ranking.
    private static int bucket(float logit, float max) {
        return (int) Math.min(BUCKETS - 1, (max - logit) * BUCKETS_PER_LOGIT);
    }

    /// Sorts the candidates of one bucket by rank into the start of [#ranked] and returns how many there are.
    private int rank(int bucket, float max) {
        int size = 0;
        for (int i = 0; i < count; i++) {
            if (bucket(logits[ids[i]], max) == bucket) {
                ranked[size++] = key(ids[i]);
            }
        }
        Arrays.sort(ranked, 0, size);
        return size;
    }

    /// Ascending keys are descending logits and, among equals, ascending ids.
    private long key(int id) {
        int bits = Float.floatToIntBits(logits[id] + 0f); // -0 counts as 0
        int ascending = bits ^ ((bits >> 31) & Integer.MAX_VALUE);
        return ((long) ~ascending << 32) | id;
    }

    /// Keeps the candidates of the buckets before `cut`, and those of `cut` up to `lastKey`.
    private void keep(int cut, long lastKey, float max) {
        int kept = 0;
        for (int i = 0; i < count; i++) {
            int bucket = bucket(logits[ids[i]], max);
            if (bucket < cut || (bucket == cut && key(ids[i]) <= lastKey)) {
                ids[kept] = ids[i];
                weights[kept++] = weights[i];
            }
        }
        count = kept;
    }
}
