package io.atoll.attention.step;

/// What an attention worker has in use, and what it has done since its start.
///
/// @param kvBlocks KV blocks that there are
/// @param sequenceKvBlocks those that open sequences hold
/// @param freeKvBlocks those that nobody holds; the rest holds checkpoints and is given up when a sequence needs it
/// @param sequences open sequences
/// @param checkpoints kept checkpoints
/// @param checkpointHits sequences that began at a checkpoint
/// @param checkpointEvictions checkpoints given up for others or for sequences
/// @param storedCheckpoints checkpoints on disk
/// @param checkpointLoads those of the hits whose checkpoint came from disk
/// @param stepTimes where the time of its steps went
public record AttentionLoad(
        int kvBlocks,
        int sequenceKvBlocks,
        int freeKvBlocks,
        int sequences,
        int checkpoints,
        long checkpointHits,
        long checkpointEvictions,
        int storedCheckpoints,
        long checkpointLoads,
        StepTimes stepTimes) {
    /// Nanoseconds of all steps together.
    ///
    /// @param mixer embedding, norms, attention and Gated DeltaNet
    /// @param shared router and shared experts
    /// @param experts routed experts: computing them here, or waiting for those who do
    /// @param head final norm and logits
    /// @param sampling choosing tokens
    public record StepTimes(long mixer, long shared, long experts, long head, long sampling) {
        static final StepTimes NONE = new StepTimes(0, 0, 0, 0, 0);
    }

    /// Of a worker that keeps no count.
    public static final AttentionLoad NONE =
            new AttentionLoad(0, 0, 0, 0, 0, 0, 0, 0, 0, StepTimes.NONE);
}
