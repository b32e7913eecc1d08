package io.atoll.attention.step;

/// What an attention worker has to know of a sequence before its first row.
///
/// @param promptTokens the first tokens that are the prompt; the penalties tell them from the output
/// @param maxTokens longest the sequence can become, prompt and output together
/// @param sampling how its tokens are chosen
public record SequenceOptions(int promptTokens, int maxTokens, SamplingParameters sampling) {
    public SequenceOptions {
        if (promptTokens <= 0 || maxTokens < promptTokens) {
            throw new IllegalArgumentException(
                    "need 0 < promptTokens <= maxTokens: " + promptTokens + ", " + maxTokens);
        }
    }
}
