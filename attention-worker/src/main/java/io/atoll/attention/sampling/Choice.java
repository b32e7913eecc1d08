package io.atoll.attention.sampling;

/// What came of a choice.
public sealed interface Choice {
    /// A token was chosen.
    ///
    /// @param logprob natural log of its probability under the unmodified logits
    record Chosen(int token, float logprob) implements Choice {}

    /// A logit is infinite or not a number, so there is no distribution to choose from.
    record NotFinite(int token, float logit) implements Choice {}
}
