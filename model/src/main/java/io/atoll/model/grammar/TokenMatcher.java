package io.atoll.model.grammar;

import java.util.Arrays;
import java.util.Optional;

/// One sequence's place in its constrained text: which tokens may come next. What it answers depends only on the constraint and the
/// tokens accepted so far.
///
/// A fork shares everything with its original and costs a few words, as does going back. For one thread at a time; forks are
/// independent.
public final class TokenMatcher {
    private final TokenConstraint constraint;
    private Place place;

    /// @param column where the text stands
    /// @param ended whether a token that ends the answer was accepted
    /// @param tokens accepted so far
    /// @param before the place one token earlier; the start refers to itself
    private record Place(Column column, boolean ended, int tokens, Optional<Place> before) {}

    TokenMatcher(TokenConstraint constraint, Column start) {
        this(constraint, new Place(start, false, 0, Optional.empty()));
    }

    private TokenMatcher(TokenConstraint constraint, Place place) {
        this.constraint = constraint;
        this.place = place;
    }

    /// Takes the next token. Returns false, and stays where it was, if the constraint does not allow it.
    ///
    /// @throws GrammarException if more parses would be open side by side than the limit
    public boolean accept(int token) {
        if (place.ended || token < 0 || token >= constraint.trie().vocabularySize()) {
            return false;
        }
        if (constraint.trie().isStop(token)) {
            if (!place.column.accepting) {
                return false;
            }
            advance(place.column, true);
            return true;
        }
        Optional<Column> next = constraint.step(place.column, token);
        next.ifPresent(column -> advance(column, false));
        return next.isPresent();
    }

    private void advance(Column column, boolean ended) {
        place = new Place(column, ended, place.tokens + 1, Optional.of(place));
    }

    /// Writes which tokens may come next: bit `id % 64` of word `id / 64` is set for each that [#accept] would take. None after
    /// the end of the answer.
    ///
    /// @param out [TokenTrie#maskWords()] words, overwritten
    /// @throws GrammarException if it takes more steps than the limit
    public void mask(long[] out) {
        if (out.length != constraint.trie().maskWords()) {
            throw new IllegalArgumentException(
                    "the mask has " + out.length + " words, need " + constraint.trie().maskWords());
        }
        if (place.ended) {
            Arrays.fill(out, 0);
            return;
        }
        constraint.mask(place.column).copyTo(out);
        if (place.column.accepting) {
            constraint.trie().stops().stream().forEach(stop -> out[stop >> 6] |= 1L << stop);
        }
    }

    /// Whether the text so far is a whole one, so that the answer may end here.
    public boolean isComplete() {
        return place.column.accepting;
    }

    /// Whether the answer must end here: no text goes on.
    public boolean isExhausted() {
        return place.ended || !place.column.hasItems();
    }

    /// Tokens accepted so far.
    public int tokens() {
        return place.tokens;
    }

    /// Takes back the last tokens.
    public void rollback(int tokens) {
        if (tokens < 0 || tokens > place.tokens) {
            throw new IllegalArgumentException(
                    "cannot take back " + tokens + " of " + place.tokens + " tokens");
        }
        for (int i = 0; i < tokens; i++) {
            place = place.before.orElseThrow();
        }
    }

    /// A matcher at the same place that goes its own way.
    public TokenMatcher fork() {
        return new TokenMatcher(constraint, place);
    }
}
