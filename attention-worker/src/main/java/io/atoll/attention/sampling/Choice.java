package io.atoll.attention.sampling;

import io.atoll.attention.step.TokenLogprob;
import java.util.List;

/// What came of a choice.
public sealed interface Choice {
    /// A token was chosen.
    ///
    /// @param logprob natural log of its probability under the unmodified logits
    /// @param top the most likely tokens, the likeliest first
    record Chosen(int token, float logprob, List<TokenLogprob> top) implements Choice {}

    /// The constraint of the output allows no token.
    record Impossible(String reason) implements Choice {}

    /// A logit is infinite or not a number, so there is no distribution to choose from.
    record NotFinite(int token, float logit) implements Choice {}
}
