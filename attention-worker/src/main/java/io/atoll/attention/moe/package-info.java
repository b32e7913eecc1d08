/// The routed experts as the forward pass sees them: rows out, weighted sums back.
///
/// Owns the streams to the expert workers, the rows of a dispatch until its combine is complete, and the exact sum. Knows
/// nothing of attention or sequences. Entry point: [RoutedExperts].
package io.atoll.attention.moe;
