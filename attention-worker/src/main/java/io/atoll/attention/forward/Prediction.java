package io.atoll.attention.forward;

import io.atoll.attention.forward.StageTimes.Stage;
import io.atoll.kernels.Kernels;
import io.atoll.kernels.PackedMatrix;
import io.atoll.model.trace.ForwardObserver;
import io.atoll.proto.Failure;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.Optional;

/// The multi-token prediction module (model spec D): from the hidden state at a position and the token after it to a hidden state for
/// the token after that. It shares embedding, LM head and buffers with the model, and has decoder layers, keys and values of its own.
public final class Prediction {
    private static final long ALIGNMENT = 64;

    private final Forward forward;
    private final int hidden;
    private final PackedMatrix projection;
    private final MemorySegment embeddingNorm;
    private final MemorySegment hiddenNorm;
    private final List<DecoderLayer> layers;
    private final RmsNorm finalNorm;
    private final MemorySegment inputs; // f32 [maxRows, hidden]
    private final MemorySegment pairs; // f32 [maxRows, 2 hidden]
    private final MemorySegment outputs; // f32 [maxRows, hidden]
    private final MemorySegment last; // f32 [maxRows, hidden]: of the model

    Prediction(
            Forward forward,
            DenseWeights.Prediction weights,
            List<DecoderLayer> layers,
            int maxRows,
            Arena arena) {
        this.forward = forward;
        this.layers = layers;
        hidden = forward.config().hiddenSize();
        projection = weights.projection();
        embeddingNorm = weights.embeddingNorm();
        hiddenNorm = weights.hiddenNorm();
        finalNorm = forward.norm(weights.finalNorm());
        long bytes = (long) maxRows * hidden * Float.BYTES;
        inputs = arena.allocate(bytes, ALIGNMENT);
        pairs = arena.allocate(2 * bytes, ALIGNMENT);
        outputs = arena.allocate(bytes, ALIGNMENT);
        last = arena.allocate(bytes, ALIGNMENT);
    }

    /// Where the hidden states that a run starts from are put, f32 `[maxRows, hidden]`, after a final norm.
    public MemorySegment inputs() {
        return inputs;
    }

    /// The hidden states of the last run, f32 `[rows, hidden]`, after the module's final norm.
    public MemorySegment outputs() {
        return outputs;
    }

    /// Hidden states of all rows of the model's last step, after its final norm; valid until the next.
    ///
    /// @return f32 `[rows, hidden]`
    public MemorySegment modelHidden(StepBatch batch) {
        forward.finalHidden(batch.rows(), last);
        return last;
    }

    /// Runs the module over [#inputs]. Logits of the model's last step are gone after it where an observer looks on.
    ///
    /// @param batch for each row the token after its hidden state's position, and that position
    public Optional<Failure> run(StepBatch batch, ForwardObserver observer, long deadlineNanos) {
        Workspace workspace = forward.workspace();
        Compute compute = forward.compute();
        int rows = batch.rows();
        forward.prepare(batch);
        forward.embedding().lookUp(batch, workspace.x);
        compute.splitRows(rows, 2 * hidden, (begin, end) -> pair(workspace.x, begin, end));
        Projections.apply(compute, workspace.quantized, projection, pairs, rows, workspace.x);
        compute.times().end(Stage.MIXER_PROJECTIONS);
        Optional<Failure> failure =
                forward.runLayers(layers, batch, ForwardObserver.NONE, deadlineNanos);
        if (failure.isPresent()) {
            return failure;
        }
        finalNorm.apply(workspace.x, outputs, rows);
        compute.times().end(Stage.NORMS);
        if (!observer.equals(ForwardObserver.NONE)) {
            observer.tensor("mtp_hidden", -1, outputs, rows, hidden);
            forward.headOver(outputs, rows);
            observer.tensor(
                    "mtp_logits", -1, forward.allLogits(), rows, forward.config().vocabSize());
        }
        return Optional.empty();
    }

    /// Logits of some rows of the last run, in the place of the model's.
    ///
    /// @param rows as many as the model's LM head takes at once
    public void computeLogits(int[] rows) {
        Workspace workspace = forward.workspace();
        for (int i = 0; i < rows.length; i++) {
            Rows.copy(outputs, rows[i], workspace.normed, i, hidden);
        }
        forward.headOver(workspace.normed, rows.length);
        forward.compute().times().end(Stage.HEAD);
    }

    /// The two inputs of a row, normed beside each other (D steps 1 and 2).
    private void pair(MemorySegment embeddings, int begin, int end) {
        Kernels kernels = forward.compute().kernels();
        float eps = forward.config().rmsNormEps();
        kernels.rmsNorm(
                Rows.from(embeddings, begin, hidden),
                hidden,
                embeddingNorm,
                eps,
                Rows.from(pairs, begin, 2 * hidden),
                2 * hidden,
                end - begin,
                hidden);
        kernels.rmsNorm(
                Rows.from(inputs, begin, hidden),
                hidden,
                hiddenNorm,
                eps,
                Rows.from(pairs, begin, 2 * hidden, hidden),
                2 * hidden,
                end - begin,
                hidden);
    }
}
