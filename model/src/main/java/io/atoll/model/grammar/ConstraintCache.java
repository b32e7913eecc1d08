package io.atoll.model.grammar;

import io.atoll.model.config.GenerationConfig;
import io.atoll.model.tokenizer.Tokenizer;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;

/// The constraints of late requests over one vocabulary, compiled: requests with the same one share what was computed for it. The
/// trees of the vocabulary take a second or two for 248,320 tokens; they are built once, when they are first needed or [#warmUp]
/// asks for them. Safe for use by several threads.
public final class ConstraintCache {
    /// Added tokens that the model itself writes in its calls.
    private static final Set<String> MARKUP = Set.of("<tool_call>", "</tool_call>");

    private static final int MAX_ENTRIES = 16;

    /// Of each entry: 256 MiB of states and masks in all.
    private static final GrammarLimits LIMITS =
            new GrammarLimits(
                    GrammarLimits.DEFAULT.inputChars(),
                    GrammarLimits.DEFAULT.depth(),
                    GrammarLimits.DEFAULT.states(),
                    GrammarLimits.DEFAULT.items(),
                    GrammarLimits.DEFAULT.maskSteps(),
                    16L << 20);

    private final FutureTask<TokenTrie> trie;
    private final Map<Constraint, TokenConstraint> compiled =
            new LinkedHashMap<>(2 * MAX_ENTRIES, 0.75f, true);

    /// @param tokenizer must stay open until the trees are built
    /// @param generation says which tokens end an answer
    public ConstraintCache(Tokenizer tokenizer, GenerationConfig generation) {
        int[] stops = generation.eosTokenIds().stream().mapToInt(Integer::intValue).toArray();
        trie = new FutureTask<>(() -> TokenTrie.of(tokenizer, MARKUP, stops));
    }

    /// Builds the trees of the vocabulary on a thread of their own, unless they are there.
    public void warmUp() {
        Thread.ofPlatform().daemon().name("vocabulary-trees").start(trie);
    }

    /// The compiled form of a constraint.
    ///
    /// @throws GrammarException if it is malformed, uses what is not offered, passes a limit, or matches no text
    public TokenConstraint get(Constraint constraint) {
        synchronized (compiled) {
            TokenConstraint known = compiled.get(constraint);
            if (known != null) {
                return known;
            }
        }
        // Outside the lock: one that takes long must not hold up the others.
        TokenConstraint made = TokenConstraint.compile(constraint, trie(), LIMITS);
        synchronized (compiled) {
            TokenConstraint earlier = compiled.putIfAbsent(constraint, made);
            if (compiled.size() > MAX_ENTRIES) {
                compiled.remove(compiled.keySet().iterator().next());
            }
            return earlier != null ? earlier : made;
        }
    }

    private TokenTrie trie() {
        trie.run(); // does nothing where it has run
        try {
            return trie.get();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException(
                    "interrupted while the vocabulary's trees are built", e);
        } catch (ExecutionException e) {
            throw new IllegalStateException("the vocabulary's trees cannot be built", e.getCause());
        }
    }
}
