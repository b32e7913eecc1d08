package io.atoll.attention.forward;

import io.atoll.attention.forward.Projections.Projection;
import io.atoll.attention.forward.StageTimes.Stage;
import io.atoll.attention.state.SequenceStates;
import io.atoll.kernels.Kernels;
import io.atoll.model.config.TextConfig;
import java.lang.foreign.MemorySegment;

/// A full-attention layer's mixer (model spec B.3): projections, head norms and rotary embedding, softmax attention over the
/// KV blocks, the output gate and the output projection.
final class GatedAttention implements Mixer {
    private final DenseWeights.Attention weights;
    private final MemorySegment keyValues;
    private final RotaryTable rotary;
    private final TextConfig config;
    private final Workspace workspace;
    private final Compute compute;
    private final Projections inputs;

    /// @param keyValues this layer's memory of all KV blocks
    GatedAttention(
            DenseWeights.Attention weights,
            MemorySegment keyValues,
            RotaryTable rotary,
            TextConfig config,
            Workspace workspace,
            Compute compute) {
        this.weights = weights;
        this.keyValues = keyValues;
        this.rotary = rotary;
        this.config = config;
        this.workspace = workspace;
        this.compute = compute;
        inputs =
                new Projections(
                        compute,
                        workspace.quantized,
                        new Projection(weights.query(), workspace.queryAndGate),
                        new Projection(weights.key(), workspace.keys),
                        new Projection(weights.value(), workspace.values));
    }

    @Override
    public void forward(StepBatch batch, MemorySegment x, MemorySegment out) {
        int rows = batch.rows();
        int queryWidth = config.attentionHeads() * config.headDim();
        inputs.apply(x, rows);
        compute.times().end(Stage.MIXER_PROJECTIONS);
        compute.splitRows(
                rows,
                2 * queryWidth,
                (begin, end) -> {
                    normHeads(begin, end - begin);
                    for (int row = begin; row < end; row++) {
                        turn(row);
                        store(batch, row);
                    }
                });
        attend(batch);
        compute.splitRows(rows, queryWidth, (begin, end) -> gate(begin, end - begin));
        compute.times().end(Stage.ATTENTION);
        Projections.apply(
                compute, workspace.quantized, weights.output(), workspace.attended, rows, out);
        compute.times().end(Stage.MIXER_PROJECTIONS);
    }

    /// Norms the queries out of their places beside the gates, and the keys in place.
    private void normHeads(int firstRow, int rows) {
        int headDim = config.headDim();
        int queryWidth = config.attentionHeads() * headDim;
        int keyWidth = config.keyValueHeads() * headDim;
        Kernels kernels = compute.kernels();
        kernels.rmsNorm(
                Rows.from(workspace.queryAndGate, firstRow, 2 * queryWidth),
                2 * headDim,
                weights.queryNorm(),
                config.rmsNormEps(),
                Rows.from(workspace.queries, firstRow, queryWidth),
                headDim,
                rows * config.attentionHeads(),
                headDim);
        MemorySegment keys = Rows.from(workspace.keys, firstRow, keyWidth);
        kernels.rmsNorm(
                keys,
                headDim,
                weights.keyNorm(),
                config.rmsNormEps(),
                keys,
                headDim,
                rows * config.keyValueHeads(),
                headDim);
    }

    private void turn(int row) {
        int headDim = config.headDim();
        MemorySegment cos = rotary.cos(row);
        MemorySegment sin = rotary.sin(row);
        compute.kernels()
                .rotary(
                        Rows.from(workspace.queries, row, config.attentionHeads() * headDim),
                        config.attentionHeads(),
                        headDim,
                        config.rotaryDim(),
                        cos,
                        sin);
        compute.kernels()
                .rotary(
                        Rows.from(workspace.keys, row, config.keyValueHeads() * headDim),
                        config.keyValueHeads(),
                        headDim,
                        config.rotaryDim(),
                        cos,
                        sin);
    }

    /// Copies a row's keys and values to its place in the sequence's blocks.
    private void store(StepBatch batch, int row) {
        int blockTokens = SequenceStates.BLOCK_TOKENS;
        int position = batch.position(row);
        long block = batch.partOf(row).state().blockTable().offset(position / blockTokens);
        long headBytes = (long) config.headDim() * Float.BYTES;
        int heads = config.keyValueHeads();
        for (int head = 0; head < heads; head++) {
            long from = ((long) row * heads + head) * headBytes;
            long key = block + ((long) head * blockTokens + position % blockTokens) * headBytes;
            long value = key + (long) heads * blockTokens * headBytes;
            MemorySegment.copy(workspace.keys, from, keyValues, key, headBytes);
            MemorySegment.copy(workspace.values, from, keyValues, value, headBytes);
        }
    }

    /// Attention of each row over its sequence up to and with itself. A task takes every n-th item, since later rows of a
    /// prompt have more to read.
    private void attend(StepBatch batch) {
        int keyValueHeads = config.keyValueHeads();
        int group = config.queryHeadsPerKeyValueHead();
        // Query heads of one key and value head stay together, to read it once, unless that leaves
        // threads idle.
        int pieces =
                Math.clamp(compute.pool().threads() / (batch.rows() * keyValueHeads), 1, group);
        int headsPerItem = (group + pieces - 1) / pieces;
        int itemsPerGroup = (group + headsPerItem - 1) / headsPerItem;
        int items = batch.rows() * keyValueHeads * itemsPerGroup;
        long pairs = 0;
        for (int row = 0; row < batch.rows(); row++) {
            pairs += batch.position(row) + 1;
        }
        long work = 2 * pairs * config.attentionHeads() * config.headDim();
        int tasks = compute.tasks(items, work);
        compute.split(
                tasks,
                work,
                (begin, end) -> {
                    for (int task = begin; task < end; task++) {
                        for (int item = task; item < items; item += tasks) {
                            int groupIndex = item / itemsPerGroup;
                            int first = item % itemsPerGroup * headsPerItem;
                            int base = groupIndex % keyValueHeads * group;
                            attendHeads(
                                    batch,
                                    groupIndex / keyValueHeads,
                                    base + first,
                                    base + Math.min(first + headsPerItem, group),
                                    workspace.attentionScratch(task));
                        }
                    }
                });
    }

    private void attendHeads(
            StepBatch batch, int row, int headBegin, int headEnd, MemorySegment scratch) {
        int queryWidth = config.attentionHeads() * config.headDim();
        compute.kernels()
                .attention(
                        Rows.from(workspace.queries, row, queryWidth),
                        keyValues,
                        batch.partOf(row).state().blockTable().offsets(),
                        SequenceStates.BLOCK_TOKENS,
                        batch.position(row) + 1,
                        config.attentionHeads(),
                        config.keyValueHeads(),
                        config.headDim(),
                        (float) (1 / Math.sqrt(config.headDim())),
                        Rows.from(workspace.attended, row, queryWidth),
                        scratch,
                        headBegin,
                        headEnd);
    }

    private void gate(int firstRow, int rows) {
        int headDim = config.headDim();
        int queryWidth = config.attentionHeads() * headDim;
        compute.kernels()
                .sigmoidGate(
                        Rows.from(workspace.attended, firstRow, queryWidth),
                        Rows.from(workspace.queryAndGate, firstRow, 2 * queryWidth, headDim),
                        2 * headDim,
                        rows * config.attentionHeads(),
                        headDim);
    }
}
