package io.atoll.attention.forward;

import io.atoll.attention.forward.Projections.Projection;
import io.atoll.attention.forward.StageTimes.Stage;
import io.atoll.model.config.TextConfig;
import java.lang.foreign.MemorySegment;
import java.util.List;

/// A Gated DeltaNet layer's mixer (model spec B.2): projections, causal convolution, the gated delta rule row by row, a gated
/// norm and the output projection.
final class GatedDeltaNet implements Mixer {
    private final DenseWeights.DeltaNet weights;
    private final int linearLayer;
    private final TextConfig config;
    private final Workspace workspace;
    private final Compute compute;
    private final Projections inputs;
    private final ProvisionalRows provisional;

    /// @param linearLayer which of the model's Gated DeltaNet layers this is
    /// @param provisional keeps the inputs of rows that may not count
    GatedDeltaNet(
            DenseWeights.DeltaNet weights,
            int linearLayer,
            TextConfig config,
            Workspace workspace,
            ProvisionalRows provisional,
            Compute compute) {
        this.provisional = provisional;
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
                batch.parts(),
                config.linearKeyHeads(),
                convolutionWork() + config.valueHeadsPerKeyHead() * deltaRuleWork(),
                (part, headBegin, headEnd) -> {
                    mix(inputsOf(part), part, headBegin, headEnd);
                    int valueHeads = config.valueHeadsPerKeyHead();
                    normAndGate(part, headBegin * valueHeads, headEnd * valueHeads);
                });
        batch.parts().stream()
                .filter(StepBatch.Part::isProvisional)
                .forEach(part -> provisional.keep(linearLayer, part, workspace));
        compute.times().end(Stage.DELTA_RULE);
        Projections.apply(
                compute, workspace.quantized, weights.output(), workspace.deltaOutput, rows, out);
        compute.times().end(Stage.MIXER_PROJECTIONS);
    }

    /// Applies the first rows of provisional parts to the states, which are then as if no more rows had been there.
    ///
    /// @param parts of [ProvisionalRows#committed]
    void commit(List<StepBatch.Part> parts) {
        Inputs kept = provisional.kept(linearLayer);
        compute.splitHeads(
                parts,
                config.linearKeyHeads(),
                convolutionWork() + config.valueHeadsPerKeyHead() * deltaRuleWork(),
                (part, headBegin, headEnd) ->
                        mix(
                                new Inputs(
                                        kept.queryKeyValue(),
                                        kept.decay(),
                                        kept.beta(),
                                        part.state().conv(linearLayer),
                                        part.state().recurrent(linearLayer)),
                                part,
                                headBegin,
                                headEnd));
    }

    /// What the rows of a part meet on their way from the projections to the state, and the states.
    ///
    /// @param queryKeyValue `[R, convDim]`
    /// @param decay `[R, valueHeads]`
    /// @param beta `[R, valueHeads]`
    /// @param conv `[width - 1, convDim]`
    /// @param recurrent `[valueHeads, keyDim, valueDim]`
    record Inputs(
            MemorySegment queryKeyValue,
            MemorySegment decay,
            MemorySegment beta,
            MemorySegment conv,
            MemorySegment recurrent) {}

    private Inputs inputsOf(StepBatch.Part part) {
        return new Inputs(
                workspace.queryKeyValue,
                workspace.decay,
                workspace.beta,
                part.isProvisional()
                        ? provisional.scratchConv(part)
                        : part.state().conv(linearLayer),
                part.isProvisional()
                        ? provisional.scratchRecurrent(part)
                        : part.state().recurrent(linearLayer));
    }

    /// Convolution and delta rule of some key heads and the value heads that go with them.
    private void mix(Inputs in, StepBatch.Part part, int headBegin, int headEnd) {
        int valueHeads = config.valueHeadsPerKeyHead();
        if (part.isProvisional()) {
            copyStates(part, in, headBegin, headEnd);
        }
        convolve(in, part, headBegin, headEnd);
        applyDeltaRule(in, part, headBegin * valueHeads, headEnd * valueHeads);
    }

    /// Copies the states of some heads, to be used in their place.
    private void copyStates(StepBatch.Part part, Inputs to, int headBegin, int headEnd) {
        int keyDim = config.linearKeyHeadDim();
        int valueDim = config.linearValueHeadDim();
        int valueHeads = config.valueHeadsPerKeyHead();
        long headBytes = (long) keyDim * valueDim * Float.BYTES;
        long begin = (long) headBegin * valueHeads * headBytes;
        MemorySegment.copy(
                part.state().recurrent(linearLayer),
                begin,
                to.recurrent(),
                begin,
                (long) (headEnd - headBegin) * valueHeads * headBytes);
        int keysAt = config.linearKeyDim();
        int valuesAt = 2 * config.linearKeyDim();
        int valueWidth = valueHeads * valueDim;
        copyChannels(part, to, headBegin * keyDim, headEnd * keyDim);
        copyChannels(part, to, keysAt + headBegin * keyDim, keysAt + headEnd * keyDim);
        copyChannels(part, to, valuesAt + headBegin * valueWidth, valuesAt + headEnd * valueWidth);
    }

    private void copyChannels(StepBatch.Part part, Inputs to, int begin, int end) {
        for (int row = 0; row < config.convKernel() - 1; row++) {
            long at = ((long) row * config.convDim() + begin) * Float.BYTES;
            MemorySegment.copy(
                    part.state().conv(linearLayer),
                    at,
                    to.conv(),
                    at,
                    (long) (end - begin) * Float.BYTES);
        }
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
    private void convolve(Inputs in, StepBatch.Part part, int headBegin, int headEnd) {
        int keyDim = config.linearKeyHeadDim();
        int valueWidth = config.valueHeadsPerKeyHead() * config.linearValueHeadDim();
        int keysAt = config.linearKeyDim();
        int valuesAt = 2 * config.linearKeyDim();
        convolveChannels(in, part, headBegin * keyDim, headEnd * keyDim);
        convolveChannels(in, part, keysAt + headBegin * keyDim, keysAt + headEnd * keyDim);
        convolveChannels(
                in, part, valuesAt + headBegin * valueWidth, valuesAt + headEnd * valueWidth);

        float queryScale = (float) (1 / Math.sqrt(keyDim));
        normalise(part, headBegin * keyDim, headEnd - headBegin, queryScale);
        normalise(part, keysAt + headBegin * keyDim, headEnd - headBegin, 1f);
    }

    private void convolveChannels(
            Inputs in, StepBatch.Part part, int channelBegin, int channelEnd) {
        int channels = config.convDim();
        compute.kernels()
                .causalConv(
                        Rows.from(in.queryKeyValue(), part.firstRow(), channels),
                        weights.conv(),
                        in.conv(),
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

    private void applyDeltaRule(Inputs in, StepBatch.Part part, int headBegin, int headEnd) {
        int heads = config.linearValueHeads();
        compute.kernels()
                .gatedDeltaRule(
                        Rows.from(workspace.convolved, part.firstRow(), config.convDim()),
                        Rows.from(in.decay(), part.firstRow(), heads),
                        Rows.from(in.beta(), part.firstRow(), heads),
                        in.recurrent(),
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
