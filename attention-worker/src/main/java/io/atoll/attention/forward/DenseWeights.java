package io.atoll.attention.forward;

import io.atoll.kernels.PackedMatrix;
import io.atoll.model.checkpoint.Tensor;
import io.atoll.model.quant.WeightMatrix;
import io.atoll.model.weights.LayerWeights;
import io.atoll.model.weights.MixerWeights;
import io.atoll.model.weights.TextWeights;
import io.atoll.model.weights.WeightPacking;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;

/// Everything but the routed experts and the embedding table, packed as the kernels read it. No value changes: BF16 stays
/// BF16, and everything else, quantised weights included, becomes the f32 it means.
///
/// The memory belongs to the arena it was loaded into.
///
/// @param finalNorm f32 `[hidden]`
/// @param lmHead `[vocabSize, hidden]`
record DenseWeights(List<Layer> layers, MemorySegment finalNorm, PackedMatrix lmHead) {
    /// @param inputNorm f32 `[hidden]`
    /// @param postMixerNorm f32 `[hidden]`
    /// @param router `[experts, hidden]`
    /// @param sharedGateUp `[2 sharedInner, hidden]`: gate rows, then up rows
    /// @param sharedDown `[hidden, sharedInner]`
    /// @param sharedExpertGate `[1, hidden]`
    record Layer(
            MemorySegment inputNorm,
            Mixer mixer,
            MemorySegment postMixerNorm,
            PackedMatrix router,
            PackedMatrix sharedGateUp,
            PackedMatrix sharedDown,
            PackedMatrix sharedExpertGate) {}

    /// Weights of a layer's mixer; shapes as in [MixerWeights].
    sealed interface Mixer {}

    record Attention(
            PackedMatrix query,
            PackedMatrix key,
            PackedMatrix value,
            PackedMatrix output,
            MemorySegment queryNorm,
            MemorySegment keyNorm)
            implements Mixer {}

    record DeltaNet(
            PackedMatrix queryKeyValue,
            PackedMatrix gate,
            PackedMatrix beta,
            PackedMatrix decay,
            MemorySegment conv,
            MemorySegment decayLog,
            MemorySegment decayBias,
            MemorySegment norm,
            PackedMatrix output)
            implements Mixer {}

    /// Reads and packs the weights, several layers at a time.
    ///
    /// @throws io.atoll.model.config.ModelFileException if a weight is missing or of a type that is not supported
    static DenseWeights load(TextWeights weights, Compute compute, Arena arena) {
        Layer[] layers = new Layer[weights.config().layerCount()];
        PackedMatrix[] head = new PackedMatrix[1];
        Packer packer = matrices -> WeightPacking.keep(weights.source(), List.of(matrices), arena);
        compute.pool()
                .run(
                        layers.length + 1,
                        task -> {
                            // The head is the largest matrix, so it goes first.
                            if (task == 0) {
                                head[0] = packer.pack(weights.lmHead());
                            } else {
                                layers[task - 1] =
                                        loadLayer(weights.layer(task - 1), packer, arena);
                            }
                        });
        return new DenseWeights(List.of(layers), vector(arena, weights.finalNorm()), head[0]);
    }

    /// Packs matrices `[out, in]` below each other.
    private interface Packer {
        PackedMatrix pack(WeightMatrix... matrices);
    }

    private static Layer loadLayer(LayerWeights layer, Packer packer, Arena arena) {
        return new Layer(
                vector(arena, layer.inputNorm()),
                switch (layer.mixer()) {
                    case MixerWeights.Attention attention ->
                            new Attention(
                                    packer.pack(attention.query()),
                                    packer.pack(attention.key()),
                                    packer.pack(attention.value()),
                                    packer.pack(attention.output()),
                                    vector(arena, attention.queryNorm()),
                                    vector(arena, attention.keyNorm()));
                    case MixerWeights.DeltaNet deltaNet ->
                            new DeltaNet(
                                    packer.pack(deltaNet.queryKeyValue()),
                                    packer.pack(deltaNet.gate()),
                                    packer.pack(deltaNet.beta()),
                                    packer.pack(deltaNet.decay()),
                                    vector(arena, deltaNet.conv()),
                                    vector(arena, deltaNet.decayLog()),
                                    vector(arena, deltaNet.decayBias()),
                                    vector(arena, deltaNet.norm()),
                                    packer.pack(deltaNet.output()));
                },
                vector(arena, layer.postMixerNorm()),
                packer.pack(layer.router()),
                packer.pack(layer.sharedExpert().gate(), layer.sharedExpert().up()),
                packer.pack(layer.sharedExpert().down()),
                packer.pack(layer.sharedExpertGate()));
    }

    /// A small tensor widened to f32.
    private static MemorySegment vector(Arena arena, Tensor tensor) {
        return arena.allocateFrom(ValueLayout.JAVA_FLOAT, tensor.floats());
    }
}
