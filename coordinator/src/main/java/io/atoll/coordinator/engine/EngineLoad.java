package io.atoll.coordinator.engine;

/// How much an engine has to do now.
///
/// @param running sequences that the attention worker keeps
/// @param waiting requests that it has no room for yet, and those set aside
public record EngineLoad(int running, int waiting) {}
