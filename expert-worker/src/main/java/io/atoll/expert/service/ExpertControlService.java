package io.atoll.expert.service;

import io.atoll.cluster.placement.ExpertShard;
import io.atoll.expert.batch.DispatchQueue;
import io.atoll.expert.batch.RouteCounts;
import io.atoll.expert.service.ExpertChanges.AbandonedException;
import io.atoll.expert.service.ExpertChanges.BusyException;
import io.atoll.expert.store.ExpertMemoryException;
import io.atoll.expert.store.ResidentExperts.Contents;
import io.atoll.kernels.WeightFormat;
import io.atoll.model.config.ModelFileException;
import io.atoll.proto.v1.ChangeRequest;
import io.atoll.proto.v1.DescribeRequest;
import io.atoll.proto.v1.ExpertControlGrpc.ExpertControlImplBase;
import io.atoll.proto.v1.LoadProgress;
import io.atoll.proto.v1.WorkerDescription;
import io.grpc.Status;
import io.grpc.stub.ServerCallStreamObserver;
import io.grpc.stub.StreamObserver;
import java.time.Instant;
import java.util.Optional;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/// A coordinator's calls: what is held, load, release. See `control.proto`.
///
/// Owns the thread that loads.
public final class ExpertControlService extends ExpertControlImplBase implements AutoCloseable {
    private static final Logger LOG = LoggerFactory.getLogger(ExpertControlService.class);

    private final WorkerIdentity identity;
    private final Machine machine;
    private final ExpertChanges changes;
    private final DispatchQueue queue;
    private final ExpertService service;
    private final RouteCounts heat;
    private final ExpertShard initial;
    private final AtomicLong epoch = new AtomicLong();
    private final ExecutorService executor;

    /// What a worker says of the machine that it runs on.
    ///
    /// @param threads that compute
    /// @param compute kernel class and devices, for people
    /// @param memoryBytesPerSecond that these threads together read
    public record Machine(int threads, String compute, double memoryBytesPerSecond) {}

    public ExpertControlService(
            WorkerIdentity identity,
            Machine machine,
            ExpertChanges changes,
            DispatchQueue queue,
            ExpertService service,
            RouteCounts heat) {
        this.identity = identity;
        this.machine = machine;
        this.changes = changes;
        this.queue = queue;
        this.service = service;
        this.heat = heat;
        initial = changes.contents().shard();
        executor =
                Executors.newThreadPerTaskExecutor(
                        Thread.ofPlatform().name(identity.name() + "-load-", 0).daemon().factory());
    }

    @Override
    public void describe(DescribeRequest request, StreamObserver<WorkerDescription> answer) {
        if (isRefused(request.getClusterId(), request.getEpoch(), "", answer)) {
            return;
        }
        answer.onNext(description(request.getWithHeat()));
        answer.onCompleted();
    }

    @Override
    public void load(ChangeRequest request, StreamObserver<LoadProgress> answer) {
        ServerCallStreamObserver<LoadProgress> call =
                (ServerCallStreamObserver<LoadProgress>) answer;
        call.setOnCancelHandler(() -> {}); // seen by isCancelled
        change(
                request,
                answer,
                shard -> {
                    int wanted = shard.without(identity.shard()).size();
                    int step = Math.max(1, wanted / 100);
                    changes.load(
                            shard,
                            loaded -> {
                                synchronized (call) { // several threads may load
                                    if (loaded % step == 0 && call.isReady()) {
                                        call.onNext(progress(loaded, wanted).build());
                                    }
                                }
                            },
                            call::isCancelled,
                            service::announceHeld);
                    answer.onNext(progress(wanted, wanted).setDone(description(false)).build());
                });
    }

    private static LoadProgress.Builder progress(int loaded, int wanted) {
        return LoadProgress.newBuilder().setLoaded(loaded).setWanted(wanted);
    }

    @Override
    public void release(ChangeRequest request, StreamObserver<WorkerDescription> answer) {
        change(
                request,
                answer,
                shard -> {
                    changes.release(shard, service::announceHeld);
                    answer.onNext(description(false));
                });
    }

    /// A change of what is held.
    private interface Change {
        void make(ExpertShard shard) throws BusyException, InterruptedException;
    }

    private <T> void change(ChangeRequest request, StreamObserver<T> answer, Change change) {
        if (isRefused(
                request.getClusterId(), request.getEpoch(), request.getModelDigest(), answer)) {
            return;
        }
        ExpertShard shard;
        try {
            ExpertShard held = identity.shard();
            shard = ExpertShard.parse(request.getExperts(), held.layers(), held.experts());
        } catch (IllegalArgumentException e) {
            answer.onError(
                    Status.INVALID_ARGUMENT
                            .withDescription("experts: " + e.getMessage())
                            .asRuntimeException());
            return;
        }
        executor.execute(
                () -> {
                    Optional<Status> failure = tried(change, shard);
                    if (failure.isPresent()) {
                        answer.onError(failure.get().asRuntimeException());
                    } else {
                        answer.onCompleted();
                    }
                });
    }

    private Optional<Status> tried(Change change, ExpertShard shard) {
        try {
            change.make(shard);
            return Optional.empty();
        } catch (BusyException e) {
            return Optional.of(Status.ABORTED.withDescription(e.getMessage()));
        } catch (AbandonedException e) {
            return Optional.of(Status.CANCELLED.withDescription(e.getMessage()));
        } catch (ExpertMemoryException e) {
            return Optional.of(Status.RESOURCE_EXHAUSTED.withDescription(e.getMessage()));
        } catch (ModelFileException e) {
            LOG.warn("experts {} cannot be loaded: {}", shard, e.getMessage());
            return Optional.of(Status.DATA_LOSS.withDescription(e.getMessage()));
        } catch (InterruptedException _) {
            return Optional.of(Status.UNAVAILABLE.withDescription("the worker is stopping"));
        } catch (RuntimeException e) {
            LOG.error("a change of {} failed", shard, e);
            return Optional.of(Status.INTERNAL.withDescription(String.valueOf(e)));
        }
    }

    /// Refuses another cluster, another model, and a coordinator that has been replaced.
    private boolean isRefused(
            String clusterId, long theirEpoch, String digest, StreamObserver<?> answer) {
        String problem = "";
        if (!clusterId.equals(identity.clusterId())) {
            problem =
                    "cluster id: %s has '%s', the caller '%s'"
                            .formatted(identity.name(), identity.clusterId(), clusterId);
        } else if (!digest.isEmpty() && !digest.equals(identity.modelDigest())) {
            problem =
                    "model digest: %s has '%s', the caller '%s'"
                            .formatted(identity.name(), identity.modelDigest(), digest);
        } else {
            long newest =
                    epoch.accumulateAndGet(
                            theirEpoch, (a, b) -> Long.compareUnsigned(a, b) >= 0 ? a : b);
            if (newest != theirEpoch) {
                problem =
                        "epoch: %s has heard of %s, the caller has %s"
                                .formatted(
                                        identity.name(),
                                        Long.toUnsignedString(newest),
                                        Long.toUnsignedString(theirEpoch));
            }
        }
        if (problem.isEmpty()) {
            return false;
        }
        answer.onError(Status.FAILED_PRECONDITION.withDescription(problem).asRuntimeException());
        return true;
    }

    private WorkerDescription description(boolean withHeat) {
        Contents contents = changes.contents();
        WorkerDescription.Builder description =
                WorkerDescription.newBuilder()
                        .setName(identity.name())
                        .setModelDigest(identity.modelDigest())
                        .setHeld(contents.shard().toString())
                        .setBytesHeld(contents.bytes())
                        .setMemoryBytes(changes.memoryBytes())
                        .setLayers(contents.shard().layers())
                        .setExperts(contents.shard().experts())
                        .addAllExpertBytes(contents.expertBytes())
                        .setThreads(machine.threads())
                        .setCompute(machine.compute())
                        .setQueuedDispatches(queue.size())
                        .setStreams(service.attentionStreams())
                        .setInitial(initial.toString())
                        .setMemoryBytesPerSecond(machine.memoryBytesPerSecond())
                        .setLoading(changes.loading().map(ExpertShard::toString).orElse(""))
                        .setStartedMillis(
                                ProcessHandle.current()
                                        .info()
                                        .startInstant()
                                        .map(Instant::toEpochMilli)
                                        .orElse(0L));
        for (WeightFormat format : contents.formats()) {
            description.addWeightFormats(format.toString());
        }
        if (withHeat) {
            for (int layer = 0; layer < contents.shard().layers(); layer++) {
                for (int expert = 0; expert < contents.shard().experts(); expert++) {
                    description.addHeat(heat.of(layer, expert));
                }
            }
        }
        return description.build();
    }

    @Override
    public void close() {
        executor.shutdownNow();
        try {
            if (!executor.awaitTermination(10, TimeUnit.SECONDS)) {
                LOG.warn("{}: a change has not ended in 10 s", identity.name());
            }
        } catch (InterruptedException _) {
            Thread.currentThread().interrupt();
        }
    }
}
