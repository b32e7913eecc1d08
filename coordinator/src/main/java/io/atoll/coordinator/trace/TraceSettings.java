package io.atoll.coordinator.trace;

import java.net.URI;

/// Where the spans of requests go.
///
/// @param endpoint of a collector that takes OTLP over HTTP
/// @param sampleRatio share of the requests that are traced, 0 to 1, unless a caller's trace has decided
/// @param model name of the model, an attribute of every span's resource
public record TraceSettings(URI endpoint, double sampleRatio, String model) {
    public TraceSettings {
        if (!(sampleRatio >= 0 && sampleRatio <= 1)) {
            throw new IllegalArgumentException("sampleRatio must be from 0 to 1: " + sampleRatio);
        }
    }
}
