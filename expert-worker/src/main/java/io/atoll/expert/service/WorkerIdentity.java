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
import java.util.function.Supplier;

/// What a worker says about itself in a hello, and the highest placement epoch it has heard of. Safe for any thread.
public final class WorkerIdentity {
    private final Hello hello; // with epoch 0
    private final RowFormat format;
    private final Supplier<ExpertShard> held;
    private final AtomicLong epoch = new AtomicLong();

    /// @param name of this worker
    /// @param arithmetic of the kernel class in use
    /// @param held what the worker holds now
    public WorkerIdentity(
            String name,
            String clusterId,
            String modelDigest,
            String arithmetic,
            RowFormat format,
            int hidden,
            int fractionBits,
            Supplier<ExpertShard> held) {
        this.format = format;
        this.held = held;
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

    public String clusterId() {
        return hello.getClusterId();
    }

    public String modelDigest() {
        return hello.getModelDigest();
    }

    /// What is held now.
    public ExpertShard shard() {
        return held.get();
    }

    /// Why the other side does not belong here, if so; else its epoch becomes ours.
    Optional<String> refuse(Hello theirs) {
        Optional<String> mismatch = Handshake.mismatch(hello(theirs.getWireVersion()), theirs);
        if (mismatch.isEmpty()) {
            epoch.accumulateAndGet(
                    theirs.getPlacementEpoch(), (a, b) -> Long.compareUnsigned(a, b) >= 0 ? a : b);
        }
        return mismatch;
    }

    /// In the version that the other side speaks, or the newest if that is none of ours.
    private Hello hello(int wireVersion) {
        return hello.toBuilder()
                .setWireVersion(
                        Handshake.speaks(wireVersion) ? wireVersion : Handshake.WIRE_VERSION)
                .setPlacementEpoch(epoch.get())
                .build();
    }

    /// The answer to a hello, and what is held now.
    ///
    /// @param wireVersion that the other side speaks
    HelloReply reply(int wireVersion) {
        ExpertShard shard = shard();
        HelloReply.Builder reply = HelloReply.newBuilder().setWorker(hello(wireVersion));
        for (int layer = 0; layer < shard.layers(); layer++) {
            HeldExperts of = held(shard, layer);
            if (of.getRangesCount() > 0) {
                reply.addHeld(of);
            }
        }
        return reply.build();
    }

    /// What is held of one layer; no ranges if nothing is.
    HeldExperts held(int layer) {
        return held(shard(), layer);
    }

    private static HeldExperts held(ExpertShard shard, int layer) {
        HeldExperts.Builder held = HeldExperts.newBuilder().setLayer(layer);
        for (LayerRange range : ranges(shard, layer)) {
            held.addRanges(ExpertRange.newBuilder().setFirst(range.first()).setLast(range.last()));
        }
        return held.build();
    }

    private static List<LayerRange> ranges(ExpertShard shard, int layer) {
        return shard.ranges().stream().filter(range -> range.layer() == layer).toList();
    }

    /// The held experts of a layer for people: `0-15,20`.
    String heldText(int layer) {
        return ranges(shard(), layer).stream()
                .map(
                        range ->
                                range.first() == range.last()
                                        ? "" + range.first()
                                        : range.first() + "-" + range.last())
                .reduce((a, b) -> a + "," + b)
                .orElse("");
    }

    boolean holdsAny(int layer) {
        return !ranges(shard(), layer).isEmpty();
    }
}
