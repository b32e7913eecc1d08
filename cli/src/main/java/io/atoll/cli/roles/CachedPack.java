package io.atoll.cli.roles;

import io.atoll.cluster.config.ClusterFile;
import io.atoll.cluster.placement.ExpertShard;
import io.atoll.cluster.placement.ExpertShard.LayerRange;
import io.atoll.kernels.ComputePool;
import io.atoll.model.ModelDirectory;
import io.atoll.model.config.TextConfig;
import io.atoll.model.pack.PackCache;
import io.atoll.model.pack.PackException;
import io.atoll.model.pack.PackProgress;
import io.atoll.model.pack.PackSelection;
import io.atoll.model.weights.WeightPacking;
import java.nio.file.Path;
import java.util.Optional;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/// A role's part of a model as a pack in the cache that the cluster file names, packed at the role's first start. It stays in the
/// cache as long as this is open.
final class CachedPack implements AutoCloseable {
    private static final Logger LOG = LoggerFactory.getLogger(CachedPack.class);

    private final PackCache.Lease lease;
    private final ModelDirectory model;

    private CachedPack(PackCache.Lease lease) {
        this.lease = lease;
        try {
            model = ModelDirectory.open(lease.pack());
        } catch (RuntimeException | Error e) {
            lease.close();
            throw e;
        }
    }

    /// Of everything but the routed experts, or with them.
    ///
    /// @return empty where there is no cache, or nothing that it could hold
    static Optional<CachedPack> dense(
            ModelDirectory source, ClusterFile file, boolean withExperts) {
        TextConfig config = source.config().text();
        int layers = WeightPacking.routedLayers(source.textWeights());
        PackSelection dense = PackSelection.none(config).withDense(0, layers - 1);
        PackSelection all = withExperts(dense, ExpertShard.all(layers, config.experts()));
        return of(
                source,
                file,
                withExperts && file.expertFormat().isPresent(),
                withExperts ? all : dense);
    }

    /// Of the experts of a shard.
    ///
    /// @param rounded whether they are rounded as they are loaded: then they cannot come out of a pack
    /// @return empty where there is no cache, or nothing that it could hold
    static Optional<CachedPack> experts(
            Path model, ClusterFile file, boolean rounded, ExpertShard shard) {
        if (file.packCache().isEmpty()) {
            return Optional.empty();
        }
        try (ModelDirectory source = ModelDirectory.open(model)) {
            return of(
                    source,
                    file,
                    rounded,
                    withExperts(PackSelection.none(source.config().text()), shard));
        }
    }

    private static PackSelection withExperts(PackSelection selection, ExpertShard shard) {
        PackSelection chosen = selection;
        for (LayerRange range : shard.ranges()) {
            chosen = chosen.withExperts(range.layer(), range.first(), range.last());
        }
        return chosen;
    }

    /// A cache that cannot be used is no reason not to serve.
    private static Optional<CachedPack> of(
            ModelDirectory source, ClusterFile file, boolean rounded, PackSelection part) {
        if (file.packCache().isEmpty() || source.pack().isPresent() || rounded) {
            return Optional.empty();
        }
        PackCache cache = new PackCache(file.packCache().get(), file.packCacheBytes());
        try (ComputePool pool = new ComputePool(Runtime.getRuntime().availableProcessors())) {
            return cache.lease(source.packSource(), part, pool, new LoggedProgress())
                    .map(CachedPack::new);
        } catch (PackException e) {
            LOG.warn("weights are packed in memory: {}", e.getMessage());
            return Optional.empty();
        }
    }

    ModelDirectory model() {
        return model;
    }

    @Override
    public void close() {
        model.close();
        lease.close();
    }

    /// A line at every tenth.
    private static final class LoggedProgress implements PackProgress {
        private String phase = "";
        private long total;
        private long done;

        @Override
        public synchronized void begin(String newPhase, long bytes) {
            phase = newPhase;
            total = bytes;
            done = 0;
        }

        @Override
        public synchronized void done(long bytes) {
            long before = 10 * done / Math.max(total, 1);
            done += bytes;
            long now = 10 * done / Math.max(total, 1);
            if (now != before) {
                LOG.info("{}: {} % of {} MB", phase, 10 * now, total / 1_000_000);
            }
        }
    }
}
