package io.atoll.attention.state;

import io.atoll.model.config.LayerType;
import io.atoll.model.config.TextConfig;

/// Sizes of what a model keeps of a sequence.
///
/// @param fullLayers layers with keys and values
/// @param linearLayers layers with a recurrent and a convolution state
/// @param keyValueHeads key and value heads of a full-attention layer
/// @param headDim width of such a head
/// @param recurrentFloats floats of one layer's recurrent state `[valueHeads, keyDim, valueDim]`
/// @param convFloats floats of one layer's convolution state `[width - 1, channels]`
public record StateShape(
        int fullLayers,
        int linearLayers,
        int keyValueHeads,
        int headDim,
        long recurrentFloats,
        long convFloats) {

    /// The sizes of a model of this configuration.
    public static StateShape of(TextConfig config) {
        int full = 0;
        for (LayerType layer : config.layers()) {
            full += layer == LayerType.FULL_ATTENTION ? 1 : 0;
        }
        return new StateShape(
                full,
                config.layerCount() - full,
                config.keyValueHeads(),
                config.headDim(),
                (long) config.linearValueHeads()
                        * config.linearKeyHeadDim()
                        * config.linearValueHeadDim(),
                (long) (config.convKernel() - 1) * config.convDim());
    }

    /// Bytes of one layer's keys and values of `tokens` positions.
    long keyValueBytes(int tokens) {
        return 2L * keyValueHeads * tokens * headDim * Float.BYTES;
    }

    /// Bytes of the recurrent and convolution states of one sequence, all layers, each on a cache line of its own.
    long recurrentBytes() {
        return linearLayers * (align(recurrentFloats) + align(convFloats));
    }

    static long align(long floats) {
        return (floats * Float.BYTES + 63) / 64 * 64;
    }
}
