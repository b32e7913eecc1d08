package io.atoll.attention.moe;

import io.grpc.CallOptions;
import io.grpc.ClientCall;
import io.grpc.ManagedChannel;
import io.grpc.Metadata;
import io.grpc.Status;
import io.grpc.health.v1.HealthCheckRequest;
import io.grpc.health.v1.HealthCheckResponse;
import io.grpc.health.v1.HealthGrpc;
import io.netty.channel.EventLoop;
import java.time.Duration;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;

/// Notices that a peer has stopped without a word: its process is frozen, its machine is gone, or the way to it is cut. A peer that
/// dies ends its connection, which is noticed at once and not here.
///
/// The peer's event loop answers a health check whatever its compute threads do, so a busy peer is not taken for a dead one. All
/// methods but [#seen] and [#stop] belong to the event loop.
final class VitalSigns {
    private static final int CHECKS_IN_A_DEADLINE = 8;

    private final ManagedChannel channel;
    private final long deadlineNanos;
    private final EventLoop loop;
    private final Consumer<String> onDeath;

    private volatile long lastSignNanos;
    private volatile boolean stopped;
    private volatile Future<?> timer; // null until it is watched
    private long lastCheckNanos;
    private boolean asked; // a health check is not answered yet

    /// @param onDeath gets the reason, once
    VitalSigns(
            ManagedChannel channel, Duration deadline, EventLoop loop, Consumer<String> onDeath) {
        this.channel = channel;
        this.deadlineNanos = deadline.toNanos();
        this.loop = loop;
        this.onDeath = onDeath;
    }

    /// Begins to watch the peer.
    void watch() {
        long interval = deadlineNanos / CHECKS_IN_A_DEADLINE;
        lastSignNanos = System.nanoTime();
        lastCheckNanos = lastSignNanos;
        timer = loop.scheduleAtFixedRate(this::check, interval, interval, TimeUnit.NANOSECONDS);
        if (stopped) {
            stop();
        }
    }

    /// Something has come from the peer.
    void seen() {
        lastSignNanos = System.nanoTime();
    }

    void stop() {
        stopped = true;
        Future<?> running = timer;
        if (running != null) {
            running.cancel(false);
        }
    }

    private void check() {
        long now = System.nanoTime();
        // Having been away ourselves says nothing about the peer.
        boolean away = now - lastCheckNanos > deadlineNanos / 2;
        lastCheckNanos = now;
        if (away) {
            lastSignNanos = now;
        }
        if (now - lastSignNanos >= deadlineNanos) {
            stop();
            onDeath.accept("no sign of life for " + deadlineNanos / 1_000_000 + " ms");
        } else if (!asked) {
            ask();
        }
    }

    private void ask() {
        asked = true;
        ClientCall<HealthCheckRequest, HealthCheckResponse> call =
                channel.newCall(HealthGrpc.getCheckMethod(), CallOptions.DEFAULT);
        call.start(
                new ClientCall.Listener<>() {
                    @Override
                    public void onMessage(HealthCheckResponse response) {
                        seen(); // that it answers is what counts, whatever it says
                    }

                    @Override
                    public void onClose(Status status, Metadata trailers) {
                        asked = false;
                    }
                },
                new Metadata());
        call.sendMessage(HealthCheckRequest.getDefaultInstance());
        call.halfClose();
        call.request(1);
    }
}
