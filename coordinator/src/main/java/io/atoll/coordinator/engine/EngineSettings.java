package io.atoll.coordinator.engine;

import java.time.Duration;

/// How much the step loop takes on.
///
/// @param maxRunning sequences that run at once; the attention worker's own limits hold as well
/// @param maxQueuedRequests requests that wait beyond those that may run; one more is refused
/// @param maxStepRows rows of one step; smaller steps let decoding sequences wait less for somebody else's prompt
/// @param maxDecodeDelay how long a step with prompt rows may take while other sequences wait for their next token
/// @param checkpointRows a checkpoint for later prompts is kept at each multiple of it; 0 for none
/// @param maxBufferedEvents pieces of text kept for a reader that is slower than the model; one more ends its request
/// @param stepTimeout how long a step may take before it fails
/// @param drainTimeout how long a stop waits for requests that are under way
public record EngineSettings(
        int maxRunning,
        int maxQueuedRequests,
        int maxStepRows,
        Duration maxDecodeDelay,
        int checkpointRows,
        int maxBufferedEvents,
        Duration stepTimeout,
        Duration drainTimeout) {
    public EngineSettings {
        requirePositive("maxRunning", maxRunning);
        if (maxQueuedRequests < 0) {
            throw new IllegalArgumentException(
                    "maxQueuedRequests must not be negative: " + maxQueuedRequests);
        }
        requirePositive("maxStepRows", maxStepRows);
        if (!maxDecodeDelay.isPositive()) {
            throw new IllegalArgumentException(
                    "maxDecodeDelay must be positive: " + maxDecodeDelay);
        }
        if (checkpointRows < 0) {
            throw new IllegalArgumentException(
                    "checkpointRows must not be negative: " + checkpointRows);
        }
        requirePositive("maxBufferedEvents", maxBufferedEvents);
        if (!stepTimeout.isPositive()) {
            throw new IllegalArgumentException("stepTimeout must be positive: " + stepTimeout);
        }
        if (drainTimeout.isNegative()) {
            throw new IllegalArgumentException(
                    "drainTimeout must not be negative: " + drainTimeout);
        }
    }

    public static EngineSettings defaults() {
        return new EngineSettings(
                64,
                256,
                512,
                Duration.ofMillis(500),
                2048,
                1024,
                Duration.ofSeconds(60),
                Duration.ofSeconds(30));
    }

    private static void requirePositive(String name, int value) {
        if (value <= 0) {
            throw new IllegalArgumentException(name + " must be positive: " + value);
        }
    }
}
