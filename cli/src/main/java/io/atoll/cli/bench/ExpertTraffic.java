package io.atoll.cli.bench;

import io.atoll.attention.moe.RoutedExperts;
import io.atoll.attention.moe.WorkerStatistics;
import io.atoll.kernels.PackedMatrix;
import io.atoll.kernels.WeightFormat;
import io.atoll.model.config.TextConfig;
import io.atoll.model.quant.WeightMatrix;
import io.atoll.model.weights.ExpertWeights;
import io.atoll.model.weights.PackingMode;
import io.atoll.model.weights.TextWeights;
import io.atoll.model.weights.WeightPacking;
import io.atoll.proto.Failure;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.BitSet;
import java.util.List;
import java.util.Optional;

/// Counts the bytes of the experts that dispatches touch, each expert once a dispatch, as they are packed; wherever the experts
/// are. One thread at a time.
final class ExpertTraffic implements RoutedExperts {
    private final RoutedExperts experts;
    private final TextWeights weights;
    private final TextConfig config;
    private final Optional<WeightFormat> format;
    private final PackingMode mode;
    private final long[] expertBytes; // [layers * experts], 0 until it is asked for
    private final BitSet touched;
    private long bytes;

    /// @param experts closed by whoever opened them
    /// @param weights must stay open
    /// @param format that the experts are rounded to, if they are
    ExpertTraffic(RoutedExperts experts, TextWeights weights, Optional<WeightFormat> format) {
        this.experts = experts;
        this.weights = weights;
        this.format = format;
        config = weights.config();
        mode = format.isPresent() ? PackingMode.EXACT : WeightPacking.expertMode(weights);
        expertBytes = new long[config.layerCount() * config.experts()];
        touched = new BitSet(config.experts());
    }

    /// Bytes since the last call.
    long takeBytes() {
        long taken = bytes;
        bytes = 0;
        return taken;
    }

    @Override
    public Dispatch dispatch(
            int layer,
            int rows,
            MemorySegment x,
            MemorySegment expertIds,
            MemorySegment routeWeights,
            long deadlineNanos) {
        touched.clear();
        int routes = rows * config.expertsPerToken();
        for (int i = 0; i < routes; i++) {
            int expert = expertIds.getAtIndex(ValueLayout.JAVA_INT, i);
            if (!touched.get(expert)) {
                touched.set(expert);
                bytes += expertBytes(layer, expert);
            }
        }
        return experts.dispatch(layer, rows, x, expertIds, routeWeights, deadlineNanos);
    }

    private long expertBytes(int layer, int expert) {
        int index = layer * config.experts() + expert;
        if (expertBytes[index] == 0) {
            ExpertWeights one = weights.expert(layer, expert);
            expertBytes[index] = packed(one.gate()) + packed(one.up()) + packed(one.down());
        }
        return expertBytes[index];
    }

    private long packed(WeightMatrix matrix) {
        WeightFormat kept = format.orElseGet(() -> WeightPacking.format(mode, List.of(matrix)));
        return PackedMatrix.bytes(kept, matrix.rows(), matrix.cols());
    }

    @Override
    public Optional<Failure> unavailable() {
        return experts.unavailable();
    }

    @Override
    public List<WorkerStatistics> statistics() {
        return experts.statistics();
    }

    @Override
    public void close() {
        experts.close();
    }
}
