package io.atoll.benchmarks.grammar;

import io.atoll.model.grammar.GrammarLimits;
import io.atoll.model.grammar.TokenConstraint;
import io.atoll.model.grammar.TokenMatcher;
import io.atoll.model.grammar.TokenTrie;
import io.atoll.model.tokenizer.Tokenizer;
import java.lang.management.ManagementFactory;
import java.lang.management.ThreadMXBean;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Random;
import java.util.Set;

/// What a mask costs, token by token, over a vocabulary of the family's size.
///
/// Arguments: a GGUF file or `tokenizer.json` with the vocabulary, and the rounds (default 30). A vocabulary with fewer than 248,320
/// tokens is filled up with joined pairs of its tokens. Each round compiles every constraint afresh and lets it follow its
/// texts: the first text finds nothing remembered, the second what the first has left, and the first once more finds everything.
/// Times are the thread's CPU time, because other work on the machine would decide the largest ones otherwise. Not a JMH benchmark, because the first mask at a place and the second are different things and both count.
public final class MaskCost {
    private static final ThreadMXBean THREADS = ManagementFactory.getThreadMXBean();
    private static final int VOCABULARY = 248_320;
    private static final int WARM_UP_ROUNDS = 5;
    private static final List<String> PASSES = List.of("first text", "second text", "again");

    private MaskCost() {}

    public static void main(String[] arguments) {
        Path file = Path.of(arguments[0]);
        int rounds = arguments.length > 1 ? Integer.parseInt(arguments[1]) : 30;
        boolean gguf = file.toString().endsWith(".gguf");
        try (Tokenizer tokenizer = gguf ? Tokenizer.fromGguf(file) : Tokenizer.load(file)) {
            long start = System.nanoTime();
            TokenTrie trie = new TokenTrie(vocabulary(tokenizer), VOCABULARY - 1);
            System.out.printf(
                    Locale.ROOT,
                    "vocabulary of %d tokens as a tree: %.0f ms%n",
                    trie.vocabularySize(),
                    (System.nanoTime() - start) / 1e6);
            System.out.printf(
                    "%-26s %-12s %7s %10s %10s %10s %12s%n",
                    "constraint", "", "tokens", "median us", "p99 us", "max us", "compile ms");
            for (Documents documents : Documents.all()) {
                measure(documents, tokenizer, trie, rounds);
            }
        }
    }

    private static byte[][] vocabulary(Tokenizer tokenizer) {
        byte[][] bytes = new byte[VOCABULARY][];
        Set<String> known = new HashSet<>();
        int ordinary = Math.min(tokenizer.size(), VOCABULARY - 1);
        for (int id = 0; id < ordinary; id++) {
            boolean inside = tokenizer.isToken(id) && !tokenizer.isAdded(id);
            bytes[id] = inside ? tokenizer.bytes(id) : new byte[0];
            known.add(Arrays.toString(bytes[id]));
        }
        Random random = new Random(1);
        for (int id = ordinary; id < VOCABULARY; ) {
            byte[] head = bytes[random.nextInt(ordinary)];
            byte[] tail = bytes[random.nextInt(ordinary)];
            byte[] joined = Arrays.copyOf(head, head.length + tail.length);
            System.arraycopy(tail, 0, joined, head.length, tail.length);
            if (known.add(Arrays.toString(joined))) {
                bytes[id++] = joined;
            }
        }
        return bytes;
    }

    private static void measure(
            Documents documents, Tokenizer tokenizer, TokenTrie trie, int rounds) {
        List<int[]> texts =
                new ArrayList<>(documents.texts().stream().map(tokenizer::encode).toList());
        texts.add(texts.get(0));
        List<List<Long>> masks = List.of(new ArrayList<>(), new ArrayList<>(), new ArrayList<>());
        List<Long> compiles = new ArrayList<>();
        long[] mask = new long[trie.maskWords()];
        for (int round = -WARM_UP_ROUNDS; round < rounds; round++) {
            long start = THREADS.getCurrentThreadCpuTime();
            TokenConstraint constraint =
                    TokenConstraint.compile(documents.constraint(), trie, GrammarLimits.DEFAULT);
            long compiled = THREADS.getCurrentThreadCpuTime();
            for (int pass = 0; pass < texts.size(); pass++) {
                TokenMatcher matcher = constraint.matcher();
                for (int token : texts.get(pass)) {
                    long before = THREADS.getCurrentThreadCpuTime();
                    matcher.mask(mask);
                    long after = THREADS.getCurrentThreadCpuTime();
                    if ((mask[token >> 6] >> token & 1) == 0 || !matcher.accept(token)) {
                        throw new IllegalStateException(
                                documents.name() + " refuses its text at " + matcher.tokens());
                    }
                    if (round >= 0) {
                        masks.get(pass).add(after - before);
                    }
                }
                matcher.mask(mask);
                if (!matcher.isComplete()) {
                    throw new IllegalStateException(documents.name() + " does not end its text");
                }
            }
            if (round >= 0) {
                compiles.add(compiled - start);
            }
        }
        compiles.sort(null);
        for (int pass = 0; pass < masks.size(); pass++) {
            List<Long> costs = masks.get(pass);
            costs.sort(null);
            System.out.printf(
                    Locale.ROOT,
                    "%-26s %-12s %7d %10.1f %10.1f %10.1f %12s%n",
                    documents.name(),
                    PASSES.get(pass),
                    texts.get(pass).length,
                    at(costs, 0.5) / 1e3,
                    at(costs, 0.99) / 1e3,
                    costs.getLast() / 1e3,
                    pass == 0 ? String.format(Locale.ROOT, "%.2f", at(compiles, 0.5) / 1e6) : "");
        }
    }

    private static double at(List<Long> sorted, double share) {
        return sorted.get((int) Math.min(sorted.size() - 1, share * sorted.size()));
    }
}
