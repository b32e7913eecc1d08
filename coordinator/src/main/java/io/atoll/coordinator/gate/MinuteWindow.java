package io.atoll.coordinator.gate;

import java.time.Duration;

/// Lets so many through in any 60 seconds. The class is pure: times are arguments, on one clock, and do not go back.
final class MinuteWindow {
    private static final long MINUTE_NANOS = Duration.ofMinutes(1).toNanos();

    private long[] times = new long[0]; // of the last that went through, a ring
    private int next; // where the next one goes
    private int count;

    /// How long until one more may go through; 0 if it may now.
    ///
    /// @param limit how many in a minute
    long waitNanos(int limit, long nowNanos) {
        resize(limit);
        if (count < limit) {
            return 0;
        }
        long oldest = times[next]; // the ring is full
        return Math.max(0, oldest + MINUTE_NANOS - nowNanos);
    }

    /// Notes that one went through, after [#waitNanos] said that it may.
    void pass(long nowNanos) {
        times[next] = nowNanos;
        next = (next + 1) % times.length;
        count = Math.min(count + 1, times.length);
    }

    /// Keeps the latest times when the limit changes.
    private void resize(int limit) {
        if (limit == times.length) {
            return;
        }
        int kept = Math.min(count, limit);
        long[] resized = new long[limit];
        for (int i = 0; i < kept; i++) {
            resized[i] = times[Math.floorMod(next - kept + i, times.length)];
        }
        times = resized;
        count = kept;
        next = kept % limit;
    }
}
