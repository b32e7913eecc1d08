package io.atoll.coordinator.cluster;

import io.atoll.cluster.placement.ExpertShard;
import io.atoll.cluster.placement.Reconciler.Life;
import io.atoll.coordinator.cluster.ClusterSettings.WorkerAddress;
import io.atoll.coordinator.cluster.ClusterStatus.Change;
import io.atoll.coordinator.cluster.ClusterStatus.NodeStatus;
import io.atoll.proto.v1.WorkerDescription;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Optional;

/// What [ClusterControl] knows of one worker. Guarded by it.
final class WorkerRecord {
    private static final ExpertShard UNKNOWN = ExpertShard.none(0, 0);
    private static final String CORDONED = "cordoned";
    private static final String DRAINING = "draining";
    private static final String NO_EXPERTS = "none";

    WorkerAddress address;
    WorkerControl control;

    Life life = Life.AWAY;
    String reason = "not asked yet";
    long answeredNanos; // when it last did, or when we began to ask
    Optional<WorkerDescription> description = Optional.empty(); // the last one
    ExpertShard held = UNKNOWN;
    ExpertShard wanted = UNKNOWN;
    boolean listed = true; // in the cluster file, or a member
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

    /// Has the worker be found elsewhere.
    void moveTo(WorkerAddress now, WorkerControl there) {
        control.close();
        address = now;
        control = there;
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

    /// What is kept of it beyond this coordinator: what it held when it started, what it should hold, what an operator said of it.
    String kept() {
        return "%s %s%s%s"
                .formatted(
                        initial(),
                        wanted,
                        cordoned ? " " + CORDONED : "",
                        draining ? " " + DRAINING : "");
    }

    /// Takes over what an earlier coordinator knew of it, unless it has been started with other experts since: then the cluster file
    /// was changed, and has the last word.
    ///
    /// @return whether it was taken
    boolean takeOver(String kept) {
        List<String> words = List.of(kept.split(" "));
        if (words.size() < 2 || !words.get(0).equals(initial())) {
            return false;
        }
        try {
            wanted = ExpertShard.parse(words.get(1), held.layers(), held.experts());
        } catch (IllegalArgumentException _) {
            return false; // of another model
        }
        cordoned = words.contains(CORDONED);
        draining = words.contains(DRAINING);
        return true;
    }

    private String initial() {
        String text = description.map(WorkerDescription::getInitial).orElse("");
        return text.isEmpty() ? NO_EXPERTS : text;
    }

    long memoryBytes() {
        return description.map(WorkerDescription::getMemoryBytes).orElse(0L);
    }

    /// How fast it reads memory, or 0 if it has not said.
    double bytesPerSecond() {
        double rate = description.map(WorkerDescription::getMemoryBytesPerSecond).orElse(0.0);
        return rate > 0 && rate < Double.POSITIVE_INFINITY ? rate : 0;
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
                bytesPerSecond(),
                description.map(WorkerDescription::getCompute).orElse(""),
                description.map(WorkerDescription::getQueuedDispatches).orElse(0),
                description
                        .map(WorkerDescription::getStartedMillis)
                        .filter(millis -> millis > 0)
                        .map(Instant::ofEpochMilli),
                change);
    }
}
