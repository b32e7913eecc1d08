/// The step loop: one thread that asks the scheduler what to do and has the attention worker do it.
///
/// Owns the attention worker's only caller, the bounds on waiting requests, and the buffer between a sequence and its reader.
/// Knows nothing of HTTP or JSON. Start with [Engine]. `http` is its usual reader; the attention worker's `step` is next on a
/// token's way.
package io.atoll.coordinator.engine;
