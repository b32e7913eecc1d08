package io.atoll.model.grammar;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assertions.fail;

import io.atoll.model.Seeds;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import org.junit.jupiter.api.Test;

/// Masks against the slow twin, token by token, over random grammars of every shape.
class TokenMatcherTest {
    private static final GrammarLimits FORGETFUL =
            new GrammarLimits(1 << 20, 128, 100_000, 10_000, 10_000_000, 500);

    @Test
    void maskHoldsExactlyTheTokensThatCanBeContinued() {
        Seeds.forAll(25, random -> walkAndCompare(random, GrammarLimits.DEFAULT));
    }

    @Test
    void maskIsTheSameWhenEverythingIsForgottenAgainAndAgain() {
        Seeds.forAll(10, random -> walkAndCompare(random, FORGETFUL));
    }

    @Test
    void countsAreExactAlsoWhereTheyAreLongerThanAnyToken() {
        Seeds.forAll(
                60,
                random -> {
                    Grammar grammar = RandomGrammars.counted(random);
                    TokenTrie trie = RandomGrammars.shortTokens(random);
                    if (compile(grammar, trie, GrammarLimits.DEFAULT).isEmpty()) {
                        return;
                    }
                    TokenMatcher fast =
                            TokenConstraint.of(grammar, trie, GrammarLimits.DEFAULT).matcher();
                    TokenMatcher slow =
                            TokenConstraint.withoutTwins(grammar, trie, GrammarLimits.DEFAULT)
                                    .matcher();
                    for (int step = 0; step < 60; step++) {
                        List<Integer> allowed = allowed(slow, trie);
                        assertEquals(allowed, allowed(fast, trie), grammar::toString);
                        allowed.removeIf(trie::isStop);
                        if (allowed.isEmpty()) {
                            break;
                        }
                        int token = allowed.get(random.nextInt(allowed.size()));
                        assertTrue(slow.accept(token));
                        assertTrue(fast.accept(token));
                    }
                });
    }

    private static void walkAndCompare(Random random, GrammarLimits limits) {
        Grammar grammar = RandomGrammars.grammar(random);
        TokenTrie trie = RandomGrammars.vocabulary(random);
        SlowMatcher slow = new SlowMatcher(grammar);
        Optional<TokenConstraint> compiled = compile(grammar, trie, limits);
        assertEquals(slow.matchesSomething(), compiled.isPresent(), grammar::toString);
        if (compiled.isEmpty()) {
            return;
        }
        for (int walk = 0; walk < 3; walk++) {
            TokenMatcher matcher = compiled.get().matcher();
            byte[] text = new byte[0];
            for (int step = 0; step < 6; step++) {
                List<Integer> allowed = compare(matcher, slow, trie, text, grammar);
                if (allowed.isEmpty()) {
                    break;
                }
                int token = allowed.get(random.nextInt(allowed.size()));
                assertTrue(matcher.accept(token));
                text = join(text, trie.bytes(token));
            }
        }
    }

    private static Optional<TokenConstraint> compile(
            Grammar grammar, TokenTrie trie, GrammarLimits limits) {
        try {
            return Optional.of(TokenConstraint.of(grammar, trie, limits));
        } catch (GrammarException e) {
            assertEquals(GrammarException.Kind.UNSATISFIABLE, e.kind());
            return Optional.empty();
        }
    }

    /// The tokens that may stand inside, after comparing each with the slow twin and with what `accept` says.
    private static List<Integer> compare(
            TokenMatcher matcher, SlowMatcher slow, TokenTrie trie, byte[] text, Grammar grammar) {
        long[] mask = new long[trie.maskWords()];
        matcher.mask(mask);
        boolean whole = slow.matches(text);
        assertEquals(whole, matcher.isComplete(), grammar::toString);
        List<Integer> allowed = new ArrayList<>();
        for (int token = 0; token < trie.vocabularySize(); token++) {
            byte[] bytes = trie.bytes(token);
            boolean expected =
                    trie.isStop(token)
                            ? whole
                            : bytes.length > 0 && slow.isBeginning(join(text, bytes));
            int id = token;
            assertEquals(
                    expected,
                    isSet(mask, token),
                    () -> "token " + id + " after " + Arrays.toString(text) + " of " + grammar);
            assertEquals(expected, matcher.fork().accept(token));
            if (expected && !trie.isStop(token)) {
                allowed.add(token);
            }
        }
        return allowed;
    }

    @Test
    void forkAndRollbackAreWhereAFreshMatcherWouldBe() {
        Seeds.forAll(
                30,
                random -> {
                    Grammar grammar = RandomGrammars.grammar(random);
                    TokenTrie trie = RandomGrammars.vocabulary(random);
                    Optional<TokenConstraint> compiled =
                            compile(grammar, trie, GrammarLimits.DEFAULT);
                    if (compiled.isEmpty()) {
                        return;
                    }
                    TokenMatcher matcher = compiled.get().matcher();
                    List<Integer> taken = new ArrayList<>();
                    for (int step = 0; step < 30; step++) {
                        if (random.nextInt(4) == 0) {
                            int back = random.nextInt(taken.size() + 1);
                            matcher.rollback(back);
                            taken.subList(taken.size() - back, taken.size()).clear();
                        } else {
                            TokenMatcher fork = matcher.fork();
                            List<Integer> allowed = allowed(matcher, trie);
                            if (!allowed.isEmpty()) {
                                int token = allowed.get(random.nextInt(allowed.size()));
                                assertTrue(matcher.accept(token));
                                taken.add(token);
                            }
                            assertSamePlace(fork, compiled.get(), taken.subList(0, fork.tokens()));
                        }
                        assertSamePlace(matcher, compiled.get(), taken);
                    }
                });
    }

    private static void assertSamePlace(
            TokenMatcher matcher, TokenConstraint constraint, List<Integer> taken) {
        TokenMatcher fresh = constraint.matcher();
        taken.forEach(token -> assertTrue(fresh.accept(token)));
        assertEquals(taken.size(), matcher.tokens());
        assertEquals(fresh.isComplete(), matcher.isComplete());
        assertEquals(fresh.isExhausted(), matcher.isExhausted());
        long[] expected = new long[constraint.trie().maskWords()];
        long[] found = new long[constraint.trie().maskWords()];
        fresh.mask(expected);
        matcher.mask(found);
        assertArrayEquals(expected, found);
    }

    private static List<Integer> allowed(TokenMatcher matcher, TokenTrie trie) {
        long[] mask = new long[trie.maskWords()];
        matcher.mask(mask);
        List<Integer> allowed = new ArrayList<>();
        for (int token = 0; token < trie.vocabularySize(); token++) {
            if (isSet(mask, token)) {
                allowed.add(token);
            }
        }
        return allowed;
    }

    @Test
    void nothingFollowsAStopToken() {
        TokenTrie trie = RandomGrammars.vocabulary(new Random(1));
        int stop = trie.vocabularySize() - 1;
        TokenMatcher matcher =
                TokenConstraint.of(
                                Grammar.of(Expression.any(new Expression.Text("a"))),
                                trie,
                                GrammarLimits.DEFAULT)
                        .matcher();
        assertTrue(matcher.accept(stop));
        assertTrue(matcher.isExhausted());
        assertFalse(matcher.accept(0));
        assertEquals(List.of(), allowed(matcher, trie));
        matcher.rollback(1);
        assertTrue(matcher.accept(0));
    }

    @Test
    void longListsDoNotGrowTheStateInAnyKindOfRecursion() {
        for (String list : List.of("list ::= item | list item", "list ::= item | item list")) {
            TokenConstraint constraint =
                    TokenConstraint.compile(
                            new Constraint.ContextFree("root ::= list\nitem ::= [a-c]\n" + list),
                            RandomGrammars.vocabulary(new Random(1)),
                            GrammarLimits.DEFAULT);
            TokenMatcher matcher = constraint.matcher();
            long[] mask = new long[constraint.trie().maskWords()];
            long cached = 0;
            for (int i = 0; i < 10_000; i++) {
                assertTrue(matcher.accept(i % 3));
                matcher.mask(mask);
                cached = i == 100 ? constraint.cachedBytes() : cached;
            }
            assertEquals(cached, constraint.cachedBytes(), list);
        }
    }

    @Test
    void whatIsRememberedStaysWithinItsLimit() {
        GrammarLimits limits = new GrammarLimits(1000, 10, 1000, 1000, 1_000_000, 20_000);
        TokenConstraint constraint =
                TokenConstraint.compile(
                        new Constraint.ContextFree("root ::= \"a\" root \"b\" | \"c\""),
                        RandomGrammars.vocabulary(new Random(1)),
                        limits);
        TokenMatcher matcher = constraint.matcher();
        long[] mask = new long[constraint.trie().maskWords()];
        for (int i = 0; i < 5000; i++) {
            assertTrue(matcher.accept(0));
            matcher.mask(mask);
            assertTrue(constraint.cachedBytes() <= limits.cacheBytes());
        }
        assertTrue(matcher.accept(2));
        for (int i = 0; i < 5000; i++) {
            assertFalse(matcher.isComplete());
            assertTrue(matcher.accept(1));
        }
        assertTrue(matcher.isComplete());
    }

    @Test
    void hostileGrammarsAreRefusedByALimitRatherThanRunForever() {
        TokenTrie trie = RandomGrammars.vocabulary(new Random(1));
        GrammarLimits limits = new GrammarLimits(10_000, 50, 5000, 200, 20_000, 1 << 20);
        for (String text :
                List.of(
                        "root ::= ((\"a\"{1000}){1000}){1000}",
                        "root ::= root root root | \"a\" root? [ab]{0,300} | \"b\"",
                        "root ::= " + "(".repeat(200) + "\"a\"" + ")".repeat(200))) {
            try {
                TokenMatcher matcher =
                        TokenConstraint.compile(new Constraint.ContextFree(text), trie, limits)
                                .matcher();
                long[] mask = new long[trie.maskWords()];
                for (int i = 0; i < 2000; i++) {
                    matcher.mask(mask);
                    matcher.accept(0);
                }
                fail("not refused: " + text.substring(0, 20));
            } catch (GrammarException e) {
                assertEquals(GrammarException.Kind.LIMIT, e.kind());
            }
        }
    }

    private static boolean isSet(long[] mask, int token) {
        return (mask[token >> 6] >> token & 1) != 0;
    }

    private static byte[] join(byte[] a, byte[] b) {
        byte[] joined = Arrays.copyOf(a, a.length + b.length);
        System.arraycopy(b, 0, joined, a.length, b.length);
        return joined;
    }
}
