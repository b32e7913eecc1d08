package io.atoll.expert.transfer;

import java.util.concurrent.TimeUnit;

/// Keeps what a worker sends to peers below a rate, so that dispatches get their share of the link. Safe for any thread.
public final class TransferRate {
    /// What may be sent at once after a pause.
    private static final long BURST_NANOS = TimeUnit.MILLISECONDS.toNanos(20);

    private final long bytesPerSecond;
    private long freeAt = System.nanoTime(); // when all that was taken will have been sent

    /// @param bytesPerSecond most, of all transfers together; 0 is no bound
    public TransferRate(long bytesPerSecond) {
        if (bytesPerSecond < 0) {
            throw new IllegalArgumentException("a rate can't be negative: " + bytesPerSecond);
        }
        this.bytesPerSecond = bytesPerSecond;
    }

    /// Waits for the turn of so many bytes.
    void take(long bytes) throws InterruptedException {
        if (bytesPerSecond == 0) {
            return;
        }
        long wait;
        synchronized (this) {
            long now = System.nanoTime();
            freeAt = Math.max(freeAt, now - BURST_NANOS);
            wait = freeAt - now;
            freeAt += (long) (bytes * 1e9 / bytesPerSecond);
        }
        if (wait > 0) {
            TimeUnit.NANOSECONDS.sleep(wait);
        }
    }
}
