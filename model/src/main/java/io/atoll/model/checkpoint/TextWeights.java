package io.atoll.model.checkpoint;

import io.atoll.model.config.LayerType;
import io.atoll.model.config.TextConfig;
import java.util.Objects;
import java.util.Optional;
import java.util.stream.IntStream;

/// Finds each weight of the text model in a checkpoint and checks its shape and type against the configuration.
///
/// Nothing is read ahead: an expert worker asks for its (layer, expert) pairs, an attention worker for one layer's
/// dense part after the other, and only those tensors' files are opened. Every method throws [CheckpointException],
/// with the tensor, the file and both shapes, if a weight is missing or does not fit. Weights must be plain floats;
/// a quantised release is refused here by the type of its first quantised tensor.
///
/// Layers are counted through: `0 .. layerCount-1` is the model, and `layerCount + i` is layer `i` of the
/// multi-token prediction module.
public final class TextWeights {
    private final Checkpoint checkpoint;
    private final TextConfig config;
    private final TensorNames names;

    public TextWeights(Checkpoint checkpoint, TextConfig config) {
        this.checkpoint = checkpoint;
        this.config = config;
        this.names = TensorNames.of(checkpoint);
    }

    public TextConfig config() {
        return config;
    }

    public TensorNames names() {
        return names;
    }

    /// `[vocab, hidden]`.
    public Tensor embedding() {
        return checkpoint.require(names.embedding(), config.vocabSize(), config.hiddenSize());
    }

    /// `[hidden]`, zero-centred.
    public Tensor finalNorm() {
        return vector(names.finalNorm(), config.hiddenSize());
    }

    /// `[vocab, hidden]`; the embedding table where the two are tied.
    public Tensor lmHead() {
        return config.tieWordEmbeddings()
                ? embedding()
                : checkpoint.require(names.lmHead(), config.vocabSize(), config.hiddenSize());
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
                checkpoint.require(name.router(), config.experts(), hidden),
                new ExpertWeights(
                        checkpoint.require(name.sharedExpert("gate_proj"), shared, hidden),
                        checkpoint.require(name.sharedExpert("up_proj"), shared, hidden),
                        checkpoint.require(name.sharedExpert("down_proj"), hidden, shared)),
                checkpoint.require(name.sharedExpertGate(), 1, hidden));
    }

    /// One routed expert, whether the release fuses a layer's experts into two tensors or gives each its own.
    public ExpertWeights expert(int layer, int expert) {
        TensorNames.Layer name = layerNames(layer);
        Objects.checkIndex(expert, config.experts());
        int hidden = config.hiddenSize();
        int inner = config.moeIntermediateSize();
        if (!checkpoint.contains(name.fusedGateUp())) {
            return new ExpertWeights(
                    checkpoint.require(name.expert(expert, "gate_proj"), inner, hidden),
                    checkpoint.require(name.expert(expert, "up_proj"), inner, hidden),
                    checkpoint.require(name.expert(expert, "down_proj"), hidden, inner));
        }
        Tensor gateUp =
                checkpoint
                        .require(name.fusedGateUp(), config.experts(), 2L * inner, hidden)
                        .slice(expert);
        Tensor down =
                checkpoint.require(name.fusedDown(), config.experts(), hidden, inner).slice(expert);
        return new ExpertWeights(gateUp.slices(0, inner), gateUp.slices(inner, inner), down);
    }

    /// The multi-token prediction module, if the configuration and the checkpoint have one.
    ///
    /// Exports that leave its tensors out but keep its number in the configuration are common, so that is no error.
    public Optional<MtpWeights> mtp() {
        if (config.mtpLayers() == 0 || !checkpoint.contains(names.mtpProjection())) {
            return Optional.empty();
        }
        int hidden = config.hiddenSize();
        return Optional.of(
                new MtpWeights(
                        checkpoint.require(names.mtpProjection(), hidden, 2L * hidden),
                        vector(names.mtpEmbeddingNorm(), hidden),
                        vector(names.mtpHiddenNorm(), hidden),
                        IntStream.range(0, config.mtpLayers())
                                .mapToObj(i -> layer(config.layerCount() + i))
                                .toList(),
                        vector(names.mtpFinalNorm(), hidden)));
    }

    private MixerWeights.Attention attention(TensorNames.Layer name) {
        int hidden = config.hiddenSize();
        long queries = (long) config.attentionHeads() * config.headDim();
        long keys = (long) config.keyValueHeads() * config.headDim();
        return new MixerWeights.Attention(
                checkpoint.require(name.attention("q_proj.weight"), 2 * queries, hidden),
                checkpoint.require(name.attention("k_proj.weight"), keys, hidden),
                checkpoint.require(name.attention("v_proj.weight"), keys, hidden),
                checkpoint.require(name.attention("o_proj.weight"), hidden, queries),
                vector(name.attention("q_norm.weight"), config.headDim()),
                vector(name.attention("k_norm.weight"), config.headDim()));
    }

    private MixerWeights.DeltaNet deltaNet(TensorNames.Layer name) {
        int hidden = config.hiddenSize();
        int valueHeads = config.linearValueHeads();
        return new MixerWeights.DeltaNet(
                checkpoint.require(
                        name.linearAttention("in_proj_qkv.weight"), config.convDim(), hidden),
                checkpoint.require(
                        name.linearAttention("in_proj_z.weight"), config.linearValueDim(), hidden),
                checkpoint.require(name.linearAttention("in_proj_b.weight"), valueHeads, hidden),
                checkpoint.require(name.linearAttention("in_proj_a.weight"), valueHeads, hidden),
                checkpoint.require(
                        name.linearAttention("conv1d.weight"),
                        config.convDim(),
                        1,
                        config.convKernel()),
                vector(name.linearAttention("A_log"), valueHeads),
                vector(name.linearAttention("dt_bias"), valueHeads),
                vector(name.linearAttention("norm.weight"), config.linearValueHeadDim()),
                checkpoint.require(
                        name.linearAttention("out_proj.weight"), hidden, config.linearValueDim()));
    }

    private Tensor vector(String name, int size) {
        return checkpoint.require(name, (long) size);
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
