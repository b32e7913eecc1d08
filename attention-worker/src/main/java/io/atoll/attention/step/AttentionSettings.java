package io.atoll.attention.step;

import io.atoll.attention.state.CheckpointDisk;
import io.atoll.kernels.KvFormat;
import java.time.Duration;
import java.util.Optional;

/// How much one attention worker takes on. Memory for all of it is set aside at start.
///
/// @param maxStepRows rows of one step, prefill and decode together
/// @param maxSequences sequences open at once, each with its recurrent state
/// @param maxCheckpoints states kept for sequences that begin with the same tokens, each as large as a sequence's recurrent state;
///     0 keeps none
/// @param maxSequenceTokens longest sequence; the model's own limit if that is shorter
/// @param kvCapacityTokens positions whose keys and values fit, all sequences and checkpoints together
/// @param kvFormat how keys and values are kept
/// @param threads compute threads, the calling one included
/// @param kernels kernel family, or empty for the best that runs here
/// @param combineTimeout longest wait for the expert replies of one layer
/// @param checkpointDisk where checkpoints go that memory has no room for
/// @param speculation how tokens are guessed, to be verified several in one step
public record AttentionSettings(
        int maxStepRows,
        int maxSequences,
        int maxCheckpoints,
        int maxSequenceTokens,
        long kvCapacityTokens,
        KvFormat kvFormat,
        int threads,
        Optional<String> kernels,
        Duration combineTimeout,
        Optional<CheckpointDisk> checkpointDisk,
        Speculation speculation) {
    public AttentionSettings {
        requirePositive("maxStepRows", maxStepRows);
        requirePositive("maxSequences", maxSequences);
        if (maxCheckpoints < 0) {
            throw new IllegalArgumentException(
                    "maxCheckpoints must not be negative: " + maxCheckpoints);
        }
        requirePositive("maxSequenceTokens", maxSequenceTokens);
        requirePositive("kvCapacityTokens", kvCapacityTokens);
        requirePositive("threads", threads);
        if (combineTimeout.isNegative() || combineTimeout.isZero()) {
            throw new IllegalArgumentException(
                    "combineTimeout must be positive: " + combineTimeout);
        }
    }

    /// Settings that suit a machine with some tens of GB and a model of any size of the family.
    public static AttentionSettings defaults() {
        return new AttentionSettings(
                512,
                16,
                16,
                32 * 1024,
                128 * 1024,
                KvFormat.BF16,
                Runtime.getRuntime().availableProcessors(),
                Optional.empty(),
                Duration.ofSeconds(10),
                Optional.empty(),
                Speculation.DEFAULT);
    }

    /// Settings without speculation.
    public AttentionSettings(
            int maxStepRows,
            int maxSequences,
            int maxCheckpoints,
            int maxSequenceTokens,
            long kvCapacityTokens,
            KvFormat kvFormat,
            int threads,
            Optional<String> kernels,
            Duration combineTimeout,
            Optional<CheckpointDisk> checkpointDisk) {
        this(
                maxStepRows,
                maxSequences,
                maxCheckpoints,
                maxSequenceTokens,
                kvCapacityTokens,
                kvFormat,
                threads,
                kernels,
                combineTimeout,
                checkpointDisk,
                Speculation.OFF);
    }

    private static void requirePositive(String name, long value) {
        if (value <= 0) {
            throw new IllegalArgumentException(name + " must be positive: " + value);
        }
    }
}
