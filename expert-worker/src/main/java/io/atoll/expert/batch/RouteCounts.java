package io.atoll.expert.batch;

import io.atoll.cluster.placement.ExpertShard;
import io.atoll.proto.wire.RequestReader.Request;
import java.lang.foreign.ValueLayout;
import java.util.concurrent.atomic.AtomicLongArray;

/// How many rows each expert has computed since the start: its heat. One thread counts, anybody reads.
public final class RouteCounts {
    private static final int NONE = -1;

    private final int experts;
    private final AtomicLongArray counts; // [layers * experts]

    public RouteCounts(int layers, int experts) {
        this.experts = experts;
        counts = new AtomicLongArray(Math.multiplyExact(layers, experts));
    }

    /// Counts the routes of a request if all of them are to experts of a shard.
    ///
    /// @return whether they are; if not, nothing is counted
    boolean add(Request request, ExpertShard shard) {
        if (firstNotHeld(request, shard) != NONE) {
            return false;
        }
        int base = request.header().layer() * experts;
        int end = request.routeOffsets().getAtIndex(ValueLayout.JAVA_INT, request.rows());
        for (int route = begin(request); route < end; route++) {
            int index = base + request.experts().getAtIndex(ValueLayout.JAVA_INT, route);
            counts.setOpaque(index, counts.getOpaque(index) + 1);
        }
        return true;
    }

    private static int begin(Request request) {
        return request.routeOffsets().getAtIndex(ValueLayout.JAVA_INT, 0);
    }

    /// The first expert of a request that a shard lacks, or -1.
    static int firstNotHeld(Request request, ExpertShard shard) {
        int layer = request.header().layer();
        int end = request.routeOffsets().getAtIndex(ValueLayout.JAVA_INT, request.rows());
        for (int route = begin(request); route < end; route++) {
            int expert = request.experts().getAtIndex(ValueLayout.JAVA_INT, route);
            if (!shard.holds(layer, expert)) {
                return expert;
            }
        }
        return NONE;
    }

    /// Rows that an expert has computed.
    public long of(int layer, int expert) {
        return counts.getOpaque(layer * experts + expert);
    }
}
