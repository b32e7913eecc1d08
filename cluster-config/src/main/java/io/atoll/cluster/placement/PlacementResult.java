package io.atoll.cluster.placement;

/// What planning came to.
public sealed interface PlacementResult {
    /// Every expert has its copies.
    ///
    /// @param copiesToMove how many have to travel to nodes that do not have them
    record Placed(Placement placement, int copiesToMove) implements PlacementResult {}

    /// A replica on the node of another is none.
    ///
    /// @param needed the replication factor
    /// @param had nodes
    record TooFewNodes(int needed, int had) implements PlacementResult {
        @Override
        public String toString() {
            return "too few nodes: replication=" + needed + " nodes=" + had;
        }
    }

    /// The copies do not fit.
    ///
    /// @param neededBytes of every expert as often as replication asks
    /// @param hadBytes of all nodes; of each at most one copy of the model counts, since a second would be no replica
    record TooLittleMemory(long neededBytes, long hadBytes) implements PlacementResult {
        @Override
        public String toString() {
            return "too little memory for the experts: needed="
                    + neededBytes
                    + " bytes, had="
                    + hadBytes
                    + " bytes, of which each node may lose a part of one expert";
        }
    }
}
