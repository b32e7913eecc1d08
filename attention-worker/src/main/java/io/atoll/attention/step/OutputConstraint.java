package io.atoll.attention.step;

import io.atoll.model.grammar.Constraint;
import java.util.List;
import java.util.Optional;

/// What the output of a sequence has to be: reasoning, if there is any, of at most some tokens, then a text, if its form is not
/// free.
///
/// @param reasoning what comes first, if something does
/// @param text what the text behind it has to match, up to the token that ends the answer
public record OutputConstraint(Optional<Reasoning> reasoning, Optional<Constraint> text) {
    public OutputConstraint {
        if (reasoning.isEmpty() && text.isEmpty()) {
            throw new IllegalArgumentException("a constraint that constrains nothing");
        }
    }

    /// For the whole output.
    public OutputConstraint(Constraint text) {
        this(Optional.empty(), Optional.of(text));
    }

    /// Reasoning and how it ends.
    ///
    /// @param end the token that ends it
    /// @param budget most tokens of it; after them `closing` is written, a token at a time
    /// @param closing ends with `end`
    /// @param lead tokens between `end` and a text with a form, each the only one allowed in its place
    public record Reasoning(int end, int budget, List<Integer> closing, List<Integer> lead) {
        /// A budget that is never used up.
        public static final int UNLIMITED = Integer.MAX_VALUE;

        public Reasoning {
            closing = List.copyOf(closing);
            lead = List.copyOf(lead);
            if (budget <= 0) {
                throw new IllegalArgumentException("budget must be positive: " + budget);
            }
            if (closing.isEmpty() || closing.getLast() != end) {
                throw new IllegalArgumentException(closing + " does not end with " + end);
            }
        }
    }
}
