package io.atoll.attention.forward;

import io.atoll.attention.state.LazyMemory;
import io.atoll.attention.state.StateShape;
import io.atoll.model.config.TextConfig;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;

/// What Gated DeltaNet layers keep of rows that may turn out not to count: drafts that are being verified (model spec D).
///
/// The delta rule cannot be undone exactly, and a copy of all states would be as large as they are. So provisional rows run over a
/// copy of one layer's states, which the next layer uses again, and what they brought to the rule stays: the projections before the
/// convolution, decays and write strengths. When it is known how many rows count, those are applied to the states, by the
/// same kernels, so the states are the same bits as if the others had never been there.
final class ProvisionalRows {
    private final TextConfig config;
    private final StateShape shape;
    private final int maxRows;
    private final MemorySegment scratch; // [maxRows, state]: a part begins at its journal row
    private final MemorySegment journal; // [linearLayers][u | decay | beta], each [maxRows, width]

    /// @param maxRows most provisional rows of a step; 0 if there are never any
    ProvisionalRows(StateShape shape, int maxRows, Arena arena) {
        this.config = shape.config();
        this.shape = shape;
        this.maxRows = maxRows;
        scratch = LazyMemory.allocate(maxRows * stateBytes(), "states of drafts", arena);
        journal = LazyMemory.allocate(shape.linearLayers() * layerBytes(), "rows of drafts", arena);
    }

    private long stateBytes() {
        return shape.recurrentBytes() + shape.convBytes();
    }

    private long layerBytes() {
        return (long) maxRows * (config.convDim() + 2L * config.linearValueHeads()) * Float.BYTES;
    }

    /// Room for a layer's recurrent state.
    MemorySegment scratchRecurrent(StepBatch.Part part) {
        return scratch.asSlice(part.journalRow() * stateBytes(), shape.recurrentBytes());
    }

    /// Room for a layer's convolution state.
    MemorySegment scratchConv(StepBatch.Part part) {
        return scratch.asSlice(
                part.journalRow() * stateBytes() + shape.recurrentBytes(), shape.convBytes());
    }

    /// Keeps what a part's rows brought to the rule.
    void keep(int linearLayer, StepBatch.Part part, Workspace workspace) {
        GatedDeltaNet.Inputs kept = kept(linearLayer);
        int heads = config.linearValueHeads();
        for (int i = 0; i < part.rows(); i++) {
            int from = part.firstRow() + i;
            int to = part.journalRow() + i;
            Rows.copy(workspace.queryKeyValue, from, kept.queryKeyValue(), to, config.convDim());
            Rows.copy(workspace.decay, from, kept.decay(), to, heads);
            Rows.copy(workspace.beta, from, kept.beta(), to, heads);
        }
    }

    /// What a layer's provisional rows brought to the rule; without states.
    GatedDeltaNet.Inputs kept(int linearLayer) {
        MemorySegment layer = journal.asSlice(linearLayer * layerBytes(), layerBytes());
        long decayAt = (long) maxRows * config.convDim() * Float.BYTES;
        long betaAt = decayAt + (long) maxRows * config.linearValueHeads() * Float.BYTES;
        return new GatedDeltaNet.Inputs(
                layer,
                layer.asSlice(decayAt),
                layer.asSlice(betaAt),
                MemorySegment.NULL,
                MemorySegment.NULL);
    }

    /// The provisional parts of a batch that have rows that count, standing where the journal has them.
    ///
    /// @param counts of each part of the batch, how many of its rows count
    static List<StepBatch.Part> committed(StepBatch batch, int[] counts) {
        List<StepBatch.Part> parts = new ArrayList<>();
        for (int i = 0; i < counts.length; i++) {
            StepBatch.Part part = batch.parts().get(i);
            if (part.isProvisional() && counts[i] > 0) {
                parts.add(new StepBatch.Part(part.state(), part.journalRow(), counts[i], -1));
            }
        }
        return parts;
    }
}
