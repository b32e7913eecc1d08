package io.atoll.attention.step;

/// A token and how likely it is.
///
/// @param logprob natural log of its probability under the unmodified logits: before bias, penalties and temperature
public record TokenLogprob(int token, float logprob) {}
