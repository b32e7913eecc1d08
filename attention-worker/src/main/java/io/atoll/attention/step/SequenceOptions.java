package io.atoll.attention.step;

import java.util.Optional;

/// What an attention worker has to know of a sequence before its first row.
///
/// @param promptTokens the first tokens that are the prompt; the penalties tell them from the output
/// @param maxTokens longest the sequence can become, prompt and output together
/// @param sampling how its tokens are chosen
/// @param topLogprobs how many of the most likely tokens to report with each chosen one
/// @param constraint what the output has to be, if it is not free
/// @param promptLogprobs whether to score the tokens of the prompt too. Its rows are then all computed, whatever checkpoints there
///     are, since those have no logits
public record SequenceOptions(
        int promptTokens,
        int maxTokens,
        SamplingParameters sampling,
        int topLogprobs,
        Optional<OutputConstraint> constraint,
        boolean promptLogprobs) {
    public static final int MAX_TOP_LOGPROBS = 20;

    public SequenceOptions {
        if (promptTokens <= 0 || maxTokens < promptTokens) {
            throw new IllegalArgumentException(
                    "need 0 < promptTokens <= maxTokens: " + promptTokens + ", " + maxTokens);
        }
        if (topLogprobs < 0 || topLogprobs > MAX_TOP_LOGPROBS) {
            throw new IllegalArgumentException(
                    "topLogprobs must be from 0 to " + MAX_TOP_LOGPROBS + ": " + topLogprobs);
        }
    }

    /// Options without scores of the prompt.
    public SequenceOptions(
            int promptTokens,
            int maxTokens,
            SamplingParameters sampling,
            int topLogprobs,
            Optional<OutputConstraint> constraint) {
        this(promptTokens, maxTokens, sampling, topLogprobs, constraint, false);
    }

    /// Options for free output.
    public SequenceOptions(
            int promptTokens, int maxTokens, SamplingParameters sampling, int topLogprobs) {
        this(promptTokens, maxTokens, sampling, topLogprobs, Optional.empty());
    }

    /// Options for free output, without likely tokens.
    public SequenceOptions(int promptTokens, int maxTokens, SamplingParameters sampling) {
        this(promptTokens, maxTokens, sampling, 0);
    }
}
