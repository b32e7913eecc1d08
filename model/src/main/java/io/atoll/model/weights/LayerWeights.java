package io.atoll.model.weights;

import io.atoll.model.checkpoint.Tensor;
import io.atoll.model.quant.WeightMatrix;

/// The dense part of a decoder layer: everything but the routed experts.
///
/// @param inputNorm `[hidden]`, zero-centred, before the mixer
/// @param mixer attention or Gated DeltaNet
/// @param postMixerNorm `[hidden]`, zero-centred, before the experts
/// @param router `[experts, hidden]`
/// @param sharedExpert the expert that every row visits
/// @param sharedExpertGate `[1, hidden]`: the sigmoid of its product with a row scales the shared expert's output
public record LayerWeights(
        Tensor inputNorm,
        MixerWeights mixer,
        Tensor postMixerNorm,
        WeightMatrix router,
        ExpertWeights sharedExpert,
        WeightMatrix sharedExpertGate) {}
