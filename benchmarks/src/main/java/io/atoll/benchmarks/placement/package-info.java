/// Placements compared on synthetic traces: the planner, dealing out in turn, and the balancer that DeepSeek published. Begin with
/// [PlacementComparison].
package io.atoll.benchmarks.placement;
