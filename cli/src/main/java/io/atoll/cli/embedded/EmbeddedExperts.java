package io.atoll.cli.embedded;

import io.atoll.attention.moe.RoutedExperts;
import io.atoll.cluster.placement.ExpertShard;
import io.atoll.expert.ExpertWorker;
import io.atoll.expert.batch.ExpertEngine;
import io.atoll.expert.store.ExpertStore;
import io.atoll.expert.store.ResidentExperts;
import io.atoll.kernels.ComputePool;
import io.atoll.kernels.Kernels;
import io.atoll.kernels.WeightFormat;
import io.atoll.model.checkpoint.TextWeights;
import io.atoll.model.config.TextConfig;
import io.atoll.proto.ErrorCode;
import io.atoll.proto.Failure;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Optional;

/// All routed experts in the attention worker's own process: an expert worker's engine without the wire.
///
/// Rows are computed by the thread that combines them, so a dispatch costs nothing and the deadline is never waited for. Owns the
/// experts; borrows kernels and pool.
public final class EmbeddedExperts implements RoutedExperts {
    private static final long INITIAL_ROWS = 16;

    private final ExpertStore store;
    private final ExpertEngine engine;
    private final Kernels kernels;
    private final int k;
    private Arena sumsArena = Arena.ofShared();
    private MemorySegment sums; // int64 [rows, hidden], as many rows as the largest dispatch had

    /// @param store every expert of the model; owned from here on
    /// @param expertsPerToken routes of a row
    /// @param pool not in use by another thread while this one combines
    public EmbeddedExperts(
            ExpertStore store, int expertsPerToken, Kernels kernels, ComputePool pool) {
        this.store = store;
        this.kernels = kernels;
        k = expertsPerToken;
        engine = new ExpertEngine(store, kernels, pool, ExpertWorker.FRACTION_BITS);
        sums = allocateSums(INITIAL_ROWS);
    }

    /// Loads every expert of a model.
    ///
    /// @param format to hold them in; empty keeps the checkpoint's values
    /// @throws io.atoll.model.checkpoint.CheckpointException if a weight is missing or damaged
    public static EmbeddedExperts load(
            TextWeights weights, Optional<WeightFormat> format, Kernels kernels, ComputePool pool) {
        TextConfig config = weights.config();
        ExpertShard all = ExpertShard.all(config.layerCount(), config.experts());
        return new EmbeddedExperts(
                ResidentExperts.load(weights, all, format),
                config.expertsPerToken(),
                kernels,
                pool);
    }

    @Override
    public Dispatch dispatch(
            int layer,
            int rows,
            MemorySegment x,
            MemorySegment expertIds,
            MemorySegment weights,
            long deadlineNanos) {
        return out -> compute(layer, rows, x, expertIds, weights, out);
    }

    private Optional<Failure> compute(
            int layer,
            int rows,
            MemorySegment x,
            MemorySegment expertIds,
            MemorySegment weights,
            MemorySegment out) {
        int hidden = store.hidden();
        long sumBytes = (long) hidden * Long.BYTES;
        if (rows * sumBytes > sums.byteSize()) {
            sumsArena.close();
            sumsArena = Arena.ofShared();
            sums = allocateSums(rows);
        }
        engine.begin(layer);
        int job = engine.addFloats(rows, x, k, expertIds, weights, sums);
        engine.run();
        if (!engine.isFinite(job)) {
            return Optional.of(
                    new Failure(
                            ErrorCode.NON_FINITE_OUTPUT,
                            "an expert's output is not finite or past the combine's grid: layer="
                                    + layer
                                    + " rows="
                                    + rows));
        }
        long rowBytes = (long) hidden * Float.BYTES;
        for (int row = 0; row < rows; row++) {
            kernels.combineToFloat(
                    sums.asSlice(row * sumBytes, sumBytes),
                    out.asSlice(row * rowBytes, rowBytes),
                    hidden,
                    ExpertWorker.FRACTION_BITS);
        }
        return Optional.empty();
    }

    private MemorySegment allocateSums(long rows) {
        return sumsArena.allocate(ValueLayout.JAVA_LONG, rows * store.hidden());
    }

    @Override
    public Optional<Failure> unavailable() {
        return Optional.empty();
    }

    @Override
    public void close() {
        engine.close();
        store.close();
        sumsArena.close();
    }
}
