package io.atoll.attention.step;

import io.atoll.proto.Failure;
import java.util.List;

/// How a step ended.
public sealed interface StepOutcome {
    /// Every row went through every layer.
    ///
    /// @param sampled one entry for each sequence that asked for a token, in the order of the plan
    record Completed(List<Sampled> sampled) implements StepOutcome {
        public Completed {
            sampled = List.copyOf(sampled);
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
