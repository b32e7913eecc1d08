package io.atoll.attention.step;

/// What one attention worker serves.
///
/// @param modelDigest identifies the checkpoint
/// @param arithmetic name of the kernels' arithmetic: with the digest, all that the tokens of a request depend on
/// @param kernels the line that describes its kernels, for people
/// @param vocabularySize tokens that can be sampled; ids from here on are padding
/// @param maxSequenceTokens longest sequence, prompt and output together
/// @param maxSequences sequences open at once
/// @param maxStepRows rows of one step
/// @param maxDrafts most tokens that a step guesses for a sequence; 0 if it guesses none
public record AttentionWorkerInfo(
        String modelDigest,
        String arithmetic,
        String kernels,
        int vocabularySize,
        int maxSequenceTokens,
        int maxSequences,
        int maxStepRows,
        int maxDrafts) {}
