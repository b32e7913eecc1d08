package io.atoll.attention.step;

import io.atoll.proto.Failure;
import java.util.List;
import java.util.Map;

/// How a step ended.
public sealed interface StepOutcome {
    /// Every row went through every layer.
    ///
    /// @param sampled one entry for each sequence that asked for a token, in the order of the plan
    /// @param failed sequences that asked for a token and cannot go on, by id, with the reason; they have no entry
    /// @param scored the prompt tokens that follow the step's rows, of sequences with [SequenceOptions#promptLogprobs]; those of a
    ///     sequence in ascending positions
    record Completed(List<Sampled> sampled, Map<Long, Failure> failed, List<Scored> scored)
            implements StepOutcome {
        public Completed {
            sampled = List.copyOf(sampled);
            failed = Map.copyOf(failed);
            scored = List.copyOf(scored);
        }

        /// No prompt was to be scored.
        public Completed(List<Sampled> sampled, Map<Long, Failure> failed) {
            this(sampled, failed, List.of());
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
