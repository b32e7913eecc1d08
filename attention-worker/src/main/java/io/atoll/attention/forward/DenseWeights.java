package io.atoll.attention.forward;

import io.atoll.kernels.PackedMatrix;
import io.atoll.model.checkpoint.Tensor;
import io.atoll.model.quant.ReorderedMatrix;
import io.atoll.model.quant.WeightMatrix;
import io.atoll.model.weights.LayerWeights;
import io.atoll.model.weights.MixerWeights;
import io.atoll.model.weights.MtpWeights;
import io.atoll.model.weights.PackingMode;
import io.atoll.model.weights.TextWeights;
import io.atoll.model.weights.WeightPacking;
import io.atoll.model.weights.WidenedWeights;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/// Everything but the routed experts and the embedding table, packed as the kernels read it. No value changes: floats of 16
/// and 8 bits and integers stay what they are where the kernels have a format for them, and everything else becomes the f32 it
/// means, which is logged.
///
/// Matrices of a few outputs that decide over everything behind them (router, gates of the delta rule and of the shared expert) are
/// always f32 or BF16, so that their rows are not rounded: they are a hundredth of the weights.
///
/// The memory belongs to the arena it was loaded into; what a pack holds ready stays in its mapped files.
///
/// @param finalNorm f32 `[hidden]`
/// @param lmHead `[vocabSize, hidden]`
/// @param prediction the multi-token prediction module, if it is to run
record DenseWeights(
        List<Layer> layers,
        MemorySegment finalNorm,
        PackedMatrix lmHead,
        Optional<Prediction> prediction) {
    private static final Logger LOG = LoggerFactory.getLogger(DenseWeights.class);

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

    /// Of the multi-token prediction module.
    ///
    /// @param projection `[hidden, 2 hidden]`, for the embedding first
    /// @param embeddingNorm f32 `[hidden]`
    /// @param hiddenNorm f32 `[hidden]`
    /// @param finalNorm f32 `[hidden]`
    record Prediction(
            PackedMatrix projection,
            MemorySegment embeddingNorm,
            MemorySegment hiddenNorm,
            List<Layer> layers,
            MemorySegment finalNorm) {}

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

    /// @param conv `[convKernel, convDim]`, tap by tap
    /// @param output `[hidden, linearValueDim]`; its columns may stand as in the file, whose blocks cannot be cut into heads
    /// @param outputHeads where each value head stands among those columns, unless they are in the order of the heads
    record DeltaNet(
            PackedMatrix queryKeyValue,
            PackedMatrix gate,
            PackedMatrix beta,
            PackedMatrix decay,
            MemorySegment conv,
            MemorySegment decayLog,
            MemorySegment decayBias,
            MemorySegment norm,
            PackedMatrix output,
            Optional<int[]> outputHeads)
            implements Mixer {}

    /// Reads and packs the weights, several layers at a time.
    ///
    /// @param predicts whether the multi-token prediction module is wanted, which the model must have then
    /// @throws io.atoll.model.config.ModelFileException if a weight is missing or of a type that is not supported
    static DenseWeights load(TextWeights weights, boolean predicts, Compute compute, Arena arena) {
        Layer[] layers = new Layer[weights.config().layerCount()];
        PackedMatrix[] head = new PackedMatrix[1];
        WidenedWeights widened = new WidenedWeights();
        Packer packer =
                (mode, matrices) -> {
                    List<WeightMatrix> below = List.of(matrices);
                    PackedMatrix packed = WeightPacking.keep(mode, weights.source(), below, arena);
                    if (mode == PackingMode.PACKED) {
                        widened.note(packed.format(), below);
                    }
                    return packed;
                };
        compute.pool()
                .run(
                        layers.length + 1,
                        task -> {
                            // The head is the largest matrix, so it goes first.
                            if (task == 0) {
                                head[0] = packer.pack(PackingMode.PACKED, weights.lmHead());
                            } else {
                                layers[task - 1] =
                                        loadLayer(weights.layer(task - 1), packer, arena);
                            }
                            weights.releasePages(); // what others still read comes back by itself
                        });
        Optional<Prediction> prediction =
                predicts
                        ? Optional.of(loadPrediction(weights.mtp().orElseThrow(), packer, arena))
                        : Optional.empty();
        widened.summary()
                .ifPresent(
                        summary ->
                                LOG.warn(
                                        "{}: dense weights that became f32, at several times their"
                                                + " size: {}",
                                        weights.source(),
                                        summary));
        MemorySegment finalNorm = vector(arena, weights.finalNorm());
        return new DenseWeights(List.of(layers), finalNorm, head[0], prediction);
    }

    /// Packs matrices `[out, in]` below each other.
    private interface Packer {
        PackedMatrix pack(PackingMode mode, WeightMatrix... matrices);
    }

    /// Whether some of these weights meet rows that are rounded to int8.
    boolean quantizesRows() {
        return Stream.concat(Stream.of(lmHead), layers.stream().flatMap(DenseWeights::matrices))
                .anyMatch(matrix -> matrix.format().takesQuantizedRows());
    }

    /// Bytes of every matrix but the LM head.
    long layerBytes() {
        return layers.stream()
                .flatMap(DenseWeights::matrices)
                .mapToLong(matrix -> matrix.data().byteSize())
                .sum();
    }

    private static Stream<PackedMatrix> matrices(Layer layer) {
        Stream<PackedMatrix> mixer =
                switch (layer.mixer()) {
                    case Attention a -> Stream.of(a.query(), a.key(), a.value(), a.output());
                    case DeltaNet d ->
                            Stream.of(d.queryKeyValue(), d.gate(), d.beta(), d.decay(), d.output());
                };
        return Stream.concat(
                mixer,
                Stream.of(
                        layer.router(),
                        layer.sharedGateUp(),
                        layer.sharedDown(),
                        layer.sharedExpertGate()));
    }

    private static Prediction loadPrediction(MtpWeights module, Packer packer, Arena arena) {
        return new Prediction(
                packer.pack(PackingMode.PACKED, module.projection()),
                vector(arena, module.embeddingNorm()),
                vector(arena, module.hiddenNorm()),
                module.layers().stream().map(layer -> loadLayer(layer, packer, arena)).toList(),
                vector(arena, module.finalNorm()));
    }

    private static Layer loadLayer(LayerWeights layer, Packer packer, Arena arena) {
        return new Layer(
                vector(arena, layer.inputNorm()),
                switch (layer.mixer()) {
                    case MixerWeights.Attention attention ->
                            new Attention(
                                    packer.pack(PackingMode.PACKED, attention.query()),
                                    packer.pack(PackingMode.PACKED, attention.key()),
                                    packer.pack(PackingMode.PACKED, attention.value()),
                                    packer.pack(PackingMode.PACKED, attention.output()),
                                    vector(arena, attention.queryNorm()),
                                    vector(arena, attention.keyNorm()));
                    case MixerWeights.DeltaNet deltaNet -> loadDeltaNet(deltaNet, packer, arena);
                },
                vector(arena, layer.postMixerNorm()),
                packer.pack(PackingMode.EXACT, layer.router()),
                packer.pack(
                        PackingMode.PACKED, layer.sharedExpert().gate(), layer.sharedExpert().up()),
                packer.pack(PackingMode.PACKED, layer.sharedExpert().down()),
                packer.pack(PackingMode.EXACT, layer.sharedExpertGate()));
    }

    private static DeltaNet loadDeltaNet(
            MixerWeights.DeltaNet deltaNet, Packer packer, Arena arena) {
        Optional<ReorderedMatrix> stored = WeightPacking.columnsToLeave(deltaNet.output());
        return new DeltaNet(
                packer.pack(PackingMode.PACKED, deltaNet.queryKeyValue()),
                packer.pack(PackingMode.PACKED, deltaNet.gate()),
                packer.pack(PackingMode.EXACT, deltaNet.beta()),
                packer.pack(PackingMode.EXACT, deltaNet.decay()),
                arena.allocateFrom(ValueLayout.JAVA_FLOAT, deltaNet.convTaps()),
                vector(arena, deltaNet.decayLog()),
                vector(arena, deltaNet.decayBias()),
                vector(arena, deltaNet.norm()),
                packer.pack(
                        PackingMode.PACKED,
                        stored.map(ReorderedMatrix::source).orElse(deltaNet.output())),
                stored.map(DenseWeights::places));
    }

    /// Where the file has each value head.
    private static int[] places(ReorderedMatrix output) {
        int[] places = new int[output.cols() / output.unit()];
        Arrays.setAll(places, head -> output.sourceIndex(head * output.unit()) / output.unit());
        return places;
    }

    /// A small tensor widened to f32.
    private static MemorySegment vector(Arena arena, Tensor tensor) {
        return arena.allocateFrom(ValueLayout.JAVA_FLOAT, tensor.floats());
    }
}
