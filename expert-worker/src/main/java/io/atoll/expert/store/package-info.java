/// The resident experts: packed weights in memory, found by (layer, expert).
///
/// [ExpertStore] is what the engine sees, [ResidentExperts] loads one from a checkpoint and owns the memory. Knows nothing
/// of rows or networks.
package io.atoll.expert.store;
