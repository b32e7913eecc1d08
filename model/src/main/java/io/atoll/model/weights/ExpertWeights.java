package io.atoll.model.weights;

import io.atoll.model.quant.WeightMatrix;

/// One expert: `down(SiLU(gate x) * (up x))`.
///
/// @param gate `[intermediate, hidden]`
/// @param up `[intermediate, hidden]`
/// @param down `[hidden, intermediate]`
public record ExpertWeights(WeightMatrix gate, WeightMatrix up, WeightMatrix down) {}
