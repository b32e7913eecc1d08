package io.atoll.model.weights;

import io.atoll.model.checkpoint.Tensor;
import io.atoll.model.quant.WeightMatrix;

/// Weights of a layer's mixer: matrices however they are stored, vectors as plain floats. Matrices are `[out, in]`; head counts and widths are those of the text
/// configuration.
public sealed interface MixerWeights {

    /// Gated full attention.
    ///
    /// @param query `[attentionHeads * 2 * headDim, hidden]`: for each head its query rows, then its gate rows
    /// @param key `[keyValueHeads * headDim, hidden]`
    /// @param value `[keyValueHeads * headDim, hidden]`
    /// @param output `[hidden, attentionHeads * headDim]`
    /// @param queryNorm `[headDim]`, zero-centred
    /// @param keyNorm `[headDim]`, zero-centred
    record Attention(
            WeightMatrix query,
            WeightMatrix key,
            WeightMatrix value,
            WeightMatrix output,
            Tensor queryNorm,
            Tensor keyNorm)
            implements MixerWeights {}

    /// Gated DeltaNet.
    ///
    /// @param queryKeyValue `[convDim, hidden]`: all query heads, then all key heads, then all value heads
    /// @param gate `[linearValueDim, hidden]`, the output gate's input (`in_proj_z`)
    /// @param beta `[linearValueHeads, hidden]`, the write strength's input (`in_proj_b`)
    /// @param decay `[linearValueHeads, hidden]`, the decay's input (`in_proj_a`)
    /// @param conv `[convDim, 1, convKernel]`, the last tap meets the current token
    /// @param decayLog `[linearValueHeads]` (`A_log`); use it in f32
    /// @param decayBias `[linearValueHeads]` (`dt_bias`); use it in f32
    /// @param norm `[linearValueHeadDim]`, plain (not zero-centred), shared by all value heads
    /// @param output `[hidden, linearValueDim]`
    record DeltaNet(
            WeightMatrix queryKeyValue,
            WeightMatrix gate,
            WeightMatrix beta,
            WeightMatrix decay,
            Tensor conv,
            Tensor decayLog,
            Tensor decayBias,
            Tensor norm,
            WeightMatrix output)
            implements MixerWeights {
        /// The convolution's weights as the kernels read them: `[convKernel, convDim]`, tap by tap.
        public float[] convTaps() {
            float[] weights = conv.floats();
            int channels = Math.toIntExact(conv.shape()[0]);
            int width = weights.length / channels;
            float[] taps = new float[weights.length];
            for (int channel = 0; channel < channels; channel++) {
                for (int tap = 0; tap < width; tap++) {
                    taps[tap * channels + channel] = weights[channel * width + tap];
                }
            }
            return taps;
        }
    }
}
