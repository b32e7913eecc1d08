package io.atoll.attention.moe;

import io.grpc.ChannelCredentials;
import io.grpc.InsecureChannelCredentials;
import java.time.Duration;
import java.util.List;

/// How an attention worker reaches its expert workers.
///
/// @param sender how this attention worker is called in hellos
/// @param clusterId must be equal on both sides of a hello
/// @param placementEpoch the coordinator's; workers refuse one older than they have seen
/// @param workers all expert workers
/// @param failureDeadline a worker from which nothing has come for this long, though it is asked for a sign of life several times in
///     it, counts as dead: what it has not answered is sent to others
/// @param reconnectGrace how long a dispatch waits for a worker to come back when no live one holds an expert
/// @param minBackoff wait before the second attempt to connect; the first is made at once
/// @param maxBackoff longest wait between attempts
/// @param spin how long a combine looks for replies before it parks
/// @param maxMessageBytes largest body of a message; more rows travel as several
/// @param credentials of this node, and how it checks the workers'
public record RemoteExpertsSettings(
        String sender,
        String clusterId,
        long placementEpoch,
        List<WorkerAddress> workers,
        Duration failureDeadline,
        Duration reconnectGrace,
        Duration minBackoff,
        Duration maxBackoff,
        Duration spin,
        int maxMessageBytes,
        ChannelCredentials credentials) {
    public static final Duration DEFAULT_FAILURE_DEADLINE = Duration.ofSeconds(2);
    public static final Duration DEFAULT_RECONNECT_GRACE = Duration.ofSeconds(2);
    public static final Duration DEFAULT_MIN_BACKOFF = Duration.ofMillis(50);
    public static final Duration DEFAULT_MAX_BACKOFF = Duration.ofSeconds(1);
    public static final int DEFAULT_MESSAGE_BYTES = 1 << 20;

    /// Shorter ones would take a busy machine for a dead one.
    public static final Duration MIN_FAILURE_DEADLINE = Duration.ofMillis(200);

    public RemoteExpertsSettings {
        workers = List.copyOf(workers);
        if (reconnectGrace.isNegative() || spin.isNegative()) {
            throw new IllegalArgumentException(
                    "durations must not be negative: reconnectGrace="
                            + reconnectGrace
                            + " spin="
                            + spin);
        }
        if (failureDeadline.compareTo(MIN_FAILURE_DEADLINE) < 0) {
            throw new IllegalArgumentException(
                    "failureDeadline must be at least "
                            + MIN_FAILURE_DEADLINE
                            + ": "
                            + failureDeadline);
        }
        if (!minBackoff.isPositive() || maxBackoff.compareTo(minBackoff) < 0) {
            throw new IllegalArgumentException(
                    "backoff must be positive and ascending: " + minBackoff + " to " + maxBackoff);
        }
        if (maxMessageBytes <= 0 || maxMessageBytes > DEFAULT_MESSAGE_BYTES) {
            throw new IllegalArgumentException(
                    "maxMessageBytes must be 1 to "
                            + DEFAULT_MESSAGE_BYTES
                            + ": "
                            + maxMessageBytes);
        }
    }

    /// Default waits, a spin where there are cores to spare for it, and no TLS.
    public static RemoteExpertsSettings of(
            String sender, String clusterId, List<WorkerAddress> workers) {
        return new RemoteExpertsSettings(
                sender,
                clusterId,
                0,
                workers,
                DEFAULT_FAILURE_DEADLINE,
                DEFAULT_RECONNECT_GRACE,
                DEFAULT_MIN_BACKOFF,
                DEFAULT_MAX_BACKOFF,
                defaultSpin(),
                DEFAULT_MESSAGE_BYTES,
                InsecureChannelCredentials.create());
    }

    /// The same, with other credentials.
    public RemoteExpertsSettings with(ChannelCredentials other) {
        return new RemoteExpertsSettings(
                sender,
                clusterId,
                placementEpoch,
                workers,
                failureDeadline,
                reconnectGrace,
                minBackoff,
                maxBackoff,
                spin,
                maxMessageBytes,
                other);
    }

    /// Spinning helps only where the event loop does not need the core.
    public static Duration defaultSpin() {
        return Runtime.getRuntime().availableProcessors() >= 4
                ? Duration.ofNanos(50_000)
                : Duration.ZERO;
    }
}
