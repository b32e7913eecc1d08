package io.atoll.coordinator.scheduler;

import java.time.Duration;

/// How much runs at once.
///
/// @param maxRunning sequences open at the worker
/// @param maxStepRows rows of one step, decode and prefill together; not less than `maxRunning`, so that a step with every
///     sequence but one decoding still has a row for the prompt of that one
/// @param stepTimeout how long a step may take before it fails
public record SchedulerLimits(int maxRunning, int maxStepRows, Duration stepTimeout) {
    public SchedulerLimits {
        if (maxRunning <= 0) {
            throw new IllegalArgumentException("maxRunning must be positive: " + maxRunning);
        }
        if (maxStepRows < maxRunning) {
            throw new IllegalArgumentException(
                    "maxStepRows must be at least maxRunning: " + maxStepRows + " < " + maxRunning);
        }
        if (!stepTimeout.isPositive()) {
            throw new IllegalArgumentException("stepTimeout must be positive: " + stepTimeout);
        }
    }
}
