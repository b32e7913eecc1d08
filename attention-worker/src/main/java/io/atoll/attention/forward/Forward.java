package io.atoll.attention.forward;

import io.atoll.attention.forward.StageTimes.Stage;
import io.atoll.attention.moe.RoutedExperts;
import io.atoll.attention.state.SequenceStates;
import io.atoll.kernels.Kernels;
import io.atoll.model.config.TextConfig;
import io.atoll.model.trace.ForwardObserver;
import io.atoll.model.weights.TextWeights;
import io.atoll.proto.ErrorCode;
import io.atoll.proto.Failure;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/// The forward pass: embedding, decoder layers, final norm and LM head over the rows of one step (model spec B.0).
///
/// Rows of several sequences run together: matrices are multiplied over all rows at once, and mixers take each sequence's
/// rows with its own state. A row's result does not depend on the company it has, on where a prompt was cut, or on the number
/// of threads, because every operation of [io.atoll.kernels.Kernels] fixes its order for each row alone.
///
/// Owns the weights and all buffers, which are allocated here, once. One step at a time.
public final class Forward implements AutoCloseable {
    private final Arena arena = Arena.ofShared();
    private final TextConfig config;
    private final Compute compute;
    private final Workspace workspace;
    private final RotaryTable rotary;
    private final AttentionSchedule schedule;
    private final Embedding embedding;
    private final List<DecoderLayer> layers;
    private final RmsNorm finalNorm;
    private final LanguageModelHead head;
    private final ProvisionalRows provisional;
    private final Optional<Prediction> prediction;
    private final boolean quantizesRows;
    private final long layerBytes;
    private MemorySegment logits;

    /// Loads and packs the dense weights.
    ///
    /// @param weights must stay open: embeddings are read from the model's files as they are needed
    /// @param maxRows most rows of a step
    /// @param maxLogitRows most rows of a step whose logits are wanted
    /// @param predicts whether the multi-token prediction module runs too, which the model must have then
    /// @param maxProvisionalRows most rows of a step that may turn out not to count
    /// @param combineTimeout longest wait for the expert replies of one layer
    public Forward(
            TextWeights weights,
            RoutedExperts experts,
            SequenceStates states,
            Compute compute,
            int maxRows,
            int maxLogitRows,
            boolean predicts,
            int maxProvisionalRows,
            Duration combineTimeout) {
        config = weights.config();
        this.compute = compute;
        try {
            DenseWeights dense = DenseWeights.load(weights, predicts, compute, arena);
            quantizesRows = dense.quantizesRows();
            layerBytes = dense.layerBytes();
            // A sequence's spans are at most what its blocks hold, and one more that has begun.
            int parts =
                    Math.toIntExact(
                            states.capacityTokens() / Kernels.ATTENTION_SPAN
                                    + states.maxSequences());
            workspace =
                    new Workspace(config, maxRows, maxLogitRows, compute.maxTasks(), parts, arena);
            schedule = new AttentionSchedule(config, compute.pool().threads(), parts);
            rotary = new RotaryTable(config.rope(), config.rotaryDim(), maxRows, arena);
            embedding = new Embedding(weights.embedding());
            provisional = new ProvisionalRows(states.shape(), maxProvisionalRows, arena);
            layers = new ArrayList<>();
            int fullLayer = 0;
            int linearLayer = 0;
            for (int i = 0; i < config.layerCount(); i++) {
                DenseWeights.Layer layer = dense.layers().get(i);
                Mixer mixer =
                        switch (layer.mixer()) {
                            case DenseWeights.Attention attention ->
                                    attention(states, attention, states.keyValues(fullLayer++));
                            case DenseWeights.DeltaNet deltaNet ->
                                    new GatedDeltaNet(
                                            deltaNet,
                                            linearLayer++,
                                            config,
                                            workspace,
                                            provisional,
                                            compute);
                        };
                layers.add(decoderLayer(i, layer, mixer, experts, combineTimeout));
            }
            finalNorm = norm(dense.finalNorm());
            head = new LanguageModelHead(dense.lmHead(), workspace.quantized, compute);
            logits = workspace.logits;
            prediction =
                    dense.prediction()
                            .map(
                                    module ->
                                            prediction(
                                                    module,
                                                    states,
                                                    experts,
                                                    maxRows,
                                                    combineTimeout));
        } catch (RuntimeException | Error e) {
            arena.close();
            throw e;
        }
    }

    private GatedAttention attention(
            SequenceStates states, DenseWeights.Attention weights, MemorySegment keyValues) {
        return new GatedAttention(
                weights, states.layout(), keyValues, rotary, schedule, config, workspace, compute);
    }

    private DecoderLayer decoderLayer(
            int index,
            DenseWeights.Layer weights,
            Mixer mixer,
            RoutedExperts experts,
            Duration combineTimeout) {
        return new DecoderLayer(
                index,
                norm(weights.inputNorm()),
                mixer,
                norm(weights.postMixerNorm()),
                new MixtureOfExperts(
                        index, weights, experts, combineTimeout, config, workspace, compute));
    }

    private Prediction prediction(
            DenseWeights.Prediction module,
            SequenceStates states,
            RoutedExperts experts,
            int maxRows,
            Duration combineTimeout) {
        List<DecoderLayer> own = new ArrayList<>();
        for (int i = 0; i < module.layers().size(); i++) {
            DenseWeights.Layer layer = module.layers().get(i);
            own.add(
                    decoderLayer(
                            config.layerCount() + i,
                            layer,
                            attention(
                                    states,
                                    (DenseWeights.Attention) layer.mixer(),
                                    states.predictionKeyValues(i)),
                            experts,
                            combineTimeout));
        }
        return new Prediction(this, module, own, maxRows, arena);
    }

    /// The multi-token prediction module, if it runs.
    public Optional<Prediction> prediction() {
        return prediction;
    }

    TextConfig config() {
        return config;
    }

    Compute compute() {
        return compute;
    }

    Workspace workspace() {
        return workspace;
    }

    Embedding embedding() {
        return embedding;
    }

    /// Whether some dense weights are packed in integers and so meet rows that are rounded to int8.
    public boolean quantizesRows() {
        return quantizesRows;
    }

    /// Bytes of the weights that every row meets: all dense ones but the LM head.
    public long layerBytes() {
        return layerBytes;
    }

    /// Bytes of the LM head, which only rows that sample meet.
    public long headBytes() {
        return head.weights().data().byteSize();
    }

    /// Where the time of steps goes, if it is asked to count.
    public StageTimes times() {
        return compute.times();
    }

    RmsNorm norm(MemorySegment weight) {
        return new RmsNorm(weight, config.rmsNormEps(), config.hiddenSize(), compute);
    }

    /// Runs every layer over the rows of one step and computes the logits of [StepBatch#logitRows].
    ///
    /// The states of the batch's sequences are read and overwritten; their positions are not advanced. After a failure the
    /// states are of no use.
    ///
    /// @param deadlineNanos [System#nanoTime] at which the step fails
    /// @return empty when the logits are complete
    public Optional<Failure> run(StepBatch batch, ForwardObserver observer, long deadlineNanos) {
        int rows = batch.rows();
        int hidden = config.hiddenSize();
        MemorySegment x = workspace.x;

        compute.times().skip();
        prepare(batch);
        embedding.lookUp(batch, x);
        compute.times().end(Stage.EMBEDDING);
        observer.tensor("embedding", -1, x, rows, hidden);

        Optional<Failure> failure = runLayers(layers, batch, observer, deadlineNanos);
        if (failure.isPresent()) {
            return failure;
        }
        compute.times().end(Stage.NORMS);
        computeLogits(batch, observer);
        compute.times().end(Stage.HEAD);
        return Optional.empty();
    }

    /// Turns the rotary table and the schedule of attention to a batch.
    void prepare(StepBatch batch) {
        rotary.turnTo(batch);
        schedule.plan(batch);
    }

    /// Runs layers over the rows in [Workspace#x].
    Optional<Failure> runLayers(
            List<DecoderLayer> stack,
            StepBatch batch,
            ForwardObserver observer,
            long deadlineNanos) {
        int rows = batch.rows();
        int hidden = config.hiddenSize();
        MemorySegment x = workspace.x;
        MemorySegment normed = workspace.normed;
        MemorySegment branch = workspace.branch;
        for (DecoderLayer layer : stack) {
            if (System.nanoTime() - deadlineNanos >= 0) {
                return Optional.of(
                        new Failure(
                                ErrorCode.DEADLINE_EXCEEDED,
                                "the step's time was over before layer=" + layer.index()));
            }
            layer.inputNorm().apply(x, normed, rows);
            compute.times().end(Stage.NORMS);
            observer.tensor("mixer_input", layer.index(), normed, rows, hidden);
            switch (layer.mixer()) {
                case GatedAttention attention -> attention.forward(batch, normed, branch);
                case GatedDeltaNet deltaNet -> deltaNet.forward(batch, normed, branch);
            }
            observer.tensor("mixer_output", layer.index(), branch, rows, hidden);
            addInPlace(x, branch, rows);

            layer.postMixerNorm().apply(x, normed, rows);
            compute.times().end(Stage.NORMS);
            observer.tensor("moe_input", layer.index(), normed, rows, hidden);
            Optional<Failure> failure =
                    layer.moe().forward(rows, normed, branch, observer, deadlineNanos);
            if (failure.isPresent()) {
                return failure;
            }
            addInPlace(x, branch, rows);
            observer.tensor("output", layer.index(), x, rows, hidden);
        }
        return Optional.empty();
    }

    /// Says how many rows of a batch's provisional pieces count, and applies those to the states of their sequences.
    ///
    /// @param batch of the last run
    /// @param counts of each piece, how many of its rows count; positions are not advanced
    public void commit(StepBatch batch, int[] counts) {
        List<StepBatch.Part> parts = ProvisionalRows.committed(batch, counts);
        if (parts.isEmpty()) {
            return;
        }
        for (DecoderLayer layer : layers) {
            if (layer.mixer() instanceof GatedDeltaNet deltaNet) {
                deltaNet.commit(parts);
            }
        }
        compute.times().end(Stage.DELTA_RULE);
    }

    /// Hidden states of all rows of the last step, after the final norm.
    ///
    /// @param out f32 `[rows, hidden]`, overwritten
    void finalHidden(int rows, MemorySegment out) {
        finalNorm.apply(workspace.x, out, rows);
    }

    /// Logits of rows from elsewhere, in place of those of [#logits(int)].
    ///
    /// @param x f32 `[rows, hidden]`, after a final norm
    void headOver(MemorySegment x, int rows) {
        long bytes = (long) rows * config.vocabSize() * Float.BYTES;
        logits =
                bytes > workspace.logits.byteSize()
                        ? Arena.ofAuto().allocate(bytes, Float.BYTES) // for an observer
                        : workspace.logits;
        head.apply(x, rows, logits);
    }

    /// Logits `[vocabSize]` of the `index`-th of [StepBatch#logitRows], valid until the next step.
    public MemorySegment logits(int index) {
        return Rows.from(logits, index, config.vocabSize())
                .asSlice(0, (long) config.vocabSize() * Float.BYTES);
    }

    /// Logits of all rows of [#logits(int)], one after the other.
    MemorySegment allLogits() {
        return logits;
    }

    /// Logits that a step did not ask for, of rows that have gone through its layers. The logits of [#logits] are gone after it.
    ///
    /// @param rows of the last step, in any order; as many at a time go through the head as there is room for
    /// @param visitor gets, from any thread of the pool, a task's number below `maxTasks`, the index in `rows`, and logits
    ///     `[vocabSize]` that are valid during the call
    public void forEachLogits(int[] rows, int maxTasks, LogitsVisitor visitor) {
        int hidden = config.hiddenSize();
        int vocabulary = config.vocabSize();
        logits = workspace.logits;
        int room = (int) (logits.byteSize() / ((long) vocabulary * Float.BYTES));
        for (int begin = 0; begin < rows.length; begin += room) {
            int first = begin;
            int count = Math.min(room, rows.length - begin);
            for (int i = 0; i < count; i++) {
                Rows.copy(workspace.x, rows[first + i], workspace.branch, i, hidden);
            }
            finalNorm.apply(workspace.branch, workspace.normed, count);
            head.apply(workspace.normed, count, logits);
            int tasks = Math.min(maxTasks, count);
            compute.pool()
                    .run(
                            tasks,
                            task -> {
                                for (int i = task; i < count; i += tasks) {
                                    visitor.visit(task, first + i, logits(i));
                                }
                            });
        }
        compute.times().end(Stage.HEAD);
    }

    /// Takes the logits of one row.
    public interface LogitsVisitor {
        /// See [#forEachLogits].
        void visit(int task, int index, MemorySegment logits);
    }

    private void addInPlace(MemorySegment x, MemorySegment y, int rows) {
        int hidden = config.hiddenSize();
        compute.splitRows(
                rows,
                hidden,
                (begin, end) ->
                        compute.kernels()
                                .add(
                                        Rows.from(x, begin, hidden),
                                        Rows.from(y, begin, hidden),
                                        (long) (end - begin) * hidden));
    }

    private void computeLogits(StepBatch batch, ForwardObserver observer) {
        int hidden = config.hiddenSize();
        if (!observer.equals(ForwardObserver.NONE)) {
            finalNorm.apply(workspace.x, workspace.normed, batch.rows());
            observer.tensor("final_norm", -1, workspace.normed, batch.rows(), hidden);
        }
        int count = batch.logitRows();
        if (count == 0) {
            return;
        }
        for (int i = 0; i < count; i++) {
            Rows.copy(workspace.x, batch.logitRow(i), workspace.branch, i, hidden);
        }
        finalNorm.apply(workspace.branch, workspace.normed, count);
        logits = workspace.logits;
        long bytes = (long) count * config.vocabSize() * Float.BYTES;
        if (bytes > logits.byteSize()) {
            // Only an observer asks for the logits of more rows than are sampled; what it needs is
            // collected with it.
            logits = Arena.ofAuto().allocate(bytes, Float.BYTES);
        }
        head.apply(workspace.normed, count, logits);
        observer.tensor("logits", -1, logits, count, config.vocabSize());
    }

    @Override
    public void close() {
        arena.close();
    }
}
