/// The public HTTP API: OpenAI's chat completions, completions and models, the health checks and the metrics.
///
/// Owns JSON, server-sent events, the limits of a request and what errors look like to a client. Knows nothing of steps or
/// workers: a request becomes a `GenerationRequest`, and its events become the answer. A request
/// meets [KeyGate] first, if there are API keys. Start with [HttpApi]; read `sequence` next.
package io.atoll.coordinator.http;
