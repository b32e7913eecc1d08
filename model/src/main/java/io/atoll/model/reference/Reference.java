package io.atoll.model.reference;

import io.atoll.kernels.Kernels;
import io.atoll.kernels.KvFormat;
import io.atoll.model.ModelDirectory;
import io.atoll.model.config.RopeParameters;
import io.atoll.model.config.TextConfig;
import io.atoll.model.vision.VisualInput;
import java.util.Optional;

/// The text model in one process: opens sequences and runs every layer over their tokens.
///
/// Weights keep their values, and sums are those of the kernels' contract, so an engine that keeps to the contract gives the same bits
/// as this one, whatever kernel family either uses. One thread at a time.
public final class Reference implements AutoCloseable {
    /// Binary digits behind the point of the grid on which experts' outputs are added.
    public static final int COMBINE_FRACTION_BITS = 20;

    private final Kernels kernels;
    private final TextConfig config;
    private final Weights weights;
    private final KvFormat kvFormat;
    private final boolean ownsWeights;

    private Reference(
            Kernels kernels,
            TextConfig config,
            Weights weights,
            KvFormat kvFormat,
            boolean ownsWeights) {
        this.kernels = kernels;
        this.config = config;
        this.weights = weights;
        this.kvFormat = kvFormat;
        this.ownsWeights = ownsWeights;
    }

    /// Keys and values in f32.
    public static Reference open(ModelDirectory model, Kernels kernels) {
        return open(model, kernels, KvFormat.F32);
    }

    /// Packs the dense weights of a model.
    ///
    /// @param model borrowed: must stay open, since experts are read when they are first needed
    /// @throws io.atoll.model.checkpoint.CheckpointException if a weight is missing or does not fit the configuration
    public static Reference open(ModelDirectory model, Kernels kernels, KvFormat kvFormat) {
        return new Reference(
                kernels, model.config().text(), new Weights(model.textWeights()), kvFormat, true);
    }

    /// The same weights under other rotary parameters. The result borrows this reference, which has to stay open longer.
    public Reference withRope(RopeParameters rope) {
        return new Reference(kernels, config.withRope(rope), weights, kvFormat, false);
    }

    public TextConfig config() {
        return config;
    }

    /// An empty sequence; the caller closes it before this reference.
    public Session session() {
        return session(VisualInput.NONE);
    }

    /// An empty sequence with pictures.
    ///
    /// @throws IllegalArgumentException if an embedding is not as wide as the model's
    public Session session(VisualInput visual) {
        return open(visual, Optional.empty());
    }

    private Session open(VisualInput visual, Optional<Weights.Predictor> predictor) {
        visual.checkWidth(config.hiddenSize());
        return new Session(
                kernels,
                config,
                weights,
                new Rotary(config.rope(), config.rotaryDim()),
                kvFormat,
                predictor,
                visual);
    }

    /// Whether the model has a multi-token prediction module.
    public boolean predicts() {
        return weights.predictor().isPresent();
    }

    /// An empty sequence like [#session()] that also runs the multi-token prediction module over its tokens, so that it can
    /// draft.
    ///
    /// @throws IllegalStateException if the model has no such module
    public Session draftingSession() {
        if (!predicts()) {
            throw new IllegalStateException("the model has no multi-token prediction module");
        }
        return open(VisualInput.NONE, weights.predictor());
    }

    @Override
    public void close() {
        if (ownsWeights) {
            weights.close();
        }
    }
}
