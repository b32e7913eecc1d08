/// The decoder stack: every layer over the rows of one step.
///
/// Owns the dense weights, the buffers of a step and the order of operations. Borrows sequence states (`state`) and sends
/// rows to their experts (`moe`). Knows nothing of requests, sampling or networks. [Forward] shows the whole algorithm; the
/// layers' parts follow in the order it calls them. Read `state` next.
package io.atoll.attention.forward;
