package io.atoll.attention.forward;

import io.atoll.kernels.PackedMatrix;
import io.atoll.kernels.Packing;
import io.atoll.kernels.RowSource;
import io.atoll.kernels.SourceType;
import io.atoll.kernels.WeightFormat;
import io.atoll.model.checkpoint.CheckpointException;
import io.atoll.model.checkpoint.LayerWeights;
import io.atoll.model.checkpoint.MixerWeights;
import io.atoll.model.checkpoint.Tensor;
import io.atoll.model.checkpoint.TextWeights;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;

/// Everything but the routed experts and the embedding table, packed as the kernels read it. No value changes: BF16 stays
/// BF16, the rest becomes f32.
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
    /// @throws CheckpointException if a weight is missing or of a type that is not supported
    static DenseWeights load(TextWeights weights, Compute compute, Arena arena) {
        Layer[] layers = new Layer[weights.config().layerCount()];
        PackedMatrix[] head = new PackedMatrix[1];
        compute.pool()
                .run(
                        layers.length + 1,
                        task -> {
                            // The head is the largest matrix, so it goes first.
                            if (task == 0) {
                                head[0] = pack(arena, weights.lmHead());
                            } else {
                                layers[task - 1] = loadLayer(weights.layer(task - 1), arena);
                            }
                        });
        return new DenseWeights(List.of(layers), vector(arena, weights.finalNorm()), head[0]);
    }

    private static Layer loadLayer(LayerWeights layer, Arena arena) {
        return new Layer(
                vector(arena, layer.inputNorm()),
                switch (layer.mixer()) {
                    case MixerWeights.Attention attention ->
                            new Attention(
                                    pack(arena, attention.query()),
                                    pack(arena, attention.key()),
                                    pack(arena, attention.value()),
                                    pack(arena, attention.output()),
                                    vector(arena, attention.queryNorm()),
                                    vector(arena, attention.keyNorm()));
                    case MixerWeights.DeltaNet deltaNet ->
                            new DeltaNet(
                                    pack(arena, deltaNet.queryKeyValue()),
                                    pack(arena, deltaNet.gate()),
                                    pack(arena, deltaNet.beta()),
                                    pack(arena, deltaNet.decay()),
                                    vector(arena, deltaNet.conv()),
                                    vector(arena, deltaNet.decayLog()),
                                    vector(arena, deltaNet.decayBias()),
                                    vector(arena, deltaNet.norm()),
                                    pack(arena, deltaNet.output()));
                },
                vector(arena, layer.postMixerNorm()),
                pack(arena, layer.router()),
                pack(arena, layer.sharedExpert().gate(), layer.sharedExpert().up()),
                pack(arena, layer.sharedExpert().down()),
                pack(arena, layer.sharedExpertGate()));
    }

    /// Packs matrices `[out, in]` below each other.
    private static PackedMatrix pack(Arena arena, Tensor... matrices) {
        List<RowSource> sources = new ArrayList<>();
        boolean allBf16 = true;
        for (Tensor matrix : matrices) {
            SourceType type = sourceType(matrix);
            allBf16 &= type == SourceType.BF16;
            sources.add(new RowSource(matrix.data(), type, (int) matrix.dim(0)));
        }
        return Packing.pack(
                allBf16 ? WeightFormat.BF16 : WeightFormat.F32,
                sources,
                (int) matrices[0].dim(1),
                arena);
    }

    private static SourceType sourceType(Tensor tensor) {
        return switch (tensor.dtype()) {
            case F32 -> SourceType.F32;
            case BF16 -> SourceType.BF16;
            case F16 -> SourceType.F16;
            case F64, F8_E4M3, F8_E5M2, F8_E8M0, I64, I32, I16, I8, U64, U32, U16, U8, BOOL ->
                    throw new CheckpointException(
                            tensor.file(),
                            tensor.name(),
                            "a dense matrix must be F32, BF16 or F16, found " + tensor.dtype());
        };
    }

    /// A small tensor widened to f32.
    private static MemorySegment vector(Arena arena, Tensor tensor) {
        return arena.allocateFrom(ValueLayout.JAVA_FLOAT, tensor.floats());
    }
}
