package io.atoll.attention.step;

/// How an attention worker guesses tokens to come, which it verifies together in one step. What comes out does not depend on it.
///
/// @param drafter who guesses
/// @param maxDrafts most tokens guessed for a sequence in a step
public record Speculation(DrafterKind drafter, int maxDrafts) {
    public static final int MOST_DRAFTS = 4;

    /// No guesses.
    public static final Speculation OFF = new Speculation(DrafterKind.OFF, MOST_DRAFTS);

    /// By the model's own module where it has one.
    public static final Speculation DEFAULT = new Speculation(DrafterKind.MTP, MOST_DRAFTS);

    /// Who guesses.
    public enum DrafterKind {
        /// Nobody.
        OFF,
        /// The model's multi-token prediction module; nobody if the model has none.
        MTP,
        /// What followed the last tokens where they stood before in the same sequence.
        NGRAM
    }

    public Speculation {
        if (maxDrafts < 1 || maxDrafts > MOST_DRAFTS) {
            throw new IllegalArgumentException(
                    "maxDrafts must be from 1 to " + MOST_DRAFTS + ": " + maxDrafts);
        }
    }
}
