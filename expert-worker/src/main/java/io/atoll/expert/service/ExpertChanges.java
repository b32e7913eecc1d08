package io.atoll.expert.service;

import io.atoll.cluster.placement.ExpertShard;
import io.atoll.expert.batch.BatchLoop;
import io.atoll.expert.store.ResidentExperts;
import io.atoll.expert.store.ResidentExperts.Unheld;
import io.atoll.kernels.ComputePool;
import java.util.Optional;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.BooleanSupplier;
import java.util.function.IntConsumer;
import java.util.function.Supplier;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/// Changes what a worker holds while it serves, one change at a time.
///
/// Weights are loaded beside the compute thread, packed by one thread or fetched by a few that wait most of the time; the change itself is done by the compute thread
/// between two batches, and there attention workers are told of it.
public final class ExpertChanges {
    private static final Logger LOG = LoggerFactory.getLogger(ExpertChanges.class);

    private final ResidentExperts store;
    private final BatchLoop loop;
    private final Supplier<ResidentExperts.Source> source;
    private final long memoryBytes;
    private final ReentrantLock changing = new ReentrantLock();
    private volatile Optional<ExpertShard> loading = Optional.empty();

    /// @param source where more experts come from; asked for at the first load
    /// @param memoryBytes most that experts may take
    public ExpertChanges(
            ResidentExperts store,
            BatchLoop loop,
            Supplier<ResidentExperts.Source> source,
            long memoryBytes) {
        this.store = store;
        this.loop = loop;
        this.source = source;
        this.memoryBytes = memoryBytes;
    }

    /// Another change is under way.
    static final class BusyException extends Exception {
        private static final long serialVersionUID = 1L;

        BusyException() {
            super("another change of what is held is under way");
        }
    }

    /// The caller did not want to wait any longer; nothing was changed.
    static final class AbandonedException extends RuntimeException {
        private static final long serialVersionUID = 1L;

        AbandonedException() {
            super("the load was given up by who asked for it");
        }
    }

    /// What is held.
    ResidentExperts.Contents contents() {
        return store.contents();
    }

    long memoryBytes() {
        return memoryBytes;
    }

    /// What is being loaded now.
    Optional<ExpertShard> loading() {
        return loading;
    }

    /// Loads experts and holds them. Those that are held already are left as they are.
    ///
    /// @param progress is told how many are loaded
    /// @param abandoned asked after each; when true, the load ends
    /// @param announce tells others of the change, on the compute thread
    void load(
            ExpertShard wanted, IntConsumer progress, BooleanSupplier abandoned, Runnable announce)
            throws BusyException, InterruptedException {
        begin();
        try (ComputePool pool = new ComputePool(source.get().concurrency())) {
            ExpertShard missing = wanted.without(store.shard());
            loading = Optional.of(missing);
            long start = System.nanoTime();
            AtomicInteger loaded = new AtomicInteger();
            try (Unheld prepared =
                    store.prepare(
                            missing,
                            source.get(),
                            pool,
                            memoryBytes,
                            () -> {
                                if (abandoned.getAsBoolean()) {
                                    throw new AbandonedException();
                                }
                                progress.accept(loaded.incrementAndGet());
                            })) {
                onComputeThread(
                        () -> {
                            store.add(prepared);
                            announce.run();
                            return prepared;
                        });
            }
            LOG.info(
                    "loaded {} experts ({}) in {} ms, {} MiB are held",
                    missing.size(),
                    missing,
                    (System.nanoTime() - start) / 1_000_000,
                    store.contents().bytes() >> 20);
        } finally {
            loading = Optional.empty();
            changing.unlock();
        }
    }

    /// Lets go of experts.
    ///
    /// @param announce tells others of the change, on the compute thread
    void release(ExpertShard unwanted, Runnable announce)
            throws BusyException, InterruptedException {
        begin();
        try {
            ExpertShard gone = unwanted.and(store.shard());
            onComputeThread(
                            () -> {
                                Unheld removed = store.remove(gone);
                                announce.run();
                                return removed;
                            })
                    .close();
            LOG.info(
                    "released {} experts ({}), {} MiB are held",
                    gone.size(),
                    gone,
                    store.contents().bytes() >> 20);
        } finally {
            changing.unlock();
        }
    }

    private void begin() throws BusyException {
        if (!changing.tryLock()) {
            throw new BusyException();
        }
    }

    private Unheld onComputeThread(Supplier<Unheld> change) throws InterruptedException {
        try {
            return loop.between(change).get();
        } catch (ExecutionException e) {
            if (e.getCause() instanceof RuntimeException cause) {
                throw cause;
            }
            throw new IllegalStateException(e.getCause());
        }
    }
}
