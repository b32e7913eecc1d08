package io.atoll.cli.roles;

import io.atoll.attention.moe.RoutedExperts;
import io.atoll.cluster.placement.ExpertShard;
import io.atoll.expert.ExpertWorker;
import io.atoll.expert.batch.ExpertEngine;
import io.atoll.expert.store.ExpertStore;
import io.atoll.expert.store.ResidentExperts;
import io.atoll.kernels.ComputePool;
import io.atoll.kernels.Kernels;
import io.atoll.kernels.WeightFormat;
import io.atoll.model.ModelDirectory;
import io.atoll.model.config.TextConfig;
import io.atoll.model.weights.WeightPacking;
import io.atoll.proto.ErrorCode;
import io.atoll.proto.Failure;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Optional;

/// All experts in this process: an expert worker's engine, without the wire. The sums are the same bits.
///
/// A dispatch is only remembered; the combine computes, on the caller's threads, which would otherwise wait.
public final class LocalExperts implements RoutedExperts {
    private final ExpertStore store;
    private final ExpertEngine engine;
    private final Kernels kernels;
    private final int hidden;
    private final int expertsPerToken;
    private Arena sumsArena = Arena.ofShared();
    private MemorySegment sums = MemorySegment.NULL; // int64 [rows, hidden]

    /// Loads every expert of a model, which has to stay open if it is a pack.
    ///
    /// @param format to hold them in; empty keeps the checkpoint's values
    /// @throws io.atoll.model.checkpoint.CheckpointException if weights are missing or damaged
    public static LocalExperts load(
            ModelDirectory model,
            Optional<WeightFormat> format,
            Kernels kernels,
            ComputePool pool) {
        TextConfig text = model.config().text();
        ExpertShard all =
                ExpertShard.all(WeightPacking.routedLayers(model.textWeights()), text.experts());
        return new LocalExperts(
                ResidentExperts.load(model.textWeights(), all, format, pool),
                kernels,
                pool,
                text.expertsPerToken());
    }

    /// @param store owned from here on
    public LocalExperts(ExpertStore store, Kernels kernels, ComputePool pool, int expertsPerToken) {
        this.store = store;
        this.kernels = kernels;
        this.expertsPerToken = expertsPerToken;
        hidden = store.hidden();
        engine = new ExpertEngine(store, kernels, pool, ExpertWorker.FRACTION_BITS);
    }

    @Override
    public Dispatch dispatch(
            int layer,
            int rows,
            MemorySegment x,
            MemorySegment expertIds,
            MemorySegment weights,
            long deadlineNanos) {
        return out -> combine(layer, rows, x, expertIds, weights, out);
    }

    private Optional<Failure> combine(
            int layer,
            int rows,
            MemorySegment x,
            MemorySegment expertIds,
            MemorySegment weights,
            MemorySegment out) {
        int values = Math.multiplyExact(rows, hidden);
        reserve((long) values * Long.BYTES);
        engine.begin(layer);
        int job = engine.addFloats(rows, x, expertsPerToken, expertIds, weights, sums);
        engine.run();
        if (!engine.isFinite(job)) {
            return Optional.of(
                    new Failure(
                            ErrorCode.NON_FINITE_OUTPUT,
                            "an expert's output is not finite or past the grid: layer=" + layer));
        }
        kernels.combineToFloat(sums, out, values, ExpertWorker.FRACTION_BITS);
        return Optional.empty();
    }

    private void reserve(long bytes) {
        if (sums.byteSize() < bytes) {
            sumsArena.close();
            sumsArena = Arena.ofShared();
            sums = sumsArena.allocate(bytes, 64);
        }
    }

    @Override
    public Optional<Failure> unavailable() {
        return Optional.empty();
    }

    @Override
    public void close() {
        engine.close();
        sumsArena.close();
        store.close();
    }
}
