package io.atoll.attention.state;

import io.atoll.model.config.LayerType;
import io.atoll.model.config.TextConfig;

/// Sizes of what a model keeps of a sequence.
///
/// @param config the model
/// @param predicts whether its multi-token prediction module runs too
public record StateShape(TextConfig config, boolean predicts) {
    /// Layers with keys and values.
    int fullLayers() {
        return (int)
                config.layers().stream().filter(layer -> layer == LayerType.FULL_ATTENTION).count();
    }

    /// Layers with a recurrent and a convolution state.
    public int linearLayers() {
        return config.layerCount() - fullLayers();
    }

    /// Bytes of one layer's recurrent state `[valueHeads, keyDim, valueDim]`.
    public long recurrentBytes() {
        return (long) config.linearValueDim() * config.linearKeyHeadDim() * Float.BYTES;
    }

    /// Bytes of one layer's convolution state `[width - 1, channels]`.
    public long convBytes() {
        return (long) (config.convKernel() - 1) * config.convDim() * Float.BYTES;
    }

    /// Bytes of one layer's two states, each on cache lines of its own.
    long linearLayerBytes() {
        return align(recurrentBytes()) + align(convBytes());
    }

    /// Bytes of the states of all Gated DeltaNet layers of one sequence.
    long recurrentSlotBytes() {
        return linearLayers() * linearLayerBytes();
    }

    /// Layers with keys and values, those of the prediction module included.
    int keyValueLayers() {
        return fullLayers() + (predicts ? config.mtpLayers() : 0);
    }

    /// Bytes of everything kept in a sequence's slot.
    long slotBytes() {
        return recurrentSlotBytes() + (predicts ? align(PendingHidden.bytes(config)) : 0);
    }

    static long align(long bytes) {
        return (bytes + 63) / 64 * 64;
    }
}
