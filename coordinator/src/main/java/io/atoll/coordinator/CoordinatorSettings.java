package io.atoll.coordinator;

import io.atoll.coordinator.cluster.ClusterSettings;
import io.atoll.coordinator.engine.EngineSettings;
import io.atoll.coordinator.gate.GateSettings;
import io.atoll.coordinator.http.HttpSettings;
import io.atoll.coordinator.trace.TraceSettings;
import java.util.Optional;

/// Everything a coordinator can be told.
///
/// @param http where it listens and what a request may ask for
/// @param gate who may ask
/// @param engine how much runs at once
/// @param traces where the spans of requests go; empty makes none
/// @param cluster the expert workers to look after; empty leaves them alone, or there are none
public record CoordinatorSettings(
        HttpSettings http,
        GateSettings gate,
        EngineSettings engine,
        Optional<TraceSettings> traces,
        Optional<ClusterSettings> cluster) {
    public static CoordinatorSettings defaults() {
        return new CoordinatorSettings(
                HttpSettings.defaults(),
                GateSettings.defaults(),
                EngineSettings.defaults(),
                Optional.empty(),
                Optional.empty());
    }
}
