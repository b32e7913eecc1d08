package io.atoll.coordinator.cluster;

import io.atoll.cluster.placement.ExpertShard;
import io.atoll.cluster.placement.Reconciler.Life;
import io.atoll.coordinator.cluster.ClusterSettings.WorkerAddress;
import io.atoll.coordinator.cluster.ClusterStatus.Change;
import io.atoll.coordinator.cluster.ClusterStatus.NodeStatus;
import io.atoll.proto.v1.WorkerDescription;
import java.time.Duration;
import java.time.Instant;
import java.util.Optional;

/// What [ClusterControl] knows of one worker. Guarded by it.
final class WorkerRecord {
    private static final ExpertShard UNKNOWN = ExpertShard.none(0, 0);

    final WorkerAddress address;
    final WorkerControl control;

    Life life = Life.AWAY;
    String reason = "not asked yet";
    long answeredNanos; // when it last did, or when we began to ask
    Optional<WorkerDescription> description = Optional.empty(); // the last one
    ExpertShard held = UNKNOWN;
    ExpertShard wanted = UNKNOWN;
    boolean cordoned;
    boolean draining;
    boolean drained; // and that was said

    // The change under way.
    String changing = ""; // "load" or "release", else empty
    ExpertShard changed = UNKNOWN;
    volatile int changeDone; // written by the change's own thread
    long changeNanos;

    // After a failed change.
    String failure = "";
    long retryNanos; // 0 if none has failed

    WorkerRecord(WorkerAddress address, WorkerControl control, long now) {
        this.address = address;
        this.control = control;
        answeredNanos = now;
    }

    String name() {
        return address.name();
    }

    /// Whether it has ever said what it holds.
    boolean isKnown() {
        return description.isPresent();
    }

    boolean isChanging() {
        return !changing.isEmpty();
    }

    /// Whether a change has just failed, so that the next one has to wait.
    boolean isHeldBack(long now) {
        return retryNanos != 0 && now - retryNanos < 0;
    }

    long memoryBytes() {
        return description.map(WorkerDescription::getMemoryBytes).orElse(0L);
    }

    NodeStatus status(int soleCopies, long now) {
        Optional<Change> change =
                isChanging()
                        ? Optional.of(
                                new Change(
                                        changing,
                                        changed,
                                        changeDone,
                                        Duration.ofNanos(now - changeNanos)))
                        : Optional.empty();
        return new NodeStatus(
                name(),
                address.toString(),
                life,
                life == Life.LIVE ? "" : reason,
                cordoned,
                draining,
                held,
                wanted,
                soleCopies,
                description.map(WorkerDescription::getBytesHeld).orElse(0L),
                memoryBytes(),
                description.map(WorkerDescription::getCompute).orElse(""),
                description.map(WorkerDescription::getQueuedDispatches).orElse(0),
                description
                        .map(WorkerDescription::getStartedMillis)
                        .filter(millis -> millis > 0)
                        .map(Instant::ofEpochMilli),
                change);
    }
}
