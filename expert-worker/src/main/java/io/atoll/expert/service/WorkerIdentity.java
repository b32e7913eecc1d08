package io.atoll.expert.service;

import io.atoll.cluster.placement.ExpertShard;
import io.atoll.cluster.placement.ExpertShard.LayerRange;
import io.atoll.proto.v1.ExpertRange;
import io.atoll.proto.v1.HeldExperts;
import io.atoll.proto.v1.Hello;
import io.atoll.proto.v1.HelloReply;
import io.atoll.proto.wire.Handshake;
import io.atoll.proto.wire.RowFormat;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicLong;

/// What a worker says about itself in a hello, and the highest placement epoch it has heard of. Safe for any thread.
public final class WorkerIdentity {
    private final Hello hello; // with epoch 0
    private final RowFormat format;
    private final ExpertShard shard;
    private final AtomicLong epoch = new AtomicLong();

    /// @param name of this worker
    /// @param arithmetic of the kernel class in use
    public WorkerIdentity(
            String name,
            String clusterId,
            String modelDigest,
            String arithmetic,
            RowFormat format,
            int hidden,
            int fractionBits,
            ExpertShard shard) {
        this.format = format;
        this.shard = shard;
        this.hello =
                Hello.newBuilder()
                        .setWireVersion(Handshake.WIRE_VERSION)
                        .setClusterId(clusterId)
                        .setModelDigest(modelDigest)
                        .setArithmetic(arithmetic)
                        .setRowType(format.toProto())
                        .setHiddenSize(hidden)
                        .setCombineFractionBits(fractionBits)
                        .setSender(name)
                        .build();
    }

    public String name() {
        return hello.getSender();
    }

    public RowFormat format() {
        return format;
    }

    public int hidden() {
        return hello.getHiddenSize();
    }

    public int fractionBits() {
        return hello.getCombineFractionBits();
    }

    public ExpertShard shard() {
        return shard;
    }

    /// Why the other side does not belong here, if so; else its epoch becomes ours.
    Optional<String> refuse(Hello theirs) {
        Optional<String> mismatch = Handshake.mismatch(hello(), theirs);
        if (mismatch.isEmpty()) {
            epoch.accumulateAndGet(
                    theirs.getPlacementEpoch(), (a, b) -> Long.compareUnsigned(a, b) >= 0 ? a : b);
        }
        return mismatch;
    }

    private Hello hello() {
        return hello.toBuilder().setPlacementEpoch(epoch.get()).build();
    }

    HelloReply reply() {
        HelloReply.Builder reply = HelloReply.newBuilder().setWorker(hello());
        for (int layer = 0; layer < shard.layers(); layer++) {
            HeldExperts held = held(layer);
            if (held.getRangesCount() > 0) {
                reply.addHeld(held);
            }
        }
        return reply.build();
    }

    /// What is held of one layer; no ranges if nothing is.
    HeldExperts held(int layer) {
        HeldExperts.Builder held = HeldExperts.newBuilder().setLayer(layer);
        for (LayerRange range : ranges(layer)) {
            held.addRanges(ExpertRange.newBuilder().setFirst(range.first()).setLast(range.last()));
        }
        return held.build();
    }

    private List<LayerRange> ranges(int layer) {
        return shard.ranges().stream().filter(range -> range.layer() == layer).toList();
    }

    /// The held experts of a layer for people: `0-15,20`.
    String heldText(int layer) {
        return ranges(layer).stream()
                .map(
                        range ->
                                range.first() == range.last()
                                        ? "" + range.first()
                                        : range.first() + "-" + range.last())
                .reduce((a, b) -> a + "," + b)
                .orElse("");
    }

    boolean holdsAny(int layer) {
        return !ranges(layer).isEmpty();
    }
}
