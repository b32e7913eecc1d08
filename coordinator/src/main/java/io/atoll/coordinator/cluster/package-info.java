/// Which expert worker holds what, and changing it while tokens flow.
///
/// [ClusterControl] asks every worker what it holds, compares that with what it should hold, and has
/// [io.atoll.cluster.placement.Reconciler] say what to load and release; [WorkerControl] makes the calls. None of it is in the
/// way of a token: attention workers hear of changes from the workers themselves.
package io.atoll.coordinator.cluster;
