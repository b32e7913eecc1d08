package io.atoll.cli.pack;

import io.atoll.cli.ProgressLine;
import io.atoll.model.pack.PackProgress;
import java.util.Optional;

/// Shows how far a pack is: a [ProgressLine] for each phase.
final class PackLine implements PackProgress, AutoCloseable {
    private Optional<ProgressLine> line = Optional.empty();
    private long beganNanos;
    private long total;
    private long done;

    @Override
    public synchronized void begin(String phase, long bytes) {
        close();
        beganNanos = System.nanoTime();
        total = bytes;
        done = 0;
        line = Optional.of(ProgressLine.ofBytes(phase, Math.max(bytes, 1)));
    }

    @Override
    public synchronized void done(long bytes) {
        done += bytes;
        line.ifPresent(shown -> shown.update(done));
    }

    /// What the last phase did, and how fast.
    synchronized String rate() {
        double seconds = (System.nanoTime() - beganNanos) / 1e9;
        return total == 0
                ? ""
                : " (%.1f s, %.2f GB/s)".formatted(seconds, done / 1e9 / Math.max(seconds, 1e-9));
    }

    @Override
    public synchronized void close() {
        line.ifPresent(ProgressLine::close);
        line = Optional.empty();
    }
}
