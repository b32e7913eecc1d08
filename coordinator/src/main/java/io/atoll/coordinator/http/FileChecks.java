package io.atoll.coordinator.http;

import java.util.List;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;

/// Looks once a second whether the files of keys and certificates have changed.
final class FileChecks implements AutoCloseable {
    private static final long PERIOD_MILLIS = 1000;

    private final List<Runnable> checks;
    private final ScheduledExecutorService clock =
            Executors.newSingleThreadScheduledExecutor(
                    Thread.ofPlatform().name("atoll-file-checks").daemon().factory());

    FileChecks(List<Runnable> checks) {
        this.checks = List.copyOf(checks);
    }

    void start() {
        if (!checks.isEmpty()) {
            var _ =
                    clock.scheduleWithFixedDelay(
                            this::run, PERIOD_MILLIS, PERIOD_MILLIS, TimeUnit.MILLISECONDS);
        }
    }

    void run() {
        checks.forEach(Runnable::run);
    }

    @Override
    public void close() {
        clock.shutdownNow();
    }
}
