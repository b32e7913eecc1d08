package io.atoll.attention;

import io.atoll.attention.moe.RoutedExperts;
import io.atoll.kernels.KernelLibrary;
import io.atoll.kernels.Kernels;
import io.atoll.kernels.PackedMatrix;
import io.atoll.model.config.TextConfig;
import io.atoll.model.weights.ExpertWeights;
import io.atoll.model.weights.PackingMode;
import io.atoll.model.weights.TextWeights;
import io.atoll.model.weights.WeightPacking;
import io.atoll.proto.ErrorCode;
import io.atoll.proto.Failure;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.function.Function;

/// The routed experts of a BF16 model in this process: one row at a time, and the exact combine.
///
/// A test can have combines fail or sums go bad, and can act in the middle of a step.
public final class InProcessExperts implements RoutedExperts {
    private static final int FRACTION_BITS = 20;

    private final Arena arena = Arena.ofShared();
    private final Kernels kernels = KernelLibrary.select(Optional.empty());
    private final TextConfig config;
    private final Path source;
    private final PackedExpert[][] experts;
    private final MemorySegment gateUp;
    private final MemorySegment inner;
    private final MemorySegment y;

    private volatile Function<Integer, Optional<Failure>> fault = _ -> Optional.empty();
    private volatile boolean poisoned;
    private volatile Optional<Failure> unavailable = Optional.empty();

    private record PackedExpert(PackedMatrix gateUp, PackedMatrix down) {}

    public InProcessExperts(TextWeights weights) {
        config = weights.config();
        source = weights.source();
        experts = new PackedExpert[WeightPacking.routedLayers(weights)][config.experts()];
        for (int layer = 0; layer < experts.length; layer++) {
            for (int expert = 0; expert < experts[layer].length; expert++) {
                experts[layer][expert] = pack(weights.expert(layer, expert));
            }
        }
        gateUp = arena.allocate(ValueLayout.JAVA_FLOAT, 2L * config.moeIntermediateSize());
        inner = arena.allocate(ValueLayout.JAVA_FLOAT, config.moeIntermediateSize());
        y = arena.allocate(ValueLayout.JAVA_FLOAT, config.hiddenSize());
    }

    private PackedExpert pack(ExpertWeights expert) {
        return new PackedExpert(
                WeightPacking.keep(
                        PackingMode.EXACT, source, List.of(expert.gate(), expert.up()), arena),
                WeightPacking.keep(PackingMode.EXACT, source, List.of(expert.down()), arena));
    }

    /// Asks `fault` at each combine whether it fails; it is given the layer.
    public void failWhen(Function<Integer, Optional<Failure>> newFault) {
        fault = newFault;
    }

    /// Puts a NaN into the first row's sums of the last layer from now on.
    public void poison() {
        poisoned = true;
    }

    public void setUnavailable(Optional<Failure> failure) {
        unavailable = failure;
    }

    @Override
    public Dispatch dispatch(
            int layer,
            int rows,
            MemorySegment x,
            MemorySegment expertIds,
            MemorySegment weights,
            long deadlineNanos) {
        return out -> {
            Optional<Failure> failure = fault.apply(layer);
            if (failure.isEmpty()) {
                for (int row = 0; row < rows && failure.isEmpty(); row++) {
                    failure = computeRow(layer, row, x, expertIds, weights, out);
                }
                if (poisoned && layer == config.layerCount() - 1) {
                    out.set(ValueLayout.JAVA_FLOAT, 0, Float.NaN);
                }
            }
            return failure;
        };
    }

    private Optional<Failure> computeRow(
            int layer,
            int row,
            MemorySegment x,
            MemorySegment ids,
            MemorySegment weights,
            MemorySegment out) {
        int hidden = config.hiddenSize();
        int k = config.expertsPerToken();
        MemorySegment rowOfX = x.asSlice((long) row * hidden * Float.BYTES);
        try (Arena scratch = Arena.ofConfined()) {
            MemorySegment sum = scratch.allocate(ValueLayout.JAVA_LONG, hidden);
            for (int i = 0; i < k; i++) {
                int expert = ids.getAtIndex(ValueLayout.JAVA_INT, (long) row * k + i);
                float weight = weights.getAtIndex(ValueLayout.JAVA_FLOAT, (long) row * k + i);
                PackedExpert packed = experts[layer][expert];
                PackedMatrix first = packed.gateUp();
                PackedMatrix second = packed.down();
                kernels.matMul(first, rowOfX, 1, gateUp, first.rows(), 0, first.groups());
                kernels.swiGlu(gateUp, inner, 1, config.moeIntermediateSize());
                kernels.matMul(second, inner, 1, y, second.rows(), 0, second.groups());
                if (!kernels.combineAdd(y, weight, sum, hidden, FRACTION_BITS)) {
                    return Optional.of(
                            new Failure(
                                    ErrorCode.NON_FINITE_OUTPUT,
                                    "layer=" + layer + " expert=" + expert));
                }
            }
            kernels.combineToFloat(
                    sum, out.asSlice((long) row * hidden * Float.BYTES), hidden, FRACTION_BITS);
        }
        return Optional.empty();
    }

    @Override
    public Optional<Failure> unavailable() {
        return unavailable;
    }

    @Override
    public void close() {
        arena.close();
    }
}
