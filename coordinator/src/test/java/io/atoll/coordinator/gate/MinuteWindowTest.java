package io.atoll.coordinator.gate;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayDeque;
import java.util.Deque;
import java.util.Random;
import org.junit.jupiter.api.Test;

final class MinuteWindowTest {
    private static final long SECOND = 1_000_000_000;

    private final MinuteWindow window = new MinuteWindow();

    @Test
    void oneTooManyWaitsUntilTheOldestIsAMinuteOld() {
        window.waitNanos(2, 0);
        window.pass(0);
        assertEquals(0, window.waitNanos(2, 10 * SECOND));
        window.pass(10 * SECOND);
        assertEquals(45 * SECOND, window.waitNanos(2, 15 * SECOND));
        assertEquals(0, window.waitNanos(2, 60 * SECOND));
        window.pass(60 * SECOND);
        assertEquals(10 * SECOND, window.waitNanos(2, 60 * SECOND));
    }

    @Test
    void aNewLimitCountsWhatWentThroughBefore() {
        for (int i = 0; i < 3; i++) {
            assertEquals(0, window.waitNanos(3, i * SECOND));
            window.pass(i * SECOND);
        }
        assertEquals(0, window.waitNanos(4, 3 * SECOND));
        assertEquals(59 * SECOND, window.waitNanos(2, 2 * SECOND)); // the latest two
    }

    @Test
    void noMinuteHasMoreThanTheLimitWhateverTheTimes() {
        long seed = Long.getLong("seed", new Random().nextLong());
        System.out.println("seed=" + seed);
        Random random = new Random(seed);
        Deque<Long> passed = new ArrayDeque<>();
        long now = -5 * SECOND; // nanoTime may be anything
        for (int i = 0; i < 5000; i++) {
            now += random.nextLong(2 * SECOND);
            long wait = window.waitNanos(20, now);
            while (!passed.isEmpty() && passed.getFirst() + 60 * SECOND <= now) {
                passed.removeFirst();
            }
            assertEquals(passed.size() < 20, wait == 0, "at " + now);
            if (wait == 0) {
                window.pass(now);
                passed.add(now);
            } else {
                assertEquals(passed.getFirst() + 60 * SECOND - now, wait);
            }
        }
        assertTrue(passed.size() > 10, "too few to be a test: " + passed.size());
    }
}
