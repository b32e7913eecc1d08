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
    record Completed(List<Sampled> sampled, Map<Long, Failure> failed) implements StepOutcome {
        public Completed {
            sampled = List.copyOf(sampled);
            failed = Map.copyOf(failed);
        }

        /// Every sequence that asked for a token has one.
        public Completed(List<Sampled> sampled) {
            this(sampled, Map.of());
        }
    }

    /// The step did not complete. The states of its sequences are lost: they can only be closed.
    record Failed(Failure failure) implements StepOutcome {}

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
