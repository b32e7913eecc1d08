package io.atoll.coordinator;

import io.atoll.coordinator.engine.EngineSettings;
import io.atoll.coordinator.gate.GateSettings;
import io.atoll.coordinator.http.HttpSettings;

/// Everything a coordinator can be told.
///
/// @param http where it listens and what a request may ask for
/// @param gate who may ask
/// @param engine how much runs at once
public record CoordinatorSettings(HttpSettings http, GateSettings gate, EngineSettings engine) {
    public static CoordinatorSettings defaults() {
        return new CoordinatorSettings(
                HttpSettings.defaults(), GateSettings.defaults(), EngineSettings.defaults());
    }
}
