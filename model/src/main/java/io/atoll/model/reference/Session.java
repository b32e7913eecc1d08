package io.atoll.model.reference;

import io.atoll.kernels.Kernels;
import io.atoll.kernels.KvFormat;
import io.atoll.kernels.PackedMatrix;
import io.atoll.model.config.TextConfig;
import io.atoll.model.trace.ForwardObserver;
import io.atoll.model.vision.MropePositions;
import io.atoll.model.vision.VisualInput;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;

/// One sequence and its forward pass. Section numbers in comments are the model specification's.
///
/// Owns the sequence's memory; [#close] frees it. One thread at a time. Between two calls nothing is kept but the layers' states and
/// the number of tokens, so how a prompt is cut into calls cannot change a bit of the result.
public final class Session implements AutoCloseable {
    private final Kernels kernels;
    private final TextConfig config;
    private final Weights weights;
    private final Rotary rotary;
    private final List<LayerState> states = new ArrayList<>();
    private final Optional<Weights.Predictor> predictor;
    private final VisualInput visual;
    private float[] lastHidden = {}; // of the last token, after the final norm; with a predictor
    private int tokens;

    Session(
            Kernels kernels,
            TextConfig config,
            Weights weights,
            Rotary rotary,
            KvFormat kvFormat,
            Optional<Weights.Predictor> predictor,
            VisualInput visual) {
        this.predictor = predictor;
        this.visual = visual;
        this.kernels = kernels;
        this.config = config;
        this.weights = weights;
        this.rotary = rotary;
        for (var type : config.layers()) {
            states.add(
                    switch (type) {
                        case LINEAR_ATTENTION -> new LayerState.Delta(config);
                        case FULL_ATTENTION -> new LayerState.KeyValues(config, kvFormat);
                    });
        }
        for (int i = 0; i < predictor.map(Weights.Predictor::layers).orElse(0); i++) {
            states.add(new LayerState.KeyValues(config, kvFormat));
        }
    }

    /// Tokens fed so far: the position of the next one.
    public int tokens() {
        return tokens;
    }

    /// The state that a layer keeps for this sequence.
    public LayerState state(int layer) {
        return states.get(layer);
    }

    /// Runs every layer over the next tokens of the sequence (B.0).
    ///
    /// @param ids at least one token id below the vocabulary's size
    /// @param observer is shown every intermediate
    /// @return logits `[ids.length][vocabulary]`; ids that are padding rows of the vocabulary are included
    public float[][] feed(int[] ids, ForwardObserver observer) {
        int rows = ids.length;
        if (rows == 0) {
            throw new IllegalArgumentException("no tokens to feed");
        }
        try (Arena arena = Arena.ofConfined()) {
            int hidden = config.hiddenSize();
            MemorySegment x = floats(arena, rows, hidden);
            for (int t = 0; t < rows; t++) {
                embed(ids[t], tokens + t, row(x, t, hidden));
            }
            observer.tensor("embedding", -1, x, rows, hidden);

            for (int layer = 0; layer < config.layerCount(); layer++) {
                decoderLayer(layer, x, rows, tokens, observer);
                observer.tensor("output", layer, x, rows, hidden);
            }
            tokens += rows;

            MemorySegment normed = floats(arena, rows, hidden);
            norm(x, weights.finalNorm(), normed, rows, hidden);
            observer.tensor("final_norm", -1, normed, rows, hidden);
            MemorySegment logits = floats(arena, rows, config.vocabSize());
            multiply(weights.lmHead(), normed, rows, logits, config.vocabSize());
            observer.tensor("logits", -1, logits, rows, config.vocabSize());
            if (predictor.isPresent()) {
                predictKnown(predictor.get(), ids, normed, observer);
            }
            return toRows(logits, rows, config.vocabSize());
        }
    }

    /// A token's embedding, or what takes a pad's place.
    private void embed(int id, int index, MemorySegment row) {
        if (!visual.embed(index, row)) {
            weights.embed(id, row);
        }
    }

    /// Runs the prediction module over the pairs of a hidden state and the token after it that the call completes: the first is the
    /// last hidden state of the call before.
    private void predictKnown(
            Weights.Predictor module, int[] ids, MemorySegment normed, ForwardObserver observer) {
        int hidden = config.hiddenSize();
        int begin = tokens - ids.length;
        int from = begin == 0 ? 1 : 0; // nothing comes before the first token
        int rows = ids.length - from;
        try (Arena arena = Arena.ofConfined()) {
            if (rows > 0) {
                MemorySegment before = floats(arena, rows, hidden);
                for (int t = 0; t < rows; t++) {
                    if (from + t == 0) {
                        MemorySegment.copy(
                                lastHidden, 0, before, ValueLayout.JAVA_FLOAT, 0, hidden);
                    } else {
                        row(before, t, hidden).copyFrom(row(normed, from + t - 1, hidden));
                    }
                }
                int[] next = Arrays.copyOfRange(ids, from, ids.length);
                MemorySegment predicted = predict(module, next, before, begin + from - 1, arena);
                observer.tensor("mtp_hidden", -1, predicted, rows, hidden);
                MemorySegment logits = floats(arena, rows, config.vocabSize());
                multiply(weights.lmHead(), predicted, rows, logits, config.vocabSize());
                observer.tensor("mtp_logits", -1, logits, rows, config.vocabSize());
            }
            lastHidden = row(normed, ids.length - 1, hidden).toArray(ValueLayout.JAVA_FLOAT);
        }
    }

    /// The prediction module (D): from the hidden state at a position and the token after it to a hidden state for the token after
    /// that.
    ///
    /// @param hidden `[ids.length, hidden]`, after a final norm; unchanged
    /// @param first position of the first hidden state
    /// @return `[ids.length, hidden]`, after the module's own final norm
    private MemorySegment predict(
            Weights.Predictor module, int[] ids, MemorySegment hidden, int first, Arena arena) {
        int rows = ids.length;
        int width = config.hiddenSize();
        // Steps 1 and 2: both inputs normed beside each other, the embedding first.
        MemorySegment pairs = floats(arena, rows, 2 * width);
        MemorySegment embedding = floats(arena, 1, width);
        for (int t = 0; t < rows; t++) {
            embed(ids[t], first + 1 + t, embedding);
            MemorySegment pair = row(pairs, t, 2 * width);
            norm(embedding, module.embeddingNorm(), pair, 1, width);
            norm(
                    row(hidden, t, width),
                    module.hiddenNorm(),
                    pair.asSlice((long) Float.BYTES * width),
                    1,
                    width);
        }
        MemorySegment x = floats(arena, rows, width);
        multiply(module.projection(), pairs, rows, x, width);
        // Step 3: its decoder layers, with keys and values of their own.
        for (int i = 0; i < module.layers(); i++) {
            decoderLayer(config.layerCount() + i, x, rows, first, ForwardObserver.NONE);
        }
        // Step 4, up to the LM head.
        norm(x, module.finalNorm(), x, rows, width);
        return x;
    }

    /// Guesses the tokens after `token`, the most likely first at each place (D): the first guess from the last hidden state,
    /// further ones from the module's own outputs. Leaves the sequence as it was.
    ///
    /// @param token what follows the tokens fed so far
    /// @param count how many to guess
    /// @param vocabulary ids from here on are never guessed
    /// @throws IllegalStateException if the session does not draft, or nothing was fed yet
    public int[] draft(int token, int count, int vocabulary) {
        Weights.Predictor module =
                predictor.orElseThrow(() -> new IllegalStateException("not a drafting session"));
        if (tokens == 0) {
            throw new IllegalStateException("nothing was fed yet");
        }
        int[] drafts = new int[count];
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment hidden = arena.allocateFrom(ValueLayout.JAVA_FLOAT, lastHidden);
            MemorySegment logits = floats(arena, 1, config.vocabSize());
            int last = token;
            for (int i = 0; i < count; i++) {
                int[] next = {last};
                hidden = predict(module, next, hidden, tokens - 1 + i, arena);
                multiply(weights.lmHead(), hidden, 1, logits, config.vocabSize());
                last = largest(logits, Math.min(vocabulary, config.vocabSize()));
                drafts[i] = last;
            }
        }
        for (int i = 0; i < module.layers(); i++) {
            ((LayerState.KeyValues) states.get(config.layerCount() + i)).truncate(tokens - 1);
        }
        return drafts;
    }

    private static int largest(MemorySegment logits, int count) {
        int best = 0;
        for (int i = 1; i < count; i++) {
            if (logits.getAtIndex(ValueLayout.JAVA_FLOAT, i)
                    > logits.getAtIndex(ValueLayout.JAVA_FLOAT, best)) {
                best = i;
            }
        }
        return best;
    }

    /// `x = x + mixer(norm(x))`, then `x = x + moe(norm(x))` (B.0 step 2).
    ///
    /// @param first position of the first row
    private void decoderLayer(
            int index, MemorySegment x, int rows, int first, ForwardObserver observer) {
        int hidden = config.hiddenSize();
        Weights.Layer layer = weights.layer(index);
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment normed = floats(arena, rows, hidden);
            MemorySegment branch = floats(arena, rows, hidden);

            norm(x, layer.inputNorm(), normed, rows, hidden);
            observer.tensor("mixer_input", index, normed, rows, hidden);
            switch (layer.mixer()) {
                case Weights.GatedDeltaNet deltaNet ->
                        gatedDeltaNet(
                                deltaNet,
                                (LayerState.Delta) states.get(index),
                                normed,
                                branch,
                                rows);
                case Weights.GatedAttention attention ->
                        gatedAttention(
                                attention,
                                (LayerState.KeyValues) states.get(index),
                                normed,
                                branch,
                                rows,
                                first);
            }
            observer.tensor("mixer_output", index, branch, rows, hidden);
            kernels.add(x, branch, (long) rows * hidden);

            norm(x, layer.postMixerNorm(), normed, rows, hidden);
            observer.tensor("moe_input", index, normed, rows, hidden);
            mixtureOfExperts(index, layer.moe(), normed, branch, rows, first, observer);
            kernels.add(x, branch, (long) rows * hidden);
        }
    }

    /// Gated DeltaNet (B.2).
    private void gatedDeltaNet(
            Weights.GatedDeltaNet w,
            LayerState.Delta state,
            MemorySegment x,
            MemorySegment out,
            int rows) {
        int keyHeads = config.linearKeyHeads();
        int valueHeads = config.linearValueHeads();
        int keyDim = config.linearKeyHeadDim();
        int valueDim = config.linearValueHeadDim();
        int channels = config.convDim();
        int values = config.linearValueDim();
        try (Arena arena = Arena.ofConfined()) {
            // Step 1: projections.
            MemorySegment u = floats(arena, rows, channels);
            MemorySegment z = floats(arena, rows, values);
            MemorySegment a = floats(arena, rows, valueHeads);
            MemorySegment b = floats(arena, rows, valueHeads);
            multiply(w.inQkv(), x, rows, u, channels);
            multiply(w.inZ(), x, rows, z, values);
            multiply(w.inA(), x, rows, a, valueHeads);
            multiply(w.inB(), x, rows, b, valueHeads);

            // Steps 2 and 3: causal convolution and SiLU over the channels q, k, v.
            MemorySegment qkv = floats(arena, rows, channels);
            int width = config.convKernel();
            kernels.causalConv(u, w.conv(), state.conv(), qkv, rows, channels, width, 0, channels);

            // Step 4: q and k to unit length, q also by d^-0.5.
            float queryScale = (float) (1 / Math.sqrt(keyDim));
            MemorySegment keys = qkv.asSlice(Float.BYTES * (long) keyHeads * keyDim);
            kernels.l2Norm(qkv, channels, rows, keyHeads, keyDim, queryScale);
            kernels.l2Norm(keys, channels, rows, keyHeads, keyDim, 1);

            // Step 5: write strength and decay of each value head.
            MemorySegment decay = floats(arena, rows, valueHeads);
            MemorySegment beta = floats(arena, rows, valueHeads);
            kernels.deltaGates(a, b, w.aLog(), w.dtBias(), decay, beta, rows, valueHeads);

            // Steps 6 and 7: the recurrence, row after row.
            MemorySegment o = floats(arena, rows, values);
            kernels.gatedDeltaRule(
                    qkv,
                    decay,
                    beta,
                    state.recurrent(),
                    o,
                    rows,
                    keyHeads,
                    valueHeads,
                    keyDim,
                    valueDim,
                    0,
                    valueHeads);

            // Step 8: gated norm of each value head, then the output projection.
            kernels.gatedRmsNorm(
                    o,
                    z,
                    values,
                    w.norm(),
                    config.rmsNormEps(),
                    o,
                    values,
                    rows,
                    valueHeads,
                    valueDim);
            multiply(w.out(), o, rows, out, config.hiddenSize());
        }
    }

    /// Gated softmax attention (B.3).
    private void gatedAttention(
            Weights.GatedAttention w,
            LayerState.KeyValues state,
            MemorySegment x,
            MemorySegment out,
            int rows,
            int first) {
        int heads = config.attentionHeads();
        int kvHeads = config.keyValueHeads();
        int dim = config.headDim();
        int rotaryDim = config.rotaryDim();
        try (Arena arena = Arena.ofConfined()) {
            // Step 1: projections. A head's rows of q_proj are its query, then its gate.
            MemorySegment queriesAndGates = floats(arena, rows, heads * 2 * dim);
            MemorySegment k = floats(arena, rows, kvHeads * dim);
            MemorySegment v = floats(arena, rows, kvHeads * dim);
            multiply(w.q(), x, rows, queriesAndGates, heads * 2 * dim);
            multiply(w.k(), x, rows, k, kvHeads * dim);
            multiply(w.v(), x, rows, v, kvHeads * dim);

            // Step 2: norm of each query and key head.
            MemorySegment q = floats(arena, rows, heads * dim);
            float eps = config.rmsNormEps();
            kernels.rmsNorm(queriesAndGates, 2 * dim, w.qNorm(), eps, q, dim, rows * heads, dim);
            kernels.rmsNorm(k, dim, w.kNorm(), eps, k, dim, rows * kvHeads, dim);

            // Step 3: rotary embedding at the token's three positions, which are equal for text
            // (G.4).
            MropePositions positions = visual.positions();
            MemorySegment cos = floats(arena, 1, rotaryDim / 2);
            MemorySegment sin = floats(arena, 1, rotaryDim / 2);
            for (int t = 0; t < rows; t++) {
                rotary.at(
                        positions.time(first + t),
                        positions.height(first + t),
                        positions.width(first + t),
                        cos,
                        sin);
                kernels.rotary(row(q, t, heads * dim), heads, dim, rotaryDim, cos, sin);
                kernels.rotary(row(k, t, kvHeads * dim), kvHeads, dim, rotaryDim, cos, sin);
                state.append(kernels, row(k, t, kvHeads * dim), row(v, t, kvHeads * dim));
            }

            // Step 4: causal softmax attention: a row sees the positions up to its own.
            MemorySegment attended = floats(arena, rows, heads * dim);
            MemorySegment scratch = floats(arena, 1, (int) Kernels.attentionScratch(dim));
            float scale = (float) (1 / Math.sqrt(dim));
            for (int t = 0; t < rows; t++) {
                kernels.attention(
                        row(q, t, heads * dim),
                        1,
                        state.layout(),
                        state.pool(),
                        state.blockOffsets(),
                        first + t + 1,
                        heads,
                        scale,
                        row(attended, t, heads * dim),
                        scratch,
                        0,
                        heads);
            }

            // Step 5: the output gate, then the output projection.
            MemorySegment gates = queriesAndGates.asSlice((long) Float.BYTES * dim);
            kernels.sigmoidGate(attended, gates, 2 * dim, rows * heads, dim);
            multiply(w.o(), attended, rows, out, config.hiddenSize());
        }
    }

    /// Router, routed experts and shared expert (B.4).
    private void mixtureOfExperts(
            int layer,
            Weights.MixtureOfExperts w,
            MemorySegment x,
            MemorySegment out,
            int rows,
            int first,
            ForwardObserver observer) {
        int hidden = config.hiddenSize();
        int experts = config.experts();
        int k = config.expertsPerToken();
        try (Arena arena = Arena.ofConfined()) {
            // Step 1: the k experts with the largest logits, and their softmax among themselves.
            MemorySegment logits = floats(arena, rows, experts);
            MemorySegment ids = arena.allocate(ValueLayout.JAVA_INT, (long) rows * k);
            MemorySegment chosen = floats(arena, rows, k);
            multiply(w.router(), x, rows, logits, experts);
            kernels.routerTopK(logits, rows, experts, k, ids, chosen);
            observer.tensor("router_logits", layer, logits, rows, experts);
            observer.tensor("topk_ids", layer, ids, rows, k);
            observer.tensor("topk_weights", layer, chosen, rows, k);

            // Step 2: the routed experts. Their weighted outputs are added as integers, so that an
            // engine may add them
            // in any order.
            MemorySegment y = floats(arena, 1, hidden);
            MemorySegment sum = arena.allocate(ValueLayout.JAVA_LONG, hidden);
            for (int t = 0; t < rows; t++) {
                sum.fill((byte) 0);
                for (int i = 0; i < k; i++) {
                    int expert = ids.getAtIndex(ValueLayout.JAVA_INT, (long) t * k + i);
                    float weight = chosen.getAtIndex(ValueLayout.JAVA_FLOAT, (long) t * k + i);
                    feedForward(w.expert(expert), row(x, t, hidden), 1, y);
                    if (!kernels.combineAdd(
                            y, weight, sum, hidden, Reference.COMBINE_FRACTION_BITS)) {
                        throw new ArithmeticException(
                                "expert output is not finite or past the combine's grid: layer="
                                        + layer
                                        + " expert="
                                        + expert
                                        + " position="
                                        + (first + t));
                    }
                }
                kernels.combineToFloat(
                        sum, row(out, t, hidden), hidden, Reference.COMBINE_FRACTION_BITS);
            }
            observer.tensor("routed_output", layer, out, rows, hidden);

            // Steps 3 and 4: the shared expert behind its own gate, added to the routed sum.
            MemorySegment shared = floats(arena, rows, hidden);
            MemorySegment gate = floats(arena, rows, 1);
            feedForward(w.shared(), x, rows, shared);
            multiply(w.sharedGate(), x, rows, gate, 1);
            MemorySegment gated = floats(arena, rows, hidden);
            kernels.addGated(
                    gated, shared, gate, 1, rows, hidden); // on zeros: for the observer alone
            observer.tensor("shared_output", layer, gated, rows, hidden);
            kernels.addGated(out, shared, gate, 1, rows, hidden);
        }
    }

    /// `down(silu(gate x) * (up x))` (B.4 step 2).
    private void feedForward(Weights.FeedForward w, MemorySegment x, int rows, MemorySegment y) {
        int inner = w.down().cols();
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment gateUp = floats(arena, rows, 2 * inner);
            multiply(w.gate(), x, rows, gateUp, 2 * inner);
            multiply(w.up(), x, rows, gateUp.asSlice((long) Float.BYTES * inner), 2 * inner);
            MemorySegment activated = floats(arena, rows, inner);
            kernels.swiGlu(gateUp, activated, rows, inner);
            multiply(w.down(), activated, rows, y, config.hiddenSize());
        }
    }

    private void norm(MemorySegment x, MemorySegment weight, MemorySegment y, int rows, int n) {
        kernels.rmsNorm(x, n, weight, config.rmsNormEps(), y, n, rows, n);
    }

    /// `y = W x`; rows that meet quantised weights are quantised first.
    private void multiply(PackedMatrix w, MemorySegment x, int rows, MemorySegment y, int yStride) {
        if (!w.format().takesQuantizedRows()) {
            kernels.matMul(w, x, rows, y, yStride, 0, w.groups());
            return;
        }
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment q = arena.allocate((long) rows * w.cols(), 64);
            MemorySegment scales = floats(arena, rows, w.cols() / 32);
            kernels.quantizeRows(x, rows, w.cols(), q, scales);
            kernels.matMulQuantized(w, q, scales, rows, y, yStride, 0, w.groups());
        }
    }

    private static MemorySegment floats(Arena arena, int rows, int cols) {
        return arena.allocate(Float.BYTES * (long) rows * cols, 64);
    }

    private static MemorySegment row(MemorySegment matrix, int row, int cols) {
        long bytes = (long) Float.BYTES * cols;
        return matrix.asSlice(row * bytes, bytes);
    }

    private static float[][] toRows(MemorySegment matrix, int rows, int cols) {
        float[][] result = new float[rows][];
        for (int t = 0; t < rows; t++) {
            result[t] = row(matrix, t, cols).toArray(ValueLayout.JAVA_FLOAT);
        }
        return result;
    }

    @Override
    public void close() {
        states.forEach(LayerState::close);
    }
}
