package io.atoll.expert;

import com.sun.management.OperatingSystemMXBean;
import io.atoll.cluster.placement.ExpertShard;
import io.atoll.kernels.WeightFormat;
import java.lang.management.ManagementFactory;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Optional;

/// What one expert worker is told at its start.
///
/// @param name how it is called in logs, refusals and statistics
/// @param clusterId must be equal on both sides of a hello
/// @param modelPath the model, unless experts come from other workers
/// @param shard the experts to hold
/// @param host address to listen on
/// @param port port to listen on; 0 takes a free one
/// @param kernels kernel class by its label, or empty for the best that runs here
/// @param threads threads that compute
/// @param weightFormat format to hold the experts in; empty keeps the checkpoint's values
/// @param maxQueueMessages bound of the queue in messages
/// @param maxQueueBytes bound of the queue in bytes
/// @param spin how long the compute thread looks for work before it parks
/// @param grace longest wait for queued work at a stop
/// @param device what to compute on
/// @param sourcePath the whole model, where experts come from that are to be held later: `modelPath` may be a pack of this shard only
/// @param memoryBytes most that the experts that are held may take
/// @param transferBytesPerSecond most that is sent to other workers that fetch experts; 0 is no bound
public record ExpertWorkerSettings(
        String name,
        String clusterId,
        Path modelPath,
        ExpertShard shard,
        String host,
        int port,
        Optional<String> kernels,
        int threads,
        Optional<WeightFormat> weightFormat,
        int maxQueueMessages,
        long maxQueueBytes,
        Duration spin,
        Duration grace,
        DeviceChoice device,
        Path sourcePath,
        long memoryBytes,
        long transferBytesPerSecond) {
    public static final int DEFAULT_QUEUE_MESSAGES = 1024;
    public static final long DEFAULT_QUEUE_BYTES = 256L << 20;
    public static final Duration DEFAULT_GRACE = Duration.ofSeconds(5);

    public ExpertWorkerSettings {
        if (name.isBlank()) {
            throw new IllegalArgumentException("name must not be blank");
        }
        if (port < 0 || port > 65535) {
            throw new IllegalArgumentException("port must be 0 to 65535: " + port);
        }
        if (threads <= 0) {
            throw new IllegalArgumentException("threads must be positive: " + threads);
        }
        if (maxQueueMessages <= 0 || maxQueueBytes <= 0) {
            throw new IllegalArgumentException(
                    "queue bounds must be positive: %d messages, %d bytes"
                            .formatted(maxQueueMessages, maxQueueBytes));
        }
        if (memoryBytes <= 0) {
            throw new IllegalArgumentException("memoryBytes must be positive: " + memoryBytes);
        }
        if (spin.isNegative() || grace.isNegative()) {
            throw new IllegalArgumentException(
                    "durations must not be negative: spin=" + spin + " grace=" + grace);
        }
    }

    /// Default bounds, every processor, and a spin where there are cores to spare for it.
    public static ExpertWorkerSettings of(
            String name,
            String clusterId,
            Path modelPath,
            ExpertShard shard,
            String host,
            int port) {
        return new ExpertWorkerSettings(
                name,
                clusterId,
                modelPath,
                shard,
                host,
                port,
                Optional.empty(),
                Runtime.getRuntime().availableProcessors(),
                Optional.empty(),
                DEFAULT_QUEUE_MESSAGES,
                DEFAULT_QUEUE_BYTES,
                defaultSpin(),
                DEFAULT_GRACE,
                DeviceChoice.AUTO,
                modelPath,
                defaultMemoryBytes(),
                0);
    }

    /// The same, on another device.
    public ExpertWorkerSettings on(DeviceChoice other) {
        return new ExpertWorkerSettings(
                name,
                clusterId,
                modelPath,
                shard,
                host,
                port,
                kernels,
                threads,
                weightFormat,
                maxQueueMessages,
                maxQueueBytes,
                spin,
                grace,
                other,
                sourcePath,
                memoryBytes,
                transferBytesPerSecond);
    }

    /// Four fifths of the machine's memory, or of its container's.
    public static long defaultMemoryBytes() {
        OperatingSystemMXBean machine =
                ManagementFactory.getPlatformMXBean(OperatingSystemMXBean.class);
        return machine.getTotalMemorySize() / 5 * 4;
    }

    /// Spinning helps only where the event loop and the compute threads do not need the core.
    public static Duration defaultSpin() {
        return Runtime.getRuntime().availableProcessors() >= 4
                ? Duration.ofNanos(50_000)
                : Duration.ZERO;
    }
}
