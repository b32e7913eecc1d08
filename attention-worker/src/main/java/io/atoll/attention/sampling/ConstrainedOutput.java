package io.atoll.attention.sampling;

import io.atoll.attention.step.OutputConstraint;
import io.atoll.attention.step.OutputConstraint.Reasoning;
import io.atoll.model.grammar.GrammarException;
import io.atoll.model.grammar.TokenConstraint;
import io.atoll.model.grammar.TokenMatcher;
import java.util.Arrays;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.Executor;

/// Where one sequence stands in its constrained output: which tokens may come next. A function of the constraint and the output so
/// far, so it is the same after a sequence was set aside and opened again.
///
/// Where the text has a form, no token may end the answer before it. The mask of the next place is computed while the layers
/// run, once the token before it is chosen ([#prepare]). One thread at a time.
public final class ConstrainedOutput {
    private static final long[] ALL = {};

    private final Optional<Reasoning> reasoning;
    private final Optional<TokenConstraint> text;
    private final Optional<TokenMatcher> matcher;
    private final int maskWords;
    private boolean reasons;
    private int closed; // tokens of the closing that was forced
    private int led; // tokens of the lead
    private int accepted;
    private Optional<Integer> refused = Optional.empty();
    private Optional<Prepared> prepared = Optional.empty();

    /// A mask that is being computed.
    ///
    /// @param output tokens of the output before it
    private record Prepared(int output, int lastToken, CompletableFuture<long[]> mask) {}

    /// What may come next.
    public sealed interface Next {
        /// These tokens: bit `id % 64` of word `id / 64`. All, if there is no word.
        record Allowed(long[] tokens) implements Next {}

        /// None, and why.
        record Impossible(String reason) implements Next {}
    }

    /// @param text the compiled form of the text's constraint, if it has one
    /// @param vocabularySize tokens that may be chosen
    public ConstrainedOutput(
            OutputConstraint constraint, Optional<TokenConstraint> text, int vocabularySize) {
        this.reasoning = constraint.reasoning();
        this.text = text;
        matcher = text.map(TokenConstraint::matcher);
        maskWords = (vocabularySize + 63) / 64;
        reasons = reasoning.isPresent();
    }

    /// Takes the next token of the output.
    public void accept(int token) {
        accepted++;
        if (reasons) {
            if (isOver()) {
                note(token, token == reasoning.orElseThrow().closing().get(closed));
                closed++;
            }
            reasons = token != reasoning.orElseThrow().end();
        } else if (isLead()) {
            note(token, token == reasoning.orElseThrow().lead().get(led));
            led++;
        } else {
            matcher.ifPresent(place -> note(token, accepts(place, token)));
        }
    }

    /// Whether the budget of the reasoning is used up.
    private boolean isOver() {
        return closed > 0 || accepted - 1 >= reasoning.orElseThrow().budget();
    }

    private boolean isLead() {
        return text.isPresent() && reasoning.isPresent() && led < reasoning.get().lead().size();
    }

    private static boolean accepts(TokenMatcher place, int token) {
        try {
            return place.accept(token);
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
        boolean inText = text.isPresent() && !reasons && !isLead();
        if (!inText || refused.isPresent() || text.get().trie().isStop(token)) {
            return;
        }
        TokenMatcher ahead = matcher.orElseThrow().fork();
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
            if (mask.length == 0 || Arrays.stream(mask).anyMatch(word -> word != 0)) {
                return new Next.Allowed(mask);
            }
            return new Next.Impossible(
                    "no token of the vocabulary continues the output under its constraint");
        } catch (GrammarException e) {
            return new Next.Impossible(e.getMessage());
        }
    }

    private long[] mask(int lastToken) {
        if (reasons) {
            if (closed > 0 || accepted >= reasoning.orElseThrow().budget()) {
                return only(reasoning.orElseThrow().closing().get(closed));
            }
            return text.isPresent() ? text.get().trie().allButStops() : ALL;
        }
        if (isLead()) {
            return only(reasoning.orElseThrow().lead().get(led));
        }
        if (matcher.isEmpty()) {
            return ALL;
        }
        Optional<Prepared> ready =
                prepared.filter(p -> p.output == accepted && p.lastToken == lastToken);
        prepared = Optional.empty();
        if (ready.isEmpty()) {
            return mask(matcher.get());
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

    private long[] only(int token) {
        long[] mask = new long[maskWords];
        mask[token >> 6] |= 1L << token;
        return mask;
    }

    private long[] mask(TokenMatcher at) {
        long[] mask = new long[maskWords];
        at.mask(mask);
        return mask;
    }
}
