package io.atoll.model.weights;

import io.atoll.model.checkpoint.Tensor;
import io.atoll.model.checkpoint.TensorNames;
import io.atoll.model.config.LayerType;
import io.atoll.model.config.TextConfig;
import io.atoll.model.quant.WeightMatrix;
import io.atoll.model.quant.WeightStore;
import java.nio.file.Path;
import java.util.Objects;
import java.util.Optional;
import java.util.stream.IntStream;

/// Finds each weight of the text model and checks its shape against the configuration.
///
/// Nothing is read ahead: an expert worker asks for its (layer, expert) pairs, an attention worker for one layer's
/// dense part after the other, and only those tensors' files are opened. Every method throws a
/// [io.atoll.model.config.ModelFileException], with the tensor, the file and both shapes, if a weight is missing or does not
/// fit.
///
/// Layers are counted through: `0 .. layerCount-1` is the model, and `layerCount + i` is layer `i` of the
/// multi-token prediction module.
public final class TextWeights {
    private final WeightStore store;
    private final TextConfig config;
    private final TensorNames names;

    /// @param store borrowed: what is found here can be read until it is closed
    public TextWeights(WeightStore store, TextConfig config) {
        this.store = store;
        this.config = config;
        this.names = store.names();
    }

    /// Where the weights come from.
    public Path source() {
        return store.source();
    }

    public TextConfig config() {
        return config;
    }

    public TensorNames names() {
        return names;
    }

    /// As [WeightStore#expertsTakeQuantizedRows].
    Optional<Boolean> expertsTakeQuantizedRows() {
        return store.expertsTakeQuantizedRows();
    }

    /// As [WeightStore#releasePages].
    public void releasePages() {
        store.releasePages();
    }

    /// `[vocab, hidden]`.
    public WeightMatrix embedding() {
        return store.matrix(names.embedding(), config.vocabSize(), config.hiddenSize());
    }

    /// `[hidden]`, zero-centred.
    public Tensor finalNorm() {
        return vector(names.finalNorm(), config.hiddenSize());
    }

    /// `[vocab, hidden]`; the embedding table where the two are tied.
    public WeightMatrix lmHead() {
        return config.tieWordEmbeddings()
                ? embedding()
                : store.matrix(names.lmHead(), config.vocabSize(), config.hiddenSize());
    }

    /// The dense part of a layer.
    public LayerWeights layer(int layer) {
        TensorNames.Layer name = layerNames(layer);
        int hidden = config.hiddenSize();
        int shared = config.sharedExpertIntermediateSize();
        return new LayerWeights(
                vector(name.inputNorm(), hidden),
                switch (layerType(layer)) {
                    case FULL_ATTENTION -> attention(name);
                    case LINEAR_ATTENTION -> deltaNet(name);
                },
                vector(name.postMixerNorm(), hidden),
                store.matrix(name.router(), config.experts(), hidden),
                new ExpertWeights(
                        store.matrix(name.sharedExpert("gate_proj"), shared, hidden),
                        store.matrix(name.sharedExpert("up_proj"), shared, hidden),
                        store.matrix(name.sharedExpert("down_proj"), hidden, shared)),
                store.matrix(name.sharedExpertGate(), 1, hidden));
    }

    /// One routed expert, whether the files fuse a layer's experts or give each its own tensors.
    public ExpertWeights expert(int layer, int expert) {
        TensorNames.Layer name = layerNames(layer);
        Objects.checkIndex(expert, config.experts());
        int hidden = config.hiddenSize();
        int inner = config.moeIntermediateSize();
        return new ExpertWeights(
                store.matrix(name.expert(expert, "gate_proj"), inner, hidden),
                store.matrix(name.expert(expert, "up_proj"), inner, hidden),
                store.matrix(name.expert(expert, "down_proj"), hidden, inner));
    }

    /// The multi-token prediction module, if the configuration and the files have one.
    ///
    /// Exports that leave its tensors out but keep its number in the configuration are common, so that is no error.
    public Optional<MtpWeights> mtp() {
        if (config.mtpLayers() == 0 || !store.contains(names.mtpProjection())) {
            return Optional.empty();
        }
        int hidden = config.hiddenSize();
        return Optional.of(
                new MtpWeights(
                        store.matrix(names.mtpProjection(), hidden, 2 * hidden),
                        vector(names.mtpEmbeddingNorm(), hidden),
                        vector(names.mtpHiddenNorm(), hidden),
                        IntStream.range(0, config.mtpLayers())
                                .mapToObj(i -> layer(config.layerCount() + i))
                                .toList(),
                        vector(names.mtpFinalNorm(), hidden)));
    }

    private MixerWeights.Attention attention(TensorNames.Layer name) {
        int hidden = config.hiddenSize();
        int queries = config.attentionHeads() * config.headDim();
        int keys = config.keyValueHeads() * config.headDim();
        return new MixerWeights.Attention(
                store.matrix(name.attention("q_proj.weight"), 2 * queries, hidden),
                store.matrix(name.attention("k_proj.weight"), keys, hidden),
                store.matrix(name.attention("v_proj.weight"), keys, hidden),
                store.matrix(name.attention("o_proj.weight"), hidden, queries),
                vector(name.attention("q_norm.weight"), config.headDim()),
                vector(name.attention("k_norm.weight"), config.headDim()));
    }

    private MixerWeights.DeltaNet deltaNet(TensorNames.Layer name) {
        int hidden = config.hiddenSize();
        int valueHeads = config.linearValueHeads();
        return new MixerWeights.DeltaNet(
                store.matrix(name.linearAttention("in_proj_qkv.weight"), config.convDim(), hidden),
                store.matrix(
                        name.linearAttention("in_proj_z.weight"), config.linearValueDim(), hidden),
                store.matrix(name.linearAttention("in_proj_b.weight"), valueHeads, hidden),
                store.matrix(name.linearAttention("in_proj_a.weight"), valueHeads, hidden),
                store.tensor(
                        name.linearAttention("conv1d.weight"),
                        config.convDim(),
                        1,
                        config.convKernel()),
                vector(name.linearAttention("A_log"), valueHeads),
                vector(name.linearAttention("dt_bias"), valueHeads),
                vector(name.linearAttention("norm.weight"), config.linearValueHeadDim()),
                store.matrix(
                        name.linearAttention("out_proj.weight"), hidden, config.linearValueDim()));
    }

    private Tensor vector(String name, int size) {
        return store.tensor(name, size);
    }

    private LayerType layerType(int layer) {
        return layer < config.layerCount() ? config.layers().get(layer) : LayerType.FULL_ATTENTION;
    }

    private TensorNames.Layer layerNames(int layer) {
        Objects.checkIndex(layer, config.layerCount() + config.mtpLayers());
        return layer < config.layerCount()
                ? names.layer(layer)
                : names.mtpLayer(layer - config.layerCount());
    }
}
