package io.atoll.attention.forward;

import io.atoll.attention.forward.Projections.Projection;
import io.atoll.attention.forward.StageTimes.Stage;
import io.atoll.model.config.TextConfig;
import java.lang.foreign.MemorySegment;

/// A Gated DeltaNet layer's mixer (model spec B.2): projections, causal convolution, the gated delta rule row by row, a gated
/// norm and the output projection.
final class GatedDeltaNet implements Mixer {
    private final DenseWeights.DeltaNet weights;
    private final int linearLayer;
    private final TextConfig config;
    private final Workspace workspace;
    private final Compute compute;
    private final Projections inputs;

    /// @param linearLayer which of the model's Gated DeltaNet layers this is
    GatedDeltaNet(
            DenseWeights.DeltaNet weights,
            int linearLayer,
            TextConfig config,
            Workspace workspace,
            Compute compute) {
        this.weights = weights;
        this.linearLayer = linearLayer;
        this.config = config;
        this.workspace = workspace;
        this.compute = compute;
        inputs =
                new Projections(
                        compute,
                        workspace.quantized,
                        new Projection(weights.queryKeyValue(), workspace.queryKeyValue),
                        new Projection(weights.gate(), workspace.outputGate),
                        new Projection(weights.beta(), workspace.betaInput),
                        new Projection(weights.decay(), workspace.decayInput));
    }

    @Override
    public void forward(StepBatch batch, MemorySegment x, MemorySegment out) {
        int rows = batch.rows();
        inputs.apply(x, rows);
        compute.times().end(Stage.MIXER_PROJECTIONS);
        computeGates(rows);
        // What belongs to a key head stays with one thread, and its rows in that thread's cache.
        compute.splitHeads(
                batch,
                config.linearKeyHeads(),
                convolutionWork() + config.valueHeadsPerKeyHead() * deltaRuleWork(),
                (part, headBegin, headEnd) -> {
                    convolve(part, headBegin, headEnd);
                    int valueHeads = config.valueHeadsPerKeyHead();
                    applyDeltaRule(part, headBegin * valueHeads, headEnd * valueHeads);
                    normAndGate(part, headBegin * valueHeads, headEnd * valueHeads);
                });
        compute.times().end(Stage.DELTA_RULE);
        Projections.apply(
                compute, workspace.quantized, weights.output(), workspace.deltaOutput, rows, out);
        compute.times().end(Stage.MIXER_PROJECTIONS);
    }

    /// Multiply-adds of the channels that go with one key head: the taps, and about as much again for SiLU and norm.
    private int convolutionWork() {
        return 4 * config.convKernel() * config.convDim() / config.linearKeyHeads();
    }

    /// Multiply-adds of one value head: decay, read, write and read again of its state.
    private int deltaRuleWork() {
        return 4 * config.linearKeyHeadDim() * config.linearValueHeadDim();
    }

    private void computeGates(int rows) {
        int heads = config.linearValueHeads();
        // A gate takes some dozen operations where a plain element takes one.
        compute.splitRows(
                rows,
                32 * heads,
                (begin, end) ->
                        compute.kernels()
                                .deltaGates(
                                        Rows.from(workspace.decayInput, begin, heads),
                                        Rows.from(workspace.betaInput, begin, heads),
                                        weights.decayLog(),
                                        weights.decayBias(),
                                        Rows.from(workspace.decay, begin, heads),
                                        Rows.from(workspace.beta, begin, heads),
                                        end - begin,
                                        heads));
    }

    /// Convolves the channels of some key heads and of the value heads that go with them, then normalises their queries
    /// and keys.
    private void convolve(StepBatch.Part part, int headBegin, int headEnd) {
        int keyDim = config.linearKeyHeadDim();
        int valueWidth = config.valueHeadsPerKeyHead() * config.linearValueHeadDim();
        int keysAt = config.linearKeyDim();
        int valuesAt = 2 * config.linearKeyDim();
        convolveChannels(part, headBegin * keyDim, headEnd * keyDim);
        convolveChannels(part, keysAt + headBegin * keyDim, keysAt + headEnd * keyDim);
        convolveChannels(part, valuesAt + headBegin * valueWidth, valuesAt + headEnd * valueWidth);

        float queryScale = (float) (1 / Math.sqrt(keyDim));
        normalise(part, headBegin * keyDim, headEnd - headBegin, queryScale);
        normalise(part, keysAt + headBegin * keyDim, headEnd - headBegin, 1f);
    }

    private void convolveChannels(StepBatch.Part part, int channelBegin, int channelEnd) {
        int channels = config.convDim();
        compute.kernels()
                .causalConv(
                        Rows.from(workspace.queryKeyValue, part.firstRow(), channels),
                        weights.conv(),
                        part.state().conv(linearLayer),
                        Rows.from(workspace.convolved, part.firstRow(), channels),
                        part.rows(),
                        channels,
                        config.convKernel(),
                        channelBegin,
                        channelEnd);
    }

    private void normalise(StepBatch.Part part, int channel, int heads, float scale) {
        compute.kernels()
                .l2Norm(
                        Rows.from(workspace.convolved, part.firstRow(), config.convDim(), channel),
                        config.convDim(),
                        part.rows(),
                        heads,
                        config.linearKeyHeadDim(),
                        scale);
    }

    private void applyDeltaRule(StepBatch.Part part, int headBegin, int headEnd) {
        int heads = config.linearValueHeads();
        compute.kernels()
                .gatedDeltaRule(
                        Rows.from(workspace.convolved, part.firstRow(), config.convDim()),
                        Rows.from(workspace.decay, part.firstRow(), heads),
                        Rows.from(workspace.beta, part.firstRow(), heads),
                        part.state().recurrent(linearLayer),
                        Rows.from(workspace.remembered, part.firstRow(), config.linearValueDim()),
                        part.rows(),
                        config.linearKeyHeads(),
                        heads,
                        config.linearKeyHeadDim(),
                        config.linearValueHeadDim(),
                        headBegin,
                        headEnd);
    }

    /// Norms and gates the delta rule's outputs, each head to where the output projection expects it.
    private void normAndGate(StepBatch.Part part, int headBegin, int headEnd) {
        if (weights.outputHeads().isEmpty()) {
            normAndGate(part, headBegin, headEnd, headBegin);
            return;
        }
        int[] places = weights.outputHeads().get();
        for (int head = headBegin; head < headEnd; head++) {
            normAndGate(part, head, head + 1, places[head]);
        }
    }

    private void normAndGate(StepBatch.Part part, int headBegin, int headEnd, int place) {
        int width = config.linearValueDim();
        int headDim = config.linearValueHeadDim();
        compute.kernels()
                .gatedRmsNorm(
                        Rows.from(
                                workspace.remembered, part.firstRow(), width, headBegin * headDim),
                        Rows.from(
                                workspace.outputGate, part.firstRow(), width, headBegin * headDim),
                        width,
                        weights.norm(),
                        config.rmsNormEps(),
                        Rows.from(workspace.deltaOutput, part.firstRow(), width, place * headDim),
                        width,
                        part.rows(),
                        headEnd - headBegin,
                        headDim);
    }
}
