package io.atoll.attention.sampling;

import io.atoll.attention.step.SamplingParameters;
import io.atoll.attention.step.TokenLogprob;
import io.atoll.kernels.Kernels;
import io.atoll.kernels.scalar.ScalarMath;
import java.lang.foreign.Arena;
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
/// bucket that the cut goes through is sorted. Nor does it look at each logit where few are wanted: at least as many as there are
/// maxima of [Kernels#laneMaxima] above a bucket's edge are above it, so the others can be left out.
///
/// Holds scratch memory, so each thread has its own sampler.
public final class Sampler {
    private static final int BUCKETS = 4096;

    /// 128 buckets for each unit of logit: the last one takes all tokens that are less likely than e^-32.
    private static final float BUCKETS_PER_LOGIT = 128;

    private static final int LANES = 16;

    private final int vocabularySize;
    private final Kernels kernels;
    private final MemorySegment adjusted; // f32 [vocabularySize]: logits after bias and penalties
    private final MemorySegment maxima; // of the logits
    private final int[] ids;
    private final float[] weights;
    private final long[] ranked;
    private final int[] bucketCounts = new int[BUCKETS];
    private final double[] bucketWeights = new double[BUCKETS];

    private MemorySegment logits; // of this choice

    // The candidates are ids[0..count), ascending; weights[0..count) are theirs.
    private int count;

    /// @param vocabularySize tokens that may be chosen; logits from here on are padding
    public Sampler(int vocabularySize, Kernels kernels) {
        if (vocabularySize <= 0) {
            throw new IllegalArgumentException("empty vocabulary: " + vocabularySize);
        }
        this.vocabularySize = vocabularySize;
        this.kernels = kernels;
        Arena arena = Arena.ofAuto();
        adjusted = arena.allocate(ValueLayout.JAVA_FLOAT, vocabularySize);
        maxima = arena.allocate(ValueLayout.JAVA_FLOAT, Kernels.maxima(vocabularySize));
        logits = adjusted;
        ids = new int[vocabularySize];
        weights = new float[vocabularySize];
        ranked = new long[vocabularySize];
    }

    /// Chooses the token at `position` of a sequence.
    ///
    /// @param row f32, at least `vocabularySize` logits
    /// @param counts the sequence's tokens before `position`
    /// @param allowed tokens that may be chosen, at least one: bit `id % 64` of word `id / 64`. Empty if all may
    /// @param top how many of the most likely tokens to report
    public Choice choose(
            MemorySegment row,
            SamplingParameters parameters,
            TokenCounts counts,
            int position,
            long[] allowed,
            int top) {
        logits = row;
        if (!kernels.laneMaxima(row, vocabularySize, maxima)) {
            return notFinite();
        }
        float largest = largestMaximum();
        double logSum = largest + StrictMath.log(kernels.sumExp(row, vocabularySize, largest));
        List<TokenLogprob> likely = mostLikely(top, largest, logSum);
        if (parameters.adjustsLogits() || allowed.length > 0) {
            MemorySegment.copy(row, 0, adjusted, 0, adjusted.byteSize());
            logits = adjusted;
            bias(parameters.logitBias());
            counts.penalise(adjusted, vocabularySize, parameters);
            if (allowed.length > 0) {
                forbidAllBut(allowed);
            }
            kernels.laneMaxima(adjusted, vocabularySize, maxima);
        }
        int token = parameters.temperature() == 0 ? largest() : draw(parameters, position);
        float logit = row.getAtIndex(ValueLayout.JAVA_FLOAT, token);
        return new Choice.Chosen(token, (float) (logit - logSum), likely);
    }

    /// Says how likely a token was that is known already.
    ///
    /// @param row f32, at least `vocabularySize` logits
    /// @param top how many of the most likely tokens to report
    /// @return [Choice.Chosen] or [Choice.NotFinite]
    public Choice score(MemorySegment row, int token, int top) {
        logits = row;
        if (!kernels.laneMaxima(row, vocabularySize, maxima)) {
            return notFinite();
        }
        float largest = largestMaximum();
        double logSum = largest + StrictMath.log(kernels.sumExp(row, vocabularySize, largest));
        List<TokenLogprob> likely = mostLikely(top, largest, logSum);
        return new Choice.Chosen(token, (float) (logit(token) - logSum), likely);
    }

    private Choice notFinite() {
        int token = 0;
        while (token < vocabularySize - 1 && Math.abs(logit(token)) <= Float.MAX_VALUE) {
            token++;
        }
        return new Choice.NotFinite(token, logit(token));
    }

    private float logit(int token) {
        return logits.getAtIndex(ValueLayout.JAVA_FLOAT, token);
    }

    private float maximum(int index) {
        return maxima.getAtIndex(ValueLayout.JAVA_FLOAT, index);
    }

    private float largestMaximum() {
        float largest = maximum(0);
        for (int i = 1; i < Kernels.maxima(vocabularySize); i++) {
            largest = Math.max(largest, maximum(i));
        }
        return largest;
    }

    /// The tokens with the largest logits, by the ranking of this class.
    private List<TokenLogprob> mostLikely(int wanted, float max, double logSum) {
        if (wanted == 0) {
            return List.of();
        }
        gather(wanted, max);
        for (int i = 0; i < count; i++) {
            ranked[i] = key(ids[i]);
        }
        Arrays.sort(ranked, 0, count);
        List<TokenLogprob> likely = new ArrayList<>(wanted);
        for (int i = 0; i < Math.min(wanted, count); i++) {
            int token = (int) ranked[i];
            likely.add(new TokenLogprob(token, (float) (logit(token) - logSum)));
        }
        return likely;
    }

    /// Makes candidates of some tokens, the `wanted` with the largest logits among them.
    private void gather(int wanted, float max) {
        int groups = Kernels.maxima(vocabularySize);
        int cut = BUCKETS - 1;
        if (wanted < groups) {
            Arrays.fill(bucketCounts, 0);
            for (int i = 0; i < groups; i++) {
                bucketCounts[bucket(maximum(i), max)]++;
            }
            cut = 0;
            for (int above = bucketCounts[0]; above < wanted; above += bucketCounts[cut]) {
                cut++;
            }
        }
        count = 0;
        for (int i = 0; i < groups; i++) {
            if (bucket(maximum(i), max) > cut) {
                continue;
            }
            int end = Math.min(vocabularySize, (i / LANES + 1) * Kernels.MAXIMA_RUN);
            for (int id = i / LANES * Kernels.MAXIMA_RUN + i % LANES; id < end; id += LANES) {
                if (bucket(logit(id), max) <= cut) {
                    ids[count++] = id;
                }
            }
        }
        Arrays.sort(ids, 0, count);
    }

    private void forbidAllBut(long[] allowed) {
        for (int id = 0; id < vocabularySize; id++) {
            if ((allowed[id >> 6] >> id & 1) == 0) {
                logits.setAtIndex(ValueLayout.JAVA_FLOAT, id, Float.NEGATIVE_INFINITY);
            }
        }
    }

    private void bias(Map<Integer, Float> biases) {
        biases.forEach(
                (token, bias) -> {
                    if (token >= 0 && token < vocabularySize) {
                        logits.setAtIndex(ValueLayout.JAVA_FLOAT, token, logit(token) + bias);
                    }
                });
    }

    private int draw(SamplingParameters parameters, int position) {
        float max = largestMaximum();
        if (parameters.topK() > 0) {
            gather(parameters.topK(), max);
        } else {
            all();
        }
        keepTopK(parameters.topK(), max);
        weigh(max, parameters.temperature());
        keepTopP(parameters.topP(), max, parameters.temperature());
        keepMinP(parameters.minP());

        double sum = 0;
        for (int i = 0; i < count; i++) {
            sum += weights[i];
        }
        double target = Philox.uniform(parameters.seed(), position) * sum;
        double walked = 0;
        int chosen = ids[0];
        for (int i = 0; i < count && walked <= target; i++) {
            walked += weights[i];
            // A weight that has underflowed is never chosen, even where the target is 0.
            chosen = weights[i] > 0 ? ids[i] : chosen;
        }
        return chosen;
    }

    private void all() {
        for (int i = 0; i < vocabularySize; i++) {
            ids[i] = i;
        }
        count = vocabularySize;
    }

    /// Id of the largest logit, the lowest of equals.
    private int largest() {
        float max = largestMaximum();
        int best = vocabularySize;
        for (int i = 0; i < Kernels.maxima(vocabularySize); i++) {
            if (maximum(i) == max) {
                int id = i / LANES * Kernels.MAXIMA_RUN + i % LANES;
                while (logit(id) != max) {
                    id += LANES;
                }
                best = Math.min(best, id);
            }
        }
        return best;
    }

    /// Weights of the candidates relative to the most likely one, whose weight is 1.
    private void weigh(float max, float temperature) {
        for (int i = 0; i < count; i++) {
            weights[i] = ScalarMath.exp((logit(ids[i]) - max) / temperature);
        }
    }

    private void keepTopK(int k, float max) {
        if (k == 0 || k >= count) {
            return;
        }
        Arrays.fill(bucketCounts, 0);
        for (int i = 0; i < count; i++) {
            bucketCounts[bucket(logit(ids[i]), max)]++;
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
            bucketWeights[bucket(logit(ids[i]), max)] += weights[i];
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
            before += ScalarMath.exp((logit((int) ranked[i]) - max) / temperature);
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
            if (bucket(logit(ids[i]), max) == bucket) {
                ranked[size++] = key(ids[i]);
            }
        }
        Arrays.sort(ranked, 0, size);
        return size;
    }

    /// Ascending keys are descending logits and, among equals, ascending ids.
    private long key(int id) {
        int bits = Float.floatToIntBits(logit(id) + 0f); // -0 counts as 0
        int ascending = bits ^ ((bits >> 31) & Integer.MAX_VALUE);
        return ((long) ~ascending << 32) | id;
    }

    /// Keeps the candidates of the buckets before `cut`, and those of `cut` up to `lastKey`.
    private void keep(int cut, long lastKey, float max) {
        int kept = 0;
        for (int i = 0; i < count; i++) {
            int bucket = bucket(logit(ids[i]), max);
            if (bucket < cut || (bucket == cut && key(ids[i]) <= lastKey)) {
                ids[kept] = ids[i];
                weights[kept++] = weights[i];
            }
        }
        count = kept;
    }
}
