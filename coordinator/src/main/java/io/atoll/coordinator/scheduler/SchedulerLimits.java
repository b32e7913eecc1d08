package io.atoll.coordinator.scheduler;

import java.time.Duration;

/// How much runs at once.
///
/// @param maxRunning sequences open at the worker
/// @param maxStepRows rows of one step, decode and prefill together; not less than `maxRunning`, so that a step with every
///     sequence but one decoding still has a row for the prompt of that one
/// @param maxDecodeDelay how long a step with prompt rows may take while other sequences wait for their next token; by the time
///     that rows took so far, and at least 16 of them
/// @param checkpointRows a checkpoint is kept at each multiple of it in a prompt; 0 for none
/// @param maxDrafts most tokens guessed for a sequence in a step; 0 for none
/// @param stepTimeout how long a step may take before it fails
public record SchedulerLimits(
        int maxRunning,
        int maxStepRows,
        Duration maxDecodeDelay,
        int checkpointRows,
        int maxDrafts,
        Duration stepTimeout) {
    public SchedulerLimits {
        if (maxRunning <= 0) {
            throw new IllegalArgumentException("maxRunning must be positive: " + maxRunning);
        }
        if (maxStepRows < maxRunning) {
            throw new IllegalArgumentException(
                    "maxStepRows must be at least maxRunning: " + maxStepRows + " < " + maxRunning);
        }
        if (!maxDecodeDelay.isPositive()) {
            throw new IllegalArgumentException(
                    "maxDecodeDelay must be positive: " + maxDecodeDelay);
        }
        if (checkpointRows < 0) {
            throw new IllegalArgumentException(
                    "checkpointRows must not be negative: " + checkpointRows);
        }
        if (maxDrafts < 0) {
            throw new IllegalArgumentException("maxDrafts must not be negative: " + maxDrafts);
        }
        if (!stepTimeout.isPositive()) {
            throw new IllegalArgumentException("stepTimeout must be positive: " + stepTimeout);
        }
    }
}
