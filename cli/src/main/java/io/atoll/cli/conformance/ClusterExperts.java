package io.atoll.cli.conformance;

import io.atoll.attention.moe.RemoteExperts;
import io.atoll.attention.moe.RemoteExpertsSettings;
import io.atoll.attention.moe.RoutedExperts;
import io.atoll.attention.moe.RoutedModel;
import io.atoll.attention.moe.WorkerAddress;
import io.atoll.cli.process.AtollProcess;
import io.atoll.cli.roles.ExpertRows;
import io.atoll.cluster.config.HostPort;
import io.atoll.expert.ExpertWorker;
import io.atoll.kernels.Kernels;
import io.atoll.model.ModelDirectory;
import io.atoll.model.config.TextConfig;
import io.atoll.model.weights.WeightPacking;
import io.atoll.proto.Failure;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;

/// The routed experts of a model on two expert workers that live as long as this object: child processes on this machine, reached over
/// the wire.
///
/// A failure carries the end of the workers' logs. The children end by themselves if this process dies.
final class ClusterExperts implements RoutedExperts {
    private static final int WORKERS = 2;
    private static final String CLUSTER_ID = "conformance";
    private static final String HOST = "127.0.0.1";
    private static final Duration START_TIMEOUT =
            Duration.ofMinutes(5); // a large model is packed first

    private final Path logs;
    private final List<AtollProcess> processes = new ArrayList<>();
    private Optional<RemoteExperts> remote = Optional.empty();

    private ClusterExperts(Path logs) {
        this.logs = logs;
    }

    /// Starts the workers and waits until they answer.
    ///
    /// @throws EngineException with the end of a worker's log, after everything was stopped again
    static ClusterExperts start(ModelDirectory model, Kernels kernels) {
        try {
            ClusterExperts experts =
                    new ClusterExperts(Files.createTempDirectory("atoll-conformance-logs-"));
            try {
                experts.startWorkers(model.path(), kernels);
                experts.connect(model, kernels);
                return experts;
            } catch (IOException | InterruptedException | RuntimeException e) {
                experts.close();
                throw e;
            }
        } catch (IOException e) {
            throw new EngineException("the expert workers did not start: " + e.getMessage(), e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new EngineException("interrupted while the expert workers started", e);
        }
    }

    private void startWorkers(Path model, Kernels kernels) throws IOException {
        for (int part = 1; part <= WORKERS; part++) {
            String name = "w" + part;
            processes.add(
                    AtollProcess.start(
                            name,
                            logs.resolve(name + ".log"),
                            List.of(
                                    "expert-worker",
                                    "--name=" + name,
                                    "--cluster-id=" + CLUSTER_ID,
                                    "--model=" + model.toAbsolutePath(),
                                    "--listen=" + new HostPort(HOST, 0),
                                    "--experts=" + part + "/" + WORKERS,
                                    "--kernels=" + kernels.kernelClass().label(),
                                    "--threads=1")));
        }
    }

    private void connect(ModelDirectory model, Kernels kernels)
            throws IOException, InterruptedException {
        List<WorkerAddress> addresses = new ArrayList<>();
        for (AtollProcess process : processes) {
            HostPort address = process.awaitReady(START_TIMEOUT);
            addresses.add(new WorkerAddress(process.name(), address.host(), address.port()));
        }
        TextConfig config = model.config().text();
        RemoteExperts connected =
                new RemoteExperts(
                        RemoteExpertsSettings.of("conformance", CLUSTER_ID, addresses),
                        new RoutedModel(
                                model.modelDigest(),
                                WeightPacking.routedLayers(model.textWeights()),
                                config.experts(),
                                config.hiddenSize(),
                                ExpertRows.format(model),
                                ExpertWorker.FRACTION_BITS),
                        kernels);
        remote = Optional.of(connected);
        Optional<Failure> missing = connected.awaitAvailable(START_TIMEOUT);
        if (missing.isPresent()) {
            throw new IOException(withLogs(missing.get()).toString());
        }
    }

    private Failure withLogs(Failure failure) {
        StringBuilder message = new StringBuilder(failure.message());
        processes.forEach(process -> message.append(process.tail()));
        return new Failure(failure.code(), message.toString());
    }

    @Override
    public Dispatch dispatch(
            int layer,
            int rows,
            MemorySegment x,
            MemorySegment expertIds,
            MemorySegment weights,
            long deadlineNanos) {
        Dispatch dispatch =
                remote.orElseThrow().dispatch(layer, rows, x, expertIds, weights, deadlineNanos);
        return out -> dispatch.combine(out).map(this::withLogs);
    }

    @Override
    public Optional<Failure> unavailable() {
        return remote.orElseThrow().unavailable().map(this::withLogs);
    }

    @Override
    public void close() {
        remote.ifPresent(RemoteExperts::close);
        processes.forEach(AtollProcess::close);
        try (Stream<Path> files = Files.list(logs)) {
            for (Path file : files.toList()) {
                Files.delete(file);
            }
            Files.delete(logs);
        } catch (IOException e) {
            throw new EngineException("cannot remove " + logs + ": " + e, e);
        }
    }
}
