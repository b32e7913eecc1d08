package io.atoll.attention.step;

import java.util.Map;

/// How a token is chosen from the logits. The order is: bias, penalties, temperature, top-k, top-p, min-p, draw.
///
/// @param temperature 0 is greedy: the largest logit, the lower id on a tie
/// @param topK keep this many largest; 0 keeps all
/// @param topP keep the smallest set of most likely tokens whose probability reaches this; 1 keeps all
/// @param minP drop tokens less likely than this share of the most likely one; 0 keeps all
/// @param presencePenalty subtracted from the logit of a token that is in the output
/// @param frequencyPenalty subtracted once for each time it is in the output
/// @param repetitionPenalty divides a positive and multiplies a negative logit of a token in prompt or output; 1 is off
/// @param seed with the position, all that a draw depends on
/// @param logitBias added to the logits of these tokens
public record SamplingParameters(
        float temperature,
        int topK,
        float topP,
        float minP,
        float presencePenalty,
        float frequencyPenalty,
        float repetitionPenalty,
        long seed,
        Map<Integer, Float> logitBias) {
    public static final SamplingParameters GREEDY = new SamplingParameters(0, 0, 1, 0, 0, 0, 1, 0);

    public SamplingParameters {
        requireRange("temperature", temperature, 0, 100);
        requireRange("topP", topP, 0, 1);
        requireRange("minP", minP, 0, 1);
        requireRange("presencePenalty", presencePenalty, -100, 100);
        requireRange("frequencyPenalty", frequencyPenalty, -100, 100);
        requireRange("repetitionPenalty", repetitionPenalty, 1e-3f, 1000);
        if (topK < 0) {
            throw new IllegalArgumentException("topK must not be negative: " + topK);
        }
        logitBias = Map.copyOf(logitBias);
        logitBias.forEach((token, bias) -> requireRange("bias of token " + token, bias, -100, 100));
    }

    /// Parameters without a bias.
    public SamplingParameters(
            float temperature,
            int topK,
            float topP,
            float minP,
            float presencePenalty,
            float frequencyPenalty,
            float repetitionPenalty,
            long seed) {
        this(
                temperature,
                topK,
                topP,
                minP,
                presencePenalty,
                frequencyPenalty,
                repetitionPenalty,
                seed,
                Map.of());
    }

    /// Whether a choice depends on which tokens there have been.
    public boolean penalises() {
        return presencePenalty != 0 || frequencyPenalty != 0 || repetitionPenalty != 1;
    }

    /// Whether some logits are changed before a token is chosen.
    public boolean adjustsLogits() {
        return penalises() || !logitBias.isEmpty();
    }

    /// The same with another seed.
    public SamplingParameters withSeed(long other) {
        return new SamplingParameters(
                temperature,
                topK,
                topP,
                minP,
                presencePenalty,
                frequencyPenalty,
                repetitionPenalty,
                other,
                logitBias);
    }

    private static void requireRange(String name, float value, float low, float high) {
        if (!(value >= low && value <= high)) {
            throw new IllegalArgumentException(
                    name + " must be from " + low + " to " + high + ": " + value);
        }
    }
}
