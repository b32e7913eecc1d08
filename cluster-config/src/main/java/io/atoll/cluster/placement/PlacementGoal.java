package io.atoll.cluster.placement;

/// What a placement is made for.
///
/// @param replication nodes that each expert is on at least; from 2 on, any one node may be lost
/// @param stepRows rows of the step to balance for: experts of many rows are needed once
/// @param moveGain part of a layer's time that moving one copy must save, if there is a placement already; 0 moves for any gain
public record PlacementGoal(int replication, int stepRows, double moveGain) {
    /// A batch of a few users; a copy moves when it saves 1 % of its layer's time.
    public static final PlacementGoal DEFAULT = new PlacementGoal(1, 8, 0.01);

    public PlacementGoal {
        if (replication <= 0) {
            throw new IllegalArgumentException("replication must be positive: " + replication);
        }
        if (stepRows <= 0) {
            throw new IllegalArgumentException("stepRows must be positive: " + stepRows);
        }
        if (!(moveGain >= 0)) {
            throw new IllegalArgumentException("moveGain must not be negative: " + moveGain);
        }
    }

    /// The same with another replication factor.
    public PlacementGoal withReplication(int other) {
        return new PlacementGoal(other, stepRows, moveGain);
    }
}
