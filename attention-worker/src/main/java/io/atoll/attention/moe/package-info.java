/// The routed experts as the forward pass sees them: rows out, weighted sums back.
///
/// [RoutedExperts] is the contract. [RemoteExperts] fulfils it over the expert workers' streams: a [WorkerLane] keeps one
/// worker's stream alive, a [LivePlacement] says who holds which expert right now, and a [RemoteDispatch] owns the rows of
/// one dispatch until its combine is complete, and the exact sum. All decisions about a dispatch are taken by the thread
/// that dispatches and combines; event loops only hand over replies.
///
/// Knows nothing of attention or sequences. Entry point: [RoutedExperts]; read [RemoteExperts] next.
package io.atoll.attention.moe;
