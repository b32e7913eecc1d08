package io.atoll.attention.forward;

import io.atoll.attention.forward.Projections.Projection;
import io.atoll.attention.forward.StageTimes.Stage;
import io.atoll.kernels.Kernels;
import io.atoll.kernels.KvLayout;
import io.atoll.model.config.TextConfig;
import java.lang.foreign.MemorySegment;
import java.util.List;

/// A full-attention layer's mixer (model spec B.3): projections, head norms and rotary embedding, softmax attention over the
/// KV blocks, the output gate and the output projection.
final class GatedAttention implements Mixer {
    private final DenseWeights.Attention weights;
    private final KvLayout layout;
    private final MemorySegment keyValues;
    private final RotaryTable rotary;
    private final AttentionSchedule schedule;
    private final TextConfig config;
    private final Workspace workspace;
    private final Compute compute;
    private final Projections inputs;

    /// @param layout of the KV blocks
    /// @param keyValues this layer's memory of all KV blocks
    /// @param rotary of the step that runs, as is `schedule`
    GatedAttention(
            DenseWeights.Attention weights,
            KvLayout layout,
            MemorySegment keyValues,
            RotaryTable rotary,
            AttentionSchedule schedule,
            TextConfig config,
            Workspace workspace,
            Compute compute) {
        this.weights = weights;
        this.layout = layout;
        this.keyValues = keyValues;
        this.rotary = rotary;
        this.schedule = schedule;
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
        attend();
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
        int width = config.keyValueHeads() * config.headDim();
        layout.store(
                compute.kernels(),
                Rows.from(workspace.keys, row, width),
                Rows.from(workspace.values, row, width),
                keyValues,
                batch.partOf(row).state().blockTable().offsets(),
                batch.position(row));
    }

    /// Attention of each row over its sequence up to and with itself. A task takes every n-th piece.
    private void attend() {
        List<AttentionSchedule.Piece> pieces = schedule.pieces();
        long work = 2 * schedule.cost() * config.headDim();
        int tasks = compute.tasks(pieces.size(), work);
        compute.split(
                tasks,
                work,
                (begin, end) -> {
                    for (int task = begin; task < end; task++) {
                        MemorySegment scratch = workspace.attentionScratch(task);
                        for (int i = task; i < pieces.size(); i += tasks) {
                            switch (pieces.get(i)) {
                                case AttentionSchedule.Rows rows -> attendRows(rows, scratch);
                                case AttentionSchedule.Span span -> attendSpan(span, scratch);
                            }
                        }
                    }
                });
        if (!schedule.splitRows().isEmpty()) {
            mergeSpans();
        }
    }

    private void attendRows(AttentionSchedule.Rows rows, MemorySegment scratch) {
        int width = config.attentionHeads() * config.headDim();
        compute.kernels()
                .attention(
                        Rows.from(workspace.queries, rows.row(), width),
                        rows.rows(),
                        layout,
                        keyValues,
                        rows.part().state().blockTable().offsets(),
                        rows.length(),
                        config.attentionHeads(),
                        scale(),
                        Rows.from(workspace.attended, rows.row(), width),
                        scratch,
                        rows.headBegin(),
                        rows.headEnd());
    }

    private void attendSpan(AttentionSchedule.Span span, MemorySegment scratch) {
        int heads = config.attentionHeads();
        compute.kernels()
                .attentionSpan(
                        Rows.from(workspace.queries, span.row(), heads * config.headDim()),
                        layout,
                        keyValues,
                        span.part().state().blockTable().offsets(),
                        span.length(),
                        span.span(),
                        heads,
                        scale(),
                        workspace.attentionPart(span.index()),
                        scratch,
                        span.headBegin(),
                        span.headEnd());
    }

    private float scale() {
        return (float) (1 / Math.sqrt(config.headDim()));
    }

    private void mergeSpans() {
        List<AttentionSchedule.SplitRow> rows = schedule.splitRows();
        int heads = config.attentionHeads();
        compute.split(
                rows.size() * heads,
                (long) schedule.parts() * heads * config.headDim(),
                (begin, end) -> {
                    for (int item = begin; item < end; item++) {
                        AttentionSchedule.SplitRow split = rows.get(item / heads);
                        int head = item % heads;
                        compute.kernels()
                                .mergeSpans(
                                        workspace.attentionPart(split.firstPart()),
                                        split.spans(),
                                        heads,
                                        config.headDim(),
                                        Rows.from(
                                                workspace.attended,
                                                split.row(),
                                                heads * config.headDim()),
                                        head,
                                        head + 1);
                    }
                });
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
