package io.atoll.coordinator.sequence;

import java.time.Duration;

/// What a complete answer cost.
///
/// @param promptTokens tokens of the prompt
/// @param cachedTokens those of them that were not computed, since a checkpoint had seen them
/// @param outputTokens tokens chosen, a stop token included
/// @param reasoningTokens those of them that were chosen while the model was reasoning
/// @param queued from arrival until the attention worker had room
/// @param timeToFirstToken from arrival until the first token was chosen
/// @param total from arrival until the last token was chosen
public record GenerationStats(
        int promptTokens,
        int cachedTokens,
        int outputTokens,
        int reasoningTokens,
        Duration queued,
        Duration timeToFirstToken,
        Duration total) {
    /// Decode speed: tokens after the first, by the time after the first. 0 for an answer of one token.
    public double tokensPerSecond() {
        double seconds = total.minus(timeToFirstToken).toNanos() / 1e9;
        return seconds > 0 ? (outputTokens - 1) / seconds : 0;
    }
}
