package io.atoll.coordinator.sequence;

import io.atoll.attention.step.OutputConstraint;
import io.atoll.attention.step.SamplingParameters;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;

/// What a client wants generated, after the chat template and the tokenizer.
///
/// @param prompt token ids, at least one; not copied, and not to be changed
/// @param checkpoints positions in the prompt, ascending, where other prompts are likely to depart from it
/// @param maxOutputTokens the answer is cut here
/// @param sampling how tokens are chosen
/// @param stopTokens tokens that end the answer; they count as output and have no text
/// @param stopStrings texts that end the answer and are no part of it
/// @param format how the text of the answer is told apart
/// @param topLogprobs if each token's logprob is wanted: how many likely tokens beside it
/// @param promptLogprobs whether the tokens of the prompt are to be reported with their logprobs, before the answer's; needs
///     `topLogprobs`
/// @param constraint what the answer has to be, if it is not free
/// @param priority lower goes first, and may have higher set aside
/// @param maxQueueTime how long the request may wait before it begins
/// @param timeout how long the request may take, waiting included
public record GenerationRequest(
        int[] prompt,
        int[] checkpoints,
        int maxOutputTokens,
        SamplingParameters sampling,
        Set<Integer> stopTokens,
        List<String> stopStrings,
        OutputFormat format,
        OptionalInt topLogprobs,
        boolean promptLogprobs,
        Optional<OutputConstraint> constraint,
        int priority,
        Duration maxQueueTime,
        Duration timeout) {
    public GenerationRequest {
        stopTokens = Set.copyOf(stopTokens);
        stopStrings = List.copyOf(stopStrings);
        if (prompt.length == 0) {
            throw new IllegalArgumentException("a prompt needs at least one token");
        }
        if (maxOutputTokens <= 0) {
            throw new IllegalArgumentException(
                    "maxOutputTokens must be positive: " + maxOutputTokens);
        }
        if (promptLogprobs && topLogprobs.isEmpty()) {
            throw new IllegalArgumentException("promptLogprobs without topLogprobs");
        }
        if (stopStrings.stream().anyMatch(String::isEmpty)) {
            throw new IllegalArgumentException("a stop string must not be empty: " + stopStrings);
        }
        if (!maxQueueTime.isPositive()) {
            throw new IllegalArgumentException("maxQueueTime must be positive: " + maxQueueTime);
        }
        if (!timeout.isPositive()) {
            throw new IllegalArgumentException("timeout must be positive: " + timeout);
        }
    }

    /// The same request, with a priority of at least `mostUrgent`.
    public GenerationRequest noMoreUrgentThan(int mostUrgent) {
        return priority >= mostUrgent
                ? this
                : new GenerationRequest(
                        prompt,
                        checkpoints,
                        maxOutputTokens,
                        sampling,
                        stopTokens,
                        stopStrings,
                        format,
                        topLogprobs,
                        promptLogprobs,
                        constraint,
                        mostUrgent,
                        maxQueueTime,
                        timeout);
    }
}
