package io.atoll.attention.step;

import io.atoll.proto.Failure;
import java.util.List;
import java.util.Map;

/// How a step ended.
public sealed interface StepOutcome {
    /// Every row went through every layer.
    ///
    /// @param sampled one entry for each sequence that asked for a token, in the order of the plan. With drafts there are as many
    ///     as were right, and one more: the sequence has seen all of its tokens but the last
    /// @param failed sequences that asked for a token and cannot go on, by id, with the reason; they have no entry but those of
    ///     right drafts
    /// @param scored the prompt tokens that follow the step's rows, of sequences with [SequenceOptions#promptLogprobs]; those of a
    ///     sequence in ascending positions
    /// @param drafted how many tokens were guessed for a sequence, by id, where any were
    record Completed(
            List<Sampled> sampled,
            Map<Long, Failure> failed,
            List<Scored> scored,
            Map<Long, Integer> drafted)
            implements StepOutcome {
        public Completed {
            drafted = Map.copyOf(drafted);
            sampled = List.copyOf(sampled);
            failed = Map.copyOf(failed);
            scored = List.copyOf(scored);
        }

        /// No prompt was to be scored.
        public Completed(List<Sampled> sampled, Map<Long, Failure> failed) {
            this(sampled, failed, List.of(), Map.of());
        }

        /// Every sequence that asked for a token has one.
        public Completed(List<Sampled> sampled) {
            this(sampled, Map.of());
        }
    }

    /// The step did not complete. The states of its sequences are lost: they can only be closed.
    record Failed(Failure failure) implements StepOutcome {}

    /// A token of a prompt.
    ///
    /// @param position its index in the sequence, at least 1: nothing predicts the first token
    /// @param logprob natural log of the probability it had after the tokens before it
    /// @param top the most likely tokens in its place, as in [Sampled]
    record Scored(long sequenceId, int position, int token, float logprob, List<TokenLogprob> top) {
        public Scored {
            top = List.copyOf(top);
        }
    }

    /// A chosen token.
    ///
    /// @param logprob natural log of its probability under the unmodified logits
    /// @param top the most likely tokens, the likeliest first; as many as the sequence asked for
    record Sampled(long sequenceId, int token, float logprob, List<TokenLogprob> top) {
        public Sampled {
            top = List.copyOf(top);
        }
    }
}
