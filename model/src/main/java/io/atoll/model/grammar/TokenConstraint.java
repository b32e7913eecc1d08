package io.atoll.model.grammar;

import java.util.Optional;
import java.util.concurrent.ConcurrentLinkedQueue;

/// A [Constraint] over a vocabulary, ready for use by any number of sequences at once.
///
/// What is computed for one sequence is remembered for the others, within [GrammarLimits#cacheBytes()]; so keep it for as long as
/// requests come with the same constraint. Safe for use by several threads.
public final class TokenConstraint {
    private final TokenTrie trie;
    private final Automaton automaton;
    private final GrammarLimits limits;
    private final ConcurrentLinkedQueue<MaskWalk> idleWalks = new ConcurrentLinkedQueue<>();

    private TokenConstraint(Grammar grammar, TokenTrie trie, GrammarLimits limits, int window) {
        this.trie = trie;
        this.limits = limits;
        automaton = new Automaton(NetworkBuilder.build(grammar, limits, window), limits);
    }

    /// Compiles a constraint. Masks are computed later, when they are asked for.
    ///
    /// @throws GrammarException if it is malformed, uses what is not offered, passes a limit, or matches no text
    public static TokenConstraint compile(
            Constraint constraint, TokenTrie trie, GrammarLimits limits) {
        return of(grammar(constraint, limits), trie, limits);
    }

    private static Grammar grammar(Constraint constraint, GrammarLimits limits) {
        return switch (constraint) {
            case Constraint.JsonSchema(var schema) -> SchemaCompiler.compile(schema, limits);
            case Constraint.JsonObject() -> SchemaCompiler.anyObject();
            case Constraint.Regex(var pattern) ->
                    Grammar.of(RegexParser.whole(pattern, "regex", limits));
            case Constraint.ContextFree(var text) -> GrammarParser.parse(text, limits);
            case Constraint.ToolCalls calls -> ToolCallGrammar.of(calls, limits);
            case Constraint.TextOrCalls(var text, var calls) ->
                    Grammar.either(grammar(text, limits), grammar(calls, limits));
        };
    }

    static TokenConstraint of(Grammar grammar, TokenTrie trie, GrammarLimits limits) {
        return new TokenConstraint(grammar, trie, limits, trie.longest());
    }

    /// The slow twin for tests: no two copies of what is repeated share their masks.
    static TokenConstraint withoutTwins(Grammar grammar, TokenTrie trie, GrammarLimits limits) {
        return new TokenConstraint(grammar, trie, limits, Integer.MAX_VALUE);
    }

    /// A matcher at the start of a text.
    public TokenMatcher matcher() {
        return new TokenMatcher(this, automaton.start());
    }

    /// The vocabulary.
    public TokenTrie trie() {
        return trie;
    }

    /// Bytes of states and masks that are remembered now, about.
    public long cachedBytes() {
        return automaton.usedBytes();
    }

    Optional<Column> step(Column column, int token) {
        byte[] bytes = trie.bytes(token);
        if (bytes.length == 0) {
            return Optional.empty();
        }
        Column next = automaton.step(column, bytes, 0);
        return next == Column.DEAD ? Optional.empty() : Optional.of(next);
    }

    TokenMask mask(Column column) {
        MaskWalk idle = idleWalks.poll();
        MaskWalk walk = idle != null ? idle : new MaskWalk(automaton, trie, limits);
        TokenMask mask = walk.mask(column);
        idleWalks.add(walk);
        return mask;
    }
}
