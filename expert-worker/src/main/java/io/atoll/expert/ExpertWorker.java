package io.atoll.expert;

import io.atoll.expert.batch.BatchLoop;
import io.atoll.expert.batch.CudaExpertEngine;
import io.atoll.expert.batch.DispatchQueue;
import io.atoll.expert.batch.ExpertCompute;
import io.atoll.expert.batch.ExpertEngine;
import io.atoll.expert.batch.RouteCounts;
import io.atoll.expert.service.ExpertChanges;
import io.atoll.expert.service.ExpertControlService;
import io.atoll.expert.service.ExpertService;
import io.atoll.expert.service.WorkerIdentity;
import io.atoll.expert.store.ExpertStore;
import io.atoll.expert.transfer.ExpertSender;
import io.atoll.expert.transfer.PeerExperts;
import io.atoll.expert.transfer.TransferRate;
import io.atoll.kernels.ComputePool;
import io.atoll.kernels.KernelLibrary;
import io.atoll.kernels.KernelUnavailableException;
import io.atoll.kernels.Kernels;
import io.atoll.kernels.ReadSpeed;
import io.atoll.kernels.cuda.Cuda;
import io.atoll.kernels.cuda.CudaException;
import io.atoll.proto.v1.WorkerCatalogue;
import io.atoll.proto.wire.DataPlane;
import io.atoll.proto.wire.RowFormat;
import io.grpc.InsecureServerCredentials;
import io.grpc.Server;
import io.grpc.ServerBuilder;
import io.grpc.ServerCredentials;
import io.grpc.health.v1.HealthCheckResponse.ServingStatus;
import io.grpc.protobuf.services.HealthStatusManager;
import io.netty.channel.EventLoopGroup;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.util.List;
import java.util.Optional;
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
    private final Optional<ExpertControlService> control;
    private final HealthStatusManager health = new HealthStatusManager();
    private final EventLoopGroup loops;
    private final Server server;
    private final Optional<LoadedModel> model;
    private boolean closed;

    /// Loads the experts of the settings' shard from the model, and lets everybody in who reaches it.
    ///
    /// @throws io.atoll.model.checkpoint.CheckpointException if weights are missing or damaged
    public static ExpertWorker open(ExpertWorkerSettings settings) {
        return open(settings, InsecureServerCredentials.create());
    }

    /// Loads the experts of the settings' shard from the model.
    ///
    /// @param credentials of this node, and how it checks its peers'
    /// @throws io.atoll.model.checkpoint.CheckpointException if weights are missing or damaged
    public static ExpertWorker open(ExpertWorkerSettings settings, ServerCredentials credentials) {
        return open(settings, credentials, Optional.empty());
    }

    /// Loads the experts of the settings' shard from the model, or from other workers.
    ///
    /// @param credentials of this node, and how it checks its peers'
    /// @param peers where experts come from instead of the model; borrowed for as long as this worker is open
    /// @throws io.atoll.model.checkpoint.CheckpointException if weights are missing or damaged
    /// @throws io.atoll.expert.transfer.ExpertTransferException if no other worker has them
    public static ExpertWorker open(
            ExpertWorkerSettings settings,
            ServerCredentials credentials,
            Optional<PeerExperts> peers) {
        LoadedModel model = new LoadedModel(settings, peers);
        try {
            return new ExpertWorker(
                    settings,
                    model.experts(),
                    model.digest(),
                    KernelLibrary.select(settings.kernels()),
                    Optional.of(model),
                    credentials);
        } catch (RuntimeException | Error e) {
            model.close();
            throw e;
        }
    }

    /// A worker over experts that are loaded already, and stay those; it owns them from here on.
    public static ExpertWorker over(
            ExpertWorkerSettings settings, ExpertStore store, String modelDigest) {
        return new ExpertWorker(
                settings,
                store,
                modelDigest,
                KernelLibrary.select(settings.kernels()),
                Optional.empty(),
                InsecureServerCredentials.create());
    }

    private ExpertWorker(
            ExpertWorkerSettings settings,
            ExpertStore store,
            String modelDigest,
            Kernels kernels,
            Optional<LoadedModel> model,
            ServerCredentials credentials) {
        this.settings = settings;
        this.store = store;
        this.model = model;
        computePool = new ComputePool(settings.threads());
        queue =
                new DispatchQueue(
                        settings.maxQueueMessages(),
                        settings.maxQueueBytes(),
                        settings.spin().toNanos());
        RouteCounts heat = new RouteCounts(store.shard().layers(), store.shard().experts());
        batchLoop =
                new BatchLoop(
                        queue,
                        compute(settings, store, kernels, computePool),
                        store,
                        heat,
                        settings.name());
        WorkerIdentity identity =
                new WorkerIdentity(
                        settings.name(),
                        settings.clusterId(),
                        modelDigest,
                        kernels.kernelClass().arithmetic(),
                        store.takesQuantizedRows() ? RowFormat.Q8 : RowFormat.F32,
                        store.hidden(),
                        FRACTION_BITS,
                        store::shard);
        Optional<ExpertSender> sender =
                model.map(
                        loaded ->
                                new ExpertSender(
                                        loaded.experts(),
                                        catalogue(identity, store),
                                        new TransferRate(settings.transferBytesPerSecond())));
        service = new ExpertService(identity, queue, kernels, sender);
        control =
                model.map(
                        loaded ->
                                new ExpertControlService(
                                        identity,
                                        new ExpertControlService.Machine(
                                                settings.threads(),
                                                KernelLibrary.describe(kernels, settings.threads()),
                                                ReadSpeed.quick(kernels, computePool)),
                                        new ExpertChanges(
                                                loaded.experts(),
                                                batchLoop,
                                                loaded::source,
                                                settings.memoryBytes()),
                                        queue,
                                        service,
                                        heat));
        loops = DataPlane.eventLoops(1, settings.name() + "-net");
        ServerBuilder<?> builder =
                DataPlane.server(
                                new InetSocketAddress(settings.host(), settings.port()),
                                credentials,
                                loops,
                                settings.name())
                        .addService(service.definition())
                        .addService(health.getHealthService());
        control.ifPresent(builder::addService);
        server = builder.build();
    }

    private static WorkerCatalogue catalogue(WorkerIdentity identity, ExpertStore store) {
        return WorkerCatalogue.newBuilder()
                .setName(identity.name())
                .setClusterId(identity.clusterId())
                .setModelDigest(identity.modelDigest())
                .setLayers(store.shard().layers())
                .setExperts(store.shard().experts())
                .setHiddenSize(store.hidden())
                .setIntermediateSize(store.intermediate())
                .setQuantizedRows(store.takesQuantizedRows())
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
        control.ifPresent(ExpertControlService::close);
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
        model.ifPresent(LoadedModel::close);
        LOG.info("{} stopped", settings.name());
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
    }
}
