package io.atoll.attention.state;

import io.atoll.model.config.LayerType;
import io.atoll.model.config.TextConfig;

/// Sizes of what a model keeps of a sequence.
///
/// @param config the model
record StateShape(TextConfig config) {
    /// Layers with keys and values.
    int fullLayers() {
        return (int)
                config.layers().stream().filter(layer -> layer == LayerType.FULL_ATTENTION).count();
    }

    /// Layers with a recurrent and a convolution state.
    int linearLayers() {
        return config.layerCount() - fullLayers();
    }

    /// Bytes of one layer's recurrent state `[valueHeads, keyDim, valueDim]`.
    long recurrentBytes() {
        return (long) config.linearValueDim() * config.linearKeyHeadDim() * Float.BYTES;
    }

    /// Bytes of one layer's convolution state `[width - 1, channels]`.
    long convBytes() {
        return (long) (config.convKernel() - 1) * config.convDim() * Float.BYTES;
    }

    /// Bytes of one layer's two states, each on cache lines of its own.
    long linearLayerBytes() {
        return align(recurrentBytes()) + align(convBytes());
    }

    /// Bytes of the states of all Gated DeltaNet layers of one sequence.
    long slotBytes() {
        return linearLayers() * linearLayerBytes();
    }

    static long align(long bytes) {
        return (bytes + 63) / 64 * 64;
    }
}
