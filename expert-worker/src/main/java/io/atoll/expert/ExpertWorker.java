package io.atoll.expert;

import io.atoll.cluster.placement.ExpertShard;
import io.atoll.expert.batch.BatchLoop;
import io.atoll.expert.batch.CudaExpertEngine;
import io.atoll.expert.batch.DispatchQueue;
import io.atoll.expert.batch.ExpertCompute;
import io.atoll.expert.batch.ExpertEngine;
import io.atoll.expert.service.ExpertService;
import io.atoll.expert.service.WorkerIdentity;
import io.atoll.expert.store.ExpertStore;
import io.atoll.expert.store.PackedExpert;
import io.atoll.expert.store.ResidentExperts;
import io.atoll.kernels.ComputePool;
import io.atoll.kernels.KernelLibrary;
import io.atoll.kernels.KernelUnavailableException;
import io.atoll.kernels.Kernels;
import io.atoll.kernels.cuda.Cuda;
import io.atoll.kernels.cuda.CudaException;
import io.atoll.model.ModelDirectory;
import io.atoll.proto.wire.DataPlane;
import io.atoll.proto.wire.RowFormat;
import io.grpc.Server;
import io.grpc.health.v1.HealthCheckResponse.ServingStatus;
import io.grpc.protobuf.services.HealthStatusManager;
import io.netty.channel.EventLoopGroup;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/// One expert worker: weights, compute thread and port.
///
/// [#open] loads the experts, [#start] binds the port, [#close] stops in order: no new dispatches, finish what is queued
/// within the grace period, end the streams, free the memory.
public final class ExpertWorker implements AutoCloseable {
    /// Binary digits behind the point of the combine's grid, unless the model's manifest says otherwise.
    public static final int FRACTION_BITS = 20;

    private static final Logger LOG = LoggerFactory.getLogger(ExpertWorker.class);

    private final ExpertWorkerSettings settings;
    private final ExpertStore store;
    private final ComputePool computePool;
    private final DispatchQueue queue;
    private final BatchLoop batchLoop;
    private final ExpertService service;
    private final HealthStatusManager health = new HealthStatusManager();
    private final EventLoopGroup loops;
    private final Server server;
    private boolean closed;

    /// Loads the experts of the settings' shard from the model.
    ///
    /// @throws io.atoll.model.checkpoint.CheckpointException if weights are missing or damaged
    public static ExpertWorker open(ExpertWorkerSettings settings) {
        ModelDirectory model = ModelDirectory.open(settings.modelPath());
        try (ComputePool loaders = new ComputePool(settings.threads())) {
            long begin = System.nanoTime();
            ResidentExperts store =
                    ResidentExperts.load(
                            model.textWeights(),
                            settings.shard(),
                            settings.weightFormat(),
                            loaders);
            LOG.info(
                    "{} holds {} experts ({}), {} MiB as {}, loaded in {} ms",
                    settings.name(),
                    settings.shard().size(),
                    settings.shard(),
                    store.bytes() >> 20,
                    store.formats(),
                    (System.nanoTime() - begin) / 1_000_000);
            try {
                String digest = model.modelDigest();
                if (model.pack().isPresent()) {
                    return over(settings, new LentExperts(store, model), digest);
                }
                model.close();
                return over(settings, store, digest);
            } catch (RuntimeException e) {
                store.close();
                throw e;
            }
        } catch (RuntimeException | Error e) {
            model.close();
            throw e;
        }
    }

    /// Experts that lie in a mapped pack, which has to stay open as long as they are used.
    private record LentExperts(ResidentExperts experts, ModelDirectory pack)
            implements ExpertStore {
        @Override
        public ExpertShard shard() {
            return experts.shard();
        }

        @Override
        public int hidden() {
            return experts.hidden();
        }

        @Override
        public int intermediate() {
            return experts.intermediate();
        }

        @Override
        public boolean takesQuantizedRows() {
            return experts.takesQuantizedRows();
        }

        @Override
        public PackedExpert expert(int layer, int expert) {
            return experts.expert(layer, expert);
        }

        @Override
        public void close() {
            experts.close();
            pack.close();
        }
    }

    /// A worker over experts that are loaded already; it owns them from here on.
    public static ExpertWorker over(
            ExpertWorkerSettings settings, ExpertStore store, String modelDigest) {
        return new ExpertWorker(
                settings, store, modelDigest, KernelLibrary.select(settings.kernels()));
    }

    private ExpertWorker(
            ExpertWorkerSettings settings, ExpertStore store, String modelDigest, Kernels kernels) {
        this.settings = settings;
        this.store = store;
        computePool = new ComputePool(settings.threads());
        queue =
                new DispatchQueue(
                        settings.maxQueueMessages(),
                        settings.maxQueueBytes(),
                        settings.spin().toNanos());
        batchLoop =
                new BatchLoop(
                        queue,
                        compute(settings, store, kernels, computePool),
                        store.hidden(),
                        settings.name() + "-compute");
        WorkerIdentity identity =
                new WorkerIdentity(
                        settings.name(),
                        settings.clusterId(),
                        modelDigest,
                        kernels.kernelClass().arithmetic(),
                        store.takesQuantizedRows() ? RowFormat.Q8 : RowFormat.F32,
                        store.hidden(),
                        FRACTION_BITS,
                        store.shard());
        service = new ExpertService(identity, queue, kernels);
        loops = DataPlane.eventLoops(1, settings.name() + "-net");
        server =
                DataPlane.server(new InetSocketAddress(settings.host(), settings.port()), loops)
                        .addService(service.definition())
                        .addService(health.getHealthService())
                        .build();
    }

    /// What computes: on GPUs, as the settings say and the machine allows, or on the CPU. Their sums have the same bits, so the kernel
    /// class that others are told is the CPU's in either case.
    private static ExpertCompute compute(
            ExpertWorkerSettings settings, ExpertStore store, Kernels kernels, ComputePool pool) {
        if (settings.device() == DeviceChoice.CPU) {
            return new ExpertEngine(store, kernels, pool, FRACTION_BITS);
        }
        String reason;
        try {
            switch (Cuda.probe()) {
                case Cuda.Availability.Usable(List<Cuda.Device> devices) -> {
                    return new CudaExpertEngine(store, kernels, pool, FRACTION_BITS, devices);
                }
                case Cuda.Availability.Absent(String why) -> reason = why;
            }
        } catch (CudaException e) {
            reason = e.getMessage();
        }
        if (settings.device() == DeviceChoice.CUDA) {
            throw new KernelUnavailableException("--device cuda: " + reason);
        }
        LOG.info("{} computes on the CPU: {}", settings.name(), reason);
        return new ExpertEngine(store, kernels, pool, FRACTION_BITS);
    }

    /// Binds the port and serves.
    ///
    /// @throws IOException if the port cannot be bound; the worker can only be closed then
    public void start() throws IOException {
        batchLoop.start();
        server.start();
        LOG.info("{} listens on {}:{}", settings.name(), settings.host(), port());
    }

    /// The port it listens on.
    public int port() {
        return server.getPort();
    }

    /// Dispatches that wait for compute now.
    public int queuedDispatches() {
        return queue.size();
    }

    /// Whether it has begun to stop and takes no dispatches any more.
    public boolean isStopping() {
        return queue.isClosed();
    }

    /// Open exchange streams.
    public int openStreams() {
        return service.openStreams();
    }

    @Override
    public synchronized void close() {
        if (closed) {
            return;
        }
        closed = true;
        health.setStatus(HealthStatusManager.SERVICE_NAME_ALL_SERVICES, ServingStatus.NOT_SERVING);
        batchLoop.stop(settings.grace());
        service.closeStreams();
        server.shutdown();
        boolean interrupted = false;
        try {
            if (!server.awaitTermination(500, TimeUnit.MILLISECONDS)) {
                server.shutdownNow();
            }
        } catch (InterruptedException _) {
            interrupted = true;
            server.shutdownNow();
        }
        service.close();
        loops.shutdownGracefully(0, 1, TimeUnit.SECONDS).awaitUninterruptibly();
        computePool.close();
        store.close();
        LOG.info("{} stopped", settings.name());
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
    }
}
