package io.atoll.attention.forward;

import io.atoll.attention.state.LazyMemory;
import io.atoll.kernels.Kernels;
import io.atoll.model.config.TextConfig;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/// The buffers of a step, shared by all layers and allocated once for the largest step. `R` below is its number of rows;
/// everything is f32 unless stated.
final class Workspace {
    private static final long ALIGNMENT = 64;

    /// `[R, hidden]`: the residual stream.
    final MemorySegment x;

    /// `[R, hidden]`: the normed input of a mixer or a mixture of experts.
    final MemorySegment normed;

    /// `[R, hidden]`: the output of either, before it is added to `x`.
    final MemorySegment branch;

    /// The int8 form of the rows that are being multiplied.
    final QuantizedInput quantized;

    // Gated DeltaNet.

    /// `[R, convDim]`: queries, keys and values before the convolution.
    final MemorySegment queryKeyValue;

    /// `[R, convDim]`: and behind it.
    final MemorySegment convolved;

    /// `[R, valueDim]`: input of the gate behind the delta rule.
    final MemorySegment outputGate;

    /// `[R, valueHeads]` each.
    final MemorySegment betaInput;

    final MemorySegment decayInput;
    final MemorySegment beta;
    final MemorySegment decay;

    /// `[R, valueDim]`: what the delta rule reads out of its state.
    final MemorySegment remembered;

    /// `[R, valueDim]`: the same, normed and gated, with the heads in the order in which the output projection has them.
    final MemorySegment deltaOutput;

    // Full attention.

    /// `[R, heads, 2, headDim]`: each head's query beside its gate.
    final MemorySegment queryAndGate;

    /// `[R, heads, headDim]`.
    final MemorySegment queries;

    /// `[R, keyValueHeads, headDim]`.
    final MemorySegment keys;

    /// `[R, keyValueHeads, headDim]`.
    final MemorySegment values;

    /// `[R, heads, headDim]`.
    final MemorySegment attended;

    private final MemorySegment attentionScratch; // [tasks, scratchBytes]
    private final long scratchBytes;
    private final MemorySegment attentionParts; // [parts, partBytes], of spans
    private final long partBytes;

    // Mixture of experts.

    /// `[R, experts]`.
    final MemorySegment routerLogits;

    /// int32 `[R, k]`.
    final MemorySegment expertIds;

    /// `[R, k]`.
    final MemorySegment expertWeights;

    /// `[R, 2, sharedInner]`.
    final MemorySegment sharedGateUp;

    /// `[R, sharedInner]`.
    final MemorySegment sharedInner;

    /// `[R, hidden]`: before its gate.
    final MemorySegment sharedOutput;

    /// `[R]`: input of the shared expert's gate.
    final MemorySegment sharedExpertGate;

    /// `[logit rows, vocabSize]`.
    final MemorySegment logits;

    /// @param maxRows R
    /// @param tasks most tasks that run attention at once
    /// @param attentionParts most parts of spans in a step
    Workspace(
            TextConfig config,
            int maxRows,
            int maxLogitRows,
            int tasks,
            int attentionParts,
            Arena arena) {
        int hidden = config.hiddenSize();
        x = floats(arena, maxRows, hidden);
        normed = floats(arena, maxRows, hidden);
        branch = floats(arena, maxRows, hidden);

        queryKeyValue = floats(arena, maxRows, config.convDim());
        convolved = floats(arena, maxRows, config.convDim());
        outputGate = floats(arena, maxRows, config.linearValueDim());
        betaInput = floats(arena, maxRows, config.linearValueHeads());
        decayInput = floats(arena, maxRows, config.linearValueHeads());
        beta = floats(arena, maxRows, config.linearValueHeads());
        decay = floats(arena, maxRows, config.linearValueHeads());
        deltaOutput = floats(arena, maxRows, config.linearValueDim());
        remembered = floats(arena, maxRows, config.linearValueDim());

        int queryWidth = config.attentionHeads() * config.headDim();
        int keyWidth = config.keyValueHeads() * config.headDim();
        queryAndGate = floats(arena, maxRows, 2 * queryWidth);
        queries = floats(arena, maxRows, queryWidth);
        keys = floats(arena, maxRows, keyWidth);
        values = floats(arena, maxRows, keyWidth);
        attended = floats(arena, maxRows, queryWidth);
        // Tasks of different threads keep to their own cache lines.
        scratchBytes = align(Kernels.attentionScratch(config.headDim()) * Float.BYTES);
        attentionScratch = arena.allocate(tasks * scratchBytes, ALIGNMENT);
        partBytes = Kernels.attentionPart(config.attentionHeads(), config.headDim()) * Float.BYTES;
        this.attentionParts =
                LazyMemory.allocate(attentionParts * partBytes, "parts of attention", arena);

        int inner = config.sharedExpertIntermediateSize();
        routerLogits = floats(arena, maxRows, config.experts());
        expertIds = floats(arena, maxRows, config.expertsPerToken());
        expertWeights = floats(arena, maxRows, config.expertsPerToken());
        sharedGateUp = floats(arena, maxRows, 2 * inner);
        sharedInner = floats(arena, maxRows, inner);
        sharedOutput = floats(arena, maxRows, hidden);
        sharedExpertGate = floats(arena, maxRows, 1);

        int widest =
                Math.max(
                        Math.max(2 * hidden, inner), Math.max(queryWidth, config.linearValueDim()));
        quantized = new QuantizedInput(maxRows, widest, arena);

        logits = floats(arena, maxLogitRows, config.vocabSize());
    }

    /// Scratch of one attention task.
    MemorySegment attentionScratch(int task) {
        return attentionScratch.asSlice(task * scratchBytes, scratchBytes);
    }

    /// The parts of spans from this one on.
    MemorySegment attentionPart(int index) {
        return attentionParts.asSlice(index * partBytes);
    }

    private static long align(long bytes) {
        return (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    }

    private static MemorySegment floats(Arena arena, int rows, int width) {
        return arena.allocate((long) rows * width * Float.BYTES, ALIGNMENT);
    }
}
