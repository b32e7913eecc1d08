/// Which worker holds which expert. Pure: no clock, no I/O, and the same input gives the same placement.
///
/// The hot path asks [ExpertShard] and nothing else. [PlacementPlanner] decides: it takes [ExpertNode]s, [ExpertSizes] and
/// [ExpertHeat] and gives a [Placement], or says what is missing. It knows neither how weights travel nor who is alive; `docs/placement.md`
/// explains the method. Begin with [PlacementPlanner].
package io.atoll.cluster.placement;
