package io.atoll.model.checkpoint;

/// One expert: `down(SiLU(gate x) * (up x))`.
///
/// @param gate `[intermediate, hidden]`
/// @param up `[intermediate, hidden]`
/// @param down `[hidden, intermediate]`
public record ExpertWeights(Tensor gate, Tensor up, Tensor down) {}
