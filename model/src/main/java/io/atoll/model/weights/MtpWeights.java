package io.atoll.model.weights;

import io.atoll.model.checkpoint.Tensor;
import io.atoll.model.quant.WeightMatrix;
import java.util.List;

/// The multi-token prediction module, without its routed experts.
///
/// It shares the embedding and the LM head with the model.
///
/// @param projection `[hidden, 2 * hidden]`, for the embedding first and the hidden state second
/// @param embeddingNorm `[hidden]`, zero-centred
/// @param hiddenNorm `[hidden]`, zero-centred
/// @param layers its decoder layers, all of full attention
/// @param finalNorm `[hidden]`, zero-centred
public record MtpWeights(
        WeightMatrix projection,
        Tensor embeddingNorm,
        Tensor hiddenNorm,
        List<LayerWeights> layers,
        Tensor finalNorm) {
    public MtpWeights {
        layers = List.copyOf(layers);
    }
}
