package io.atoll.attention.moe;

import io.atoll.cluster.placement.ExpertShard;
import java.util.List;

/// Who holds which expert at one moment, by the hellos of the live streams. Immutable; replaced when a stream comes or goes.
final class LivePlacement {
    /// No lane.
    static final int NONE = -1;

    private final WorkerLane.Session[] sessions; // by lane, null where down
    private final int[] first; // [layers * experts]: lowest lane that holds the expert, or NONE
    private final int experts;

    LivePlacement(List<WorkerLane> lanes, int layers, int experts) {
        this.experts = experts;
        sessions = new WorkerLane.Session[lanes.size()];
        first = new int[layers * experts];
        java.util.Arrays.fill(first, NONE);
        for (int lane = lanes.size() - 1; lane >= 0; lane--) {
            WorkerLane.Session session = lanes.get(lane).live();
            sessions[lane] = session;
            if (session != null) {
                for (ExpertShard.LayerRange range : session.held().ranges()) {
                    int base = range.layer() * experts;
                    java.util.Arrays.fill(
                            first, base + range.first(), base + range.last() + 1, lane);
                }
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
        return isUp(lane) && sessions[lane].held().holds(layer, expert);
    }

    /// Whether the lane's stream is there and has not ended.
    boolean isUp(int lane) {
        return sessions[lane] != null && !sessions[lane].hasEnded();
    }

    /// The lowest live lane that holds the expert, or [#NONE].
    int first(int layer, int expert) {
        return first[layer * experts + expert];
    }

    int lanes() {
        return sessions.length;
    }

    /// Experts that no live lane holds.
    int missing() {
        int missing = 0;
        for (int lane : first) {
            if (lane == NONE) {
                missing++;
            }
        }
        return missing;
    }

    /// Index, `layer * experts + expert`, of the first expert that no live lane holds, or [#NONE].
    int firstMissing() {
        for (int i = 0; i < first.length; i++) {
            if (first[i] == NONE) {
                return i;
            }
        }
        return NONE;
    }
}
