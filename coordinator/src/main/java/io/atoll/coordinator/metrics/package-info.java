/// What a coordinator counts, as Prometheus reads it.
///
/// [ServerMetrics] listens to the engine and is asked for everything at once; `docs/metrics.md` explains each metric, and a test
/// holds the two together. Knows no HTTP.
package io.atoll.coordinator.metrics;
