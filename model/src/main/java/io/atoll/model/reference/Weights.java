package io.atoll.model.reference;

import io.atoll.kernels.PackedMatrix;
import io.atoll.model.checkpoint.Tensor;
import io.atoll.model.quant.WeightMatrix;
import io.atoll.model.weights.ExpertWeights;
import io.atoll.model.weights.LayerWeights;
import io.atoll.model.weights.MixerWeights;
import io.atoll.model.weights.MtpWeights;
import io.atoll.model.weights.PackingMode;
import io.atoll.model.weights.TextWeights;
import io.atoll.model.weights.WeightPacking;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.stream.IntStream;

/// The text model's weights in the kernels' layout, none of them changed. Dense parts are packed at the start, an expert when a row
/// first picks it: a checkpoint much larger than memory can be tried with a few tokens.
///
/// Owns the memory of what it packed; borrows the store of the weights.
final class Weights implements AutoCloseable {
    private final TextWeights source;
    private final Arena arena = Arena.ofShared();
    private final WeightMatrix embedding;
    private final List<Layer> layers;
    private final MemorySegment finalNorm;
    private final PackedMatrix lmHead;
    private final Optional<Predictor> predictor;

    Weights(TextWeights source) {
        this.source = source;
        embedding = source.embedding();
        Optional<MtpWeights> mtp = source.mtp();
        int mtpLayers = mtp.map(module -> module.layers().size()).orElse(0);
        layers =
                IntStream.range(0, source.config().layerCount() + mtpLayers)
                        .mapToObj(this::pack)
                        .toList();
        predictor =
                mtp.map(
                        module ->
                                new Predictor(
                                        mtpLayers,
                                        matrix(module.projection()),
                                        vector(module.embeddingNorm()),
                                        vector(module.hiddenNorm()),
                                        vector(module.finalNorm())));
        finalNorm = vector(source.finalNorm());
        lmHead = matrix(source.lmHead());
    }

    /// One decoder layer.
    ///
    /// @param inputNorm `[hidden]`
    /// @param postMixerNorm `[hidden]`
    record Layer(
            MemorySegment inputNorm,
            Mixer mixer,
            MemorySegment postMixerNorm,
            MixtureOfExperts moe) {}

    sealed interface Mixer {}

    /// Section D, without its decoder layers, which follow the model's own.
    ///
    /// @param layers how many those are
    /// @param projection `[hidden, 2 * hidden]`, for the embedding first
    record Predictor(
            int layers,
            PackedMatrix projection,
            MemorySegment embeddingNorm,
            MemorySegment hiddenNorm,
            MemorySegment finalNorm) {}

    /// Section B.2. Vectors are f32.
    ///
    /// @param conv `[convKernel, convDim]`, tap by tap
    record GatedDeltaNet(
            PackedMatrix inQkv,
            PackedMatrix inZ,
            PackedMatrix inB,
            PackedMatrix inA,
            MemorySegment conv,
            MemorySegment aLog,
            MemorySegment dtBias,
            MemorySegment norm,
            PackedMatrix out)
            implements Mixer {}

    /// Section B.3. Vectors are f32.
    record GatedAttention(
            PackedMatrix q,
            PackedMatrix k,
            PackedMatrix v,
            MemorySegment qNorm,
            MemorySegment kNorm,
            PackedMatrix o)
            implements Mixer {}

    /// A SwiGLU block: a routed expert or the shared one.
    record FeedForward(PackedMatrix gate, PackedMatrix up, PackedMatrix down) {}

    /// Section B.4.
    final class MixtureOfExperts {
        private final int layer;
        private final PackedMatrix router;
        private final FeedForward shared;
        private final PackedMatrix sharedGate;
        private final Map<Integer, FeedForward> experts = new HashMap<>();

        private MixtureOfExperts(int layer, LayerWeights weights) {
            this.layer = layer;
            router = matrix(weights.router());
            shared = feedForward(weights.sharedExpert());
            sharedGate = matrix(weights.sharedExpertGate());
        }

        PackedMatrix router() {
            return router;
        }

        FeedForward shared() {
            return shared;
        }

        PackedMatrix sharedGate() {
            return sharedGate;
        }

        /// A routed expert, packed now if this is the first time.
        FeedForward expert(int expert) {
            return experts.computeIfAbsent(expert, e -> feedForward(source.expert(layer, e)));
        }
    }

    /// Writes a token's embedding, `[hidden]`.
    void embed(int token, MemorySegment row) {
        int hidden = source.config().hiddenSize();
        Objects.checkIndex(token, source.config().vocabSize());
        float[] values = new float[hidden];
        embedding.decodeRows(token, 1, values, 0);
        MemorySegment.copy(values, 0, row, ValueLayout.JAVA_FLOAT, 0, hidden);
    }

    Layer layer(int index) {
        return layers.get(index);
    }

    /// The multi-token prediction module, if the model has one.
    Optional<Predictor> predictor() {
        return predictor;
    }

    MemorySegment finalNorm() {
        return finalNorm;
    }

    PackedMatrix lmHead() {
        return lmHead;
    }

    private Layer pack(int index) {
        LayerWeights weights = source.layer(index);
        return new Layer(
                vector(weights.inputNorm()),
                switch (weights.mixer()) {
                    case MixerWeights.DeltaNet w ->
                            new GatedDeltaNet(
                                    matrix(w.queryKeyValue()),
                                    matrix(w.gate()),
                                    matrix(w.beta()),
                                    matrix(w.decay()),
                                    arena.allocateFrom(ValueLayout.JAVA_FLOAT, w.convTaps()),
                                    vector(w.decayLog()),
                                    vector(w.decayBias()),
                                    vector(w.norm()),
                                    matrix(w.output()));
                    case MixerWeights.Attention w ->
                            new GatedAttention(
                                    matrix(w.query()),
                                    matrix(w.key()),
                                    matrix(w.value()),
                                    vector(w.queryNorm()),
                                    vector(w.keyNorm()),
                                    matrix(w.output()));
                },
                vector(weights.postMixerNorm()),
                new MixtureOfExperts(index, weights));
    }

    private FeedForward feedForward(ExpertWeights weights) {
        return new FeedForward(
                matrix(weights.gate()), matrix(weights.up()), matrix(weights.down()));
    }

    /// Any shape as a row of f32.
    private MemorySegment vector(Tensor tensor) {
        return arena.allocateFrom(ValueLayout.JAVA_FLOAT, tensor.floats());
    }

    private PackedMatrix matrix(WeightMatrix matrix) {
        return WeightPacking.keep(PackingMode.EXACT, source.source(), List.of(matrix), arena);
    }

    @Override
    public void close() {
        arena.close();
    }
}
