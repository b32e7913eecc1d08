package io.atoll.attention.step;

import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;

/// The rows of one step.
///
/// @param stepId counts up; names the step in logs
/// @param sequences each sequence at most once
/// @param timeout how long the step may take before it fails
public record StepPlan(long stepId, List<SequenceRows> sequences, Duration timeout) {
    public StepPlan {
        sequences = List.copyOf(sequences);
        if (sequences.isEmpty()) {
            throw new IllegalArgumentException("a step needs rows: step=" + stepId);
        }
    }

    /// Rows of all sequences together, those of drafts included.
    public int rows() {
        return sequences.stream().mapToInt(SequenceRows::rows).sum();
    }

    /// The next tokens of one sequence: a piece of its prompt, or the token chosen last.
    ///
    /// @param firstPosition how many tokens the worker has already seen; a step that disagrees is refused
    /// @param tokens at least one
    /// @param sample whether to choose a token after the last row
    /// @param checkpoint whether to keep the state after the last row for sequences that begin with the same tokens
    /// @param drafts how many tokens more the worker may guess and verify in the same step, each a row; only behind a single token
    ///     that samples
    public record SequenceRows(
            long sequenceId,
            int firstPosition,
            int[] tokens,
            boolean sample,
            boolean checkpoint,
            int drafts) {
        public SequenceRows {
            if (drafts < 0 || (drafts > 0 && (tokens.length != 1 || !sample || checkpoint))) {
                throw new IllegalArgumentException(
                        "drafts go behind a single token that samples: sequence="
                                + sequenceId
                                + " drafts="
                                + drafts
                                + " tokens="
                                + tokens.length);
            }
            if (tokens.length == 0 || firstPosition < 0) {
                throw new IllegalArgumentException(
                        "sequence " + sequenceId + " needs tokens at a position: " + firstPosition);
            }
        }

        /// Rows without a checkpoint.
        public SequenceRows(long sequenceId, int firstPosition, int[] tokens, boolean sample) {
            this(sequenceId, firstPosition, tokens, sample, false, 0);
        }

        /// Rows without drafts.
        public SequenceRows(
                long sequenceId,
                int firstPosition,
                int[] tokens,
                boolean sample,
                boolean checkpoint) {
            this(sequenceId, firstPosition, tokens, sample, checkpoint, 0);
        }

        /// The same with drafts.
        public SequenceRows withDrafts(int count) {
            return new SequenceRows(sequenceId, firstPosition, tokens, sample, checkpoint, count);
        }

        /// Its rows in the step.
        public int rows() {
            return tokens.length + drafts;
        }

        @Override
        public boolean equals(Object other) {
            return other
                            instanceof
                            SequenceRows(
                                    long id,
                                    int first,
                                    int[] theirs,
                                    boolean sampled,
                                    boolean kept,
                                    int guessed)
                    && id == sequenceId
                    && first == firstPosition
                    && sampled == sample
                    && kept == checkpoint
                    && guessed == drafts
                    && Arrays.equals(theirs, tokens);
        }

        @Override
        public int hashCode() {
            return Objects.hash(
                    sequenceId, firstPosition, Arrays.hashCode(tokens), sample, checkpoint, drafts);
        }
    }
}
