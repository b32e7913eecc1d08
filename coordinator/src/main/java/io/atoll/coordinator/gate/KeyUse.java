package io.atoll.coordinator.gate;

import io.atoll.cluster.config.ApiKeysFile;
import io.atoll.proto.ErrorCode;
import io.atoll.proto.Failure;
import java.util.Optional;
import java.util.concurrent.TimeUnit;

/// What one key has used. It outlives a new file of keys, which may set other limits for it.
final class KeyUse {
    private final MinuteWindow lastMinute = new MinuteWindow();
    private int running;

    /// Counts a request, unless it would be one too many.
    synchronized Optional<Admission.Refused> begin(ApiKeysFile.Entry key, long nowNanos) {
        int most = key.maxConcurrent().orElse(Integer.MAX_VALUE);
        if (running >= most) {
            return tooMany("key '" + key.name() + "' has " + running + " requests under way", 1);
        }
        if (key.requestsPerMinute().isPresent()) {
            int limit = key.requestsPerMinute().get();
            long waitNanos = lastMinute.waitNanos(limit, nowNanos);
            if (waitNanos > 0) {
                int seconds = (int) (TimeUnit.NANOSECONDS.toSeconds(waitNanos - 1) + 1);
                return tooMany(
                        "key '" + key.name() + "' has sent " + limit + " requests in a minute",
                        seconds);
            }
            lastMinute.pass(nowNanos);
        }
        running++;
        return Optional.empty();
    }

    synchronized void end() {
        running--;
    }

    private static Optional<Admission.Refused> tooMany(String what, int retryAfterSeconds) {
        return Optional.of(
                new Admission.Refused(
                        new Failure(ErrorCode.RATE_LIMIT_EXCEEDED, what + ", the most it may have"),
                        retryAfterSeconds));
    }
}
