package io.atoll.model;

import java.util.Random;
import java.util.function.Consumer;

/// Runs a random test with several seeds, and names the seed of a run that fails; `-Dseed=N` runs that one only.
public final class Seeds {
    private Seeds() {}

    public static void forAll(int count, Consumer<Random> test) {
        String given = System.getProperty("seed", "");
        if (given.matches("-?\\d+")) {
            run(Long.parseLong(given), test);
            return;
        }
        long first = System.nanoTime();
        for (int i = 0; i < count; i++) {
            run(first + i, test);
        }
    }

    private static void run(long seed, Consumer<Random> test) {
        try {
            test.accept(new Random(seed));
        } catch (AssertionError | RuntimeException e) {
            throw new AssertionError("failed with -Dseed=" + seed, e);
        }
    }
}
