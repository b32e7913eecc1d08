package io.atoll.attention.moe;

import io.atoll.cluster.placement.ExpertShard;
import java.util.Arrays;
import java.util.List;
import java.util.function.IntConsumer;

/// Who holds which expert at one moment, by what workers said on their live streams. Immutable; replaced when a stream comes or
/// goes, or a worker says that it holds other experts.
///
/// Where several lanes hold an expert, one is preferred: neighbouring experts take turns among their holders, so that replicas share
/// the work. A lane that holds an expert is preferred for the same ones as long as the same lanes are live.
final class LivePlacement {
    /// No lane.
    static final int NONE = -1;

    private final WorkerLane.Session[] sessions; // by lane, null where down
    private final ExpertShard[] held; // by lane, null where down
    private final int[] preferred; // [layers * experts]: a lane that holds the expert, or NONE
    private final int experts;

    LivePlacement(List<WorkerLane> lanes, int layers, int experts) {
        this.experts = experts;
        sessions = new WorkerLane.Session[lanes.size()];
        held = new ExpertShard[lanes.size()];
        preferred = new int[layers * experts];
        Arrays.fill(preferred, NONE);
        int[] holders = new int[layers * experts];
        for (int lane = 0; lane < sessions.length; lane++) {
            sessions[lane] = lanes.get(lane).live();
            held[lane] = sessions[lane] == null ? null : sessions[lane].held();
            forEachHeld(lane, index -> holders[index]++);
        }
        int[] passedOver = new int[layers * experts];
        for (int lane = 0; lane < sessions.length; lane++) {
            int holder = lane;
            forEachHeld(
                    lane,
                    index -> {
                        if (passedOver[index]++ == index % holders[index]) {
                            preferred[index] = holder;
                        }
                    });
        }
    }

    private void forEachHeld(int lane, IntConsumer visitor) {
        if (held[lane] == null) {
            return;
        }
        for (ExpertShard.LayerRange range : held[lane].ranges()) {
            int base = range.layer() * experts;
            for (int expert = range.first(); expert <= range.last(); expert++) {
                visitor.accept(base + expert);
            }
        }
    }

    /// The live stream of a lane; only for a lane that this placement named.
    WorkerLane.Session session(int lane) {
        return sessions[lane];
    }

    /// Whether the lane is live and holds the expert. A stream that has just ended may still be in a placement; it counts as
    /// down.
    boolean holds(int lane, int layer, int expert) {
        return isUp(lane) && held[lane].holds(layer, expert);
    }

    /// Whether the lane's stream is there and has not ended.
    boolean isUp(int lane) {
        return sessions[lane] != null && !sessions[lane].hasEnded();
    }

    /// Whether it is this lane's stream that is there, and it has not ended. A lane of a later placement is not up.
    boolean isUp(WorkerLane lane) {
        return lane.index() < sessions.length
                && isUp(lane.index())
                && sessions[lane.index()].lane() == lane;
    }

    /// The live lane that is to be asked for the expert, or [#NONE].
    int preferred(int layer, int expert) {
        return preferred[layer * experts + expert];
    }

    int lanes() {
        return sessions.length;
    }

    /// Experts that no live lane holds.
    int missing() {
        int missing = 0;
        for (int lane : preferred) {
            if (lane == NONE) {
                missing++;
            }
        }
        return missing;
    }

    /// Index, `layer * experts + expert`, of the first expert that no live lane holds, or [#NONE].
    int firstMissing() {
        for (int i = 0; i < preferred.length; i++) {
            if (preferred[i] == NONE) {
                return i;
            }
        }
        return NONE;
    }
}
