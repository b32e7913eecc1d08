package io.atoll.coordinator.cluster;

import io.atoll.cluster.placement.ExpertShard;
import io.atoll.coordinator.cluster.ClusterSettings.WorkerAddress;
import io.atoll.proto.v1.ChangeRequest;
import io.atoll.proto.v1.DescribeRequest;
import io.atoll.proto.v1.ExpertControlGrpc;
import io.atoll.proto.v1.ExpertControlGrpc.ExpertControlBlockingStub;
import io.atoll.proto.v1.LoadProgress;
import io.atoll.proto.v1.WorkerDescription;
import io.atoll.proto.wire.StatusText;
import io.grpc.ChannelCredentials;
import io.grpc.ManagedChannel;
import io.grpc.StatusRuntimeException;
import io.grpc.netty.NettyChannelBuilder;
import java.time.Duration;
import java.util.Iterator;
import java.util.concurrent.TimeUnit;
import java.util.function.IntConsumer;
import java.util.function.LongSupplier;

/// Calls to one expert worker. They block; any thread may make them.
final class WorkerControl implements AutoCloseable {
    private static final int MAX_ANSWER_BYTES = 16 << 20;

    private final String clusterId;
    private final LongSupplier epoch;
    private final ManagedChannel channel;

    /// @param epoch of this coordinator at the time of a call
    WorkerControl(
            String clusterId,
            LongSupplier epoch,
            WorkerAddress worker,
            ChannelCredentials credentials) {
        this.clusterId = clusterId;
        this.epoch = epoch;
        channel =
                NettyChannelBuilder.forAddress(worker.host(), worker.port(), credentials)
                        .maxInboundMessageSize(MAX_ANSWER_BYTES)
                        .build();
    }

    private ExpertControlBlockingStub within(Duration limit) {
        return ExpertControlGrpc.newBlockingStub(channel)
                .withDeadlineAfter(limit.toNanos(), TimeUnit.NANOSECONDS);
    }

    /// What the worker holds.
    ///
    /// @param withHeat whether to ask how often each expert was used
    WorkerDescription describe(boolean withHeat, Duration limit) throws ControlException {
        try {
            return within(limit)
                    .describe(
                            DescribeRequest.newBuilder()
                                    .setClusterId(clusterId)
                                    .setEpoch(epoch.getAsLong())
                                    .setWithHeat(withHeat)
                                    .build());
        } catch (StatusRuntimeException e) {
            throw failure(e);
        }
    }

    /// Has it load experts, and returns when it holds them.
    ///
    /// @param loaded is told how many are loaded
    /// @return what it holds then
    WorkerDescription load(ExpertShard experts, Duration limit, IntConsumer loaded)
            throws ControlException {
        try {
            Iterator<LoadProgress> progress = within(limit).load(change(experts));
            while (progress.hasNext()) {
                LoadProgress next = progress.next();
                loaded.accept(next.getLoaded());
                if (next.hasDone()) {
                    return next.getDone();
                }
            }
        } catch (StatusRuntimeException e) {
            throw failure(e);
        }
        throw new ControlException("the worker ended a load without its result", null);
    }

    /// Has it let go of experts.
    ///
    /// @return what it holds then
    WorkerDescription release(ExpertShard experts, Duration limit) throws ControlException {
        try {
            return within(limit).release(change(experts));
        } catch (StatusRuntimeException e) {
            throw failure(e);
        }
    }

    private ChangeRequest change(ExpertShard experts) {
        return ChangeRequest.newBuilder()
                .setClusterId(clusterId)
                .setEpoch(epoch.getAsLong())
                .setExperts(experts.toString())
                .build();
    }

    private static ControlException failure(StatusRuntimeException e) {
        return new ControlException(StatusText.of(e.getStatus()), e);
    }

    @Override
    public void close() {
        channel.shutdownNow();
    }
}
