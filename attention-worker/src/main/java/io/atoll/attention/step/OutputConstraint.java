package io.atoll.attention.step;

import io.atoll.model.grammar.Constraint;
import java.util.List;
import java.util.OptionalInt;

/// What the output of a sequence has to be.
///
/// @param constraint what the text has to match, up to the token that ends the answer
/// @param after the token behind which that text begins, if it is not the whole output: the end of the reasoning. Until then every
///     token is allowed but those that end an answer
/// @param lead tokens in front of the text, each the only one allowed in its place
public record OutputConstraint(Constraint constraint, OptionalInt after, List<Integer> lead) {
    public OutputConstraint {
        lead = List.copyOf(lead);
    }

    /// For the whole output.
    public OutputConstraint(Constraint constraint) {
        this(constraint, OptionalInt.empty(), List.of());
    }
}
