package io.atoll.attention.sampling;

import io.atoll.attention.step.OutputConstraint;
import io.atoll.model.grammar.GrammarException;
import io.atoll.model.grammar.TokenConstraint;
import io.atoll.model.grammar.TokenMatcher;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.Executor;

/// Where one sequence stands in its constrained output: which tokens may come next. A function of the constraint and the output so
/// far, so it is the same after a sequence was set aside and opened again.
///
/// The mask of the next place is computed while the layers run, once the token before it is chosen ([#prepare]). One thread at a
/// time.
public final class ConstrainedOutput {
    private final OutputConstraint constraint;
    private final TokenConstraint compiled;
    private final TokenMatcher matcher;
    private boolean begun;
    private int led;
    private int accepted;
    private Optional<Integer> refused = Optional.empty();
    private Optional<Prepared> prepared = Optional.empty();

    /// A mask that is being computed.
    ///
    /// @param output tokens of the output before it
    private record Prepared(int output, int lastToken, CompletableFuture<long[]> mask) {}

    /// What may come next.
    public sealed interface Next {
        /// These tokens: bit `id % 64` of word `id / 64`.
        record Allowed(long[] tokens) implements Next {}

        /// None, and why.
        record Impossible(String reason) implements Next {}
    }

    /// @param compiled the constraint's compiled form
    public ConstrainedOutput(OutputConstraint constraint, TokenConstraint compiled) {
        this.constraint = constraint;
        this.compiled = compiled;
        matcher = compiled.matcher();
        begun = constraint.after().isEmpty();
    }

    /// Takes the next token of the output.
    public void accept(int token) {
        accepted++;
        if (!begun) {
            begun = token == constraint.after().getAsInt();
        } else if (led < constraint.lead().size()) {
            note(token, token == constraint.lead().get(led));
            led++;
        } else {
            note(token, accepts(token));
        }
    }

    private boolean accepts(int token) {
        try {
            return matcher.accept(token);
        } catch (GrammarException _) {
            return false; // more parses than the limit: the mask says so
        }
    }

    private void note(int token, boolean allowed) {
        if (!allowed && refused.isEmpty()) {
            refused = Optional.of(token);
        }
    }

    /// Begins to compute what may come after a token that was chosen.
    public void prepare(int token, Executor executor) {
        boolean inText = begun && led == constraint.lead().size();
        if (!inText || refused.isPresent() || compiled.trie().isStop(token)) {
            return;
        }
        TokenMatcher ahead = matcher.fork();
        prepared =
                Optional.of(
                        new Prepared(
                                accepted + 1,
                                token,
                                CompletableFuture.supplyAsync(
                                        () -> {
                                            ahead.accept(token);
                                            return mask(ahead);
                                        },
                                        executor)));
    }

    /// What may come next.
    ///
    /// @param lastToken the last one that was accepted; any, if there is none
    public Next next(int lastToken) {
        if (refused.isPresent()) {
            return new Next.Impossible(
                    "the output so far is not what its constraint allows: token " + refused.get());
        }
        try {
            long[] mask = mask(lastToken);
            for (long word : mask) {
                if (word != 0) {
                    return new Next.Allowed(mask);
                }
            }
            return new Next.Impossible(
                    "no token of the vocabulary continues the output under its constraint");
        } catch (GrammarException e) {
            return new Next.Impossible(e.getMessage());
        }
    }

    private long[] mask(int lastToken) {
        if (!begun) {
            return compiled.trie().allButStops();
        }
        if (led < constraint.lead().size()) {
            long[] mask = new long[compiled.trie().maskWords()];
            int only = constraint.lead().get(led);
            mask[only >> 6] |= 1L << only;
            return mask;
        }
        Optional<Prepared> ready =
                prepared.filter(p -> p.output == accepted && p.lastToken == lastToken);
        prepared = Optional.empty();
        if (ready.isEmpty()) {
            return mask(matcher);
        }
        try {
            return ready.get().mask.join();
        } catch (CompletionException e) {
            if (e.getCause() instanceof GrammarException limit) {
                throw limit;
            }
            throw e;
        }
    }

    private long[] mask(TokenMatcher at) {
        long[] mask = new long[compiled.trie().maskWords()];
        at.mask(mask);
        return mask;
    }
}
