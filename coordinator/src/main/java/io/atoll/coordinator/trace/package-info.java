/// OpenTelemetry spans of requests. Knows how a request's time divides; does not know HTTP, nor who asks. Next: `http`, which begins
/// and ends a trace.
package io.atoll.coordinator.trace;
