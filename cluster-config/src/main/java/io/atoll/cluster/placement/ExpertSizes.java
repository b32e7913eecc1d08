package io.atoll.cluster.placement;

import java.util.Collections;
import java.util.List;

/// What there is to place.
///
/// @param experts of each layer
/// @param expertBytes of one packed expert, layer by layer: quantisers give layers types of their own
public record ExpertSizes(int experts, List<Long> expertBytes) {
    public ExpertSizes {
        expertBytes = List.copyOf(expertBytes);
        if (experts <= 0 || expertBytes.isEmpty()) {
            throw new IllegalArgumentException(
                    "no experts: " + experts + " in " + expertBytes.size() + " layers");
        }
        for (long bytes : expertBytes) {
            if (bytes <= 0) {
                throw new IllegalArgumentException("bytes of an expert must be positive: " + bytes);
            }
        }
    }

    /// Layers whose experts are all of one size.
    public static ExpertSizes uniform(int layers, int experts, long bytes) {
        return new ExpertSizes(experts, Collections.nCopies(layers, bytes));
    }

    public int layers() {
        return expertBytes.size();
    }

    /// Of the experts of a shard.
    public long bytes(ExpertShard shard) {
        return shard.ranges().stream()
                .mapToLong(run -> (run.last() - run.first() + 1L) * expertBytes.get(run.layer()))
                .sum();
    }

    /// One copy of every expert.
    public long totalBytes() {
        long layer = expertBytes.stream().mapToLong(Long::longValue).reduce(0, Math::addExact);
        return Math.multiplyExact(layer, experts);
    }
}
