package io.atoll.coordinator.sequence;

import io.atoll.attention.step.TokenLogprob;
import java.util.List;

/// How likely a token was, and which others were likely in its place.
///
/// @param chosen the token of the answer, or of the prompt; the first token of a prompt has no logprob but NaN
/// @param top the most likely tokens, the likeliest first; as many as the request wants
public record TokenLogprobs(TokenLogprob chosen, List<TokenLogprob> top) {
    public TokenLogprobs {
        top = List.copyOf(top);
    }
}
