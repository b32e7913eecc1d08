package io.atoll.kernels;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicIntegerArray;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

@Timeout(60)
final class ComputePoolTest {
    @ParameterizedTest
    @CsvSource({"1,0", "2,0", "2,20000", "4,0", "5,20000"})
    void everyTaskRunsOnceAndIsDoneOnReturn(int threads, long spinNanos) {
        try (ComputePool pool = new ComputePool(threads, spinNanos)) {
            for (int call = 0; call < 3000; call++) {
                int tasks = call % 9;
                AtomicIntegerArray runs = new AtomicIntegerArray(tasks);
                pool.run(tasks, runs::incrementAndGet);
                for (int i = 0; i < tasks; i++) {
                    assertEquals(1, runs.get(i), "call=" + call + " task=" + i);
                }
            }
        }
    }

    @Test
    void tasksRunOnAllThreadsTogether() {
        try (ComputePool pool = new ComputePool(3)) {
            CountDownLatch allThere = new CountDownLatch(3);
            Set<Thread> seen = ConcurrentHashMap.newKeySet();
            pool.run(
                    3,
                    _ -> {
                        seen.add(Thread.currentThread());
                        allThere.countDown();
                        await(allThere);
                    });
            assertEquals(3, seen.size());
            assertTrue(seen.contains(Thread.currentThread()), "the caller takes part");
        }
    }

    @ParameterizedTest
    @CsvSource({"1", "3"})
    void exceptionReachesTheCallerAfterAllTasksFinished(int threads) {
        try (ComputePool pool = new ComputePool(threads)) {
            AtomicInteger finished = new AtomicInteger();
            IllegalArgumentException thrown =
                    assertThrows(
                            IllegalArgumentException.class,
                            () ->
                                    pool.run(
                                            20,
                                            i -> {
                                                finished.incrementAndGet();
                                                if (i % 5 == 0) {
                                                    throw new IllegalArgumentException("task " + i);
                                                }
                                            }));
            assertEquals(20, finished.get());
            assertEquals(3, thrown.getSuppressed().length);
            pool.run(2, _ -> finished.incrementAndGet()); // the pool still works, and forgot the
            // failure
            assertEquals(22, finished.get());
        }
    }

    @ParameterizedTest
    @CsvSource({"1", "3"})
    void taskThatRunsTasksOnItsPoolIsRefused(int threads) {
        try (ComputePool pool = new ComputePool(threads)) {
            AtomicInteger refused = new AtomicInteger();
            pool.run(
                    8,
                    _ -> {
                        assertThrows(IllegalStateException.class, () -> pool.run(1, _ -> {}));
                        assertThrows(IllegalStateException.class, pool::close);
                        refused.incrementAndGet();
                    });
            assertEquals(8, refused.get());
        }
    }

    @Test
    void callersFromManyThreadsTakeTurns() throws InterruptedException {
        try (ComputePool pool = new ComputePool(2)) {
            AtomicInteger inside = new AtomicInteger();
            AtomicInteger total = new AtomicInteger();
            AtomicReference<Throwable> failure = new AtomicReference<>();
            Thread[] callers = new Thread[4];
            for (int c = 0; c < callers.length; c++) {
                callers[c] =
                        Thread.ofPlatform()
                                .uncaughtExceptionHandler((_, e) -> failure.set(e))
                                .start(
                                        () -> {
                                            for (int call = 0; call < 300; call++) {
                                                pool.run(
                                                        4,
                                                        _ -> {
                                                            assertTrue(
                                                                    inside.incrementAndGet() <= 2,
                                                                    "at most the pool's threads");
                                                            total.incrementAndGet();
                                                            inside.decrementAndGet();
                                                        });
                                            }
                                        });
            }
            for (Thread caller : callers) {
                caller.join();
            }
            assertEquals(null, failure.get());
            assertEquals(4 * 300 * 4, total.get());
        }
    }

    @Test
    void closedPoolRefusesAndItsThreadsAreGone() {
        Set<Thread> seen = ConcurrentHashMap.newKeySet();
        CountDownLatch both = new CountDownLatch(2);
        ComputePool pool = new ComputePool(2);
        pool.run(
                2,
                _ -> {
                    seen.add(Thread.currentThread());
                    both.countDown();
                    await(both);
                });
        pool.close();
        pool.close(); // once more does nothing
        seen.remove(Thread.currentThread());
        seen.forEach(thread -> assertTrue(!thread.isAlive(), thread.getName()));
        assertEquals(1, seen.size());
        assertThrows(IllegalStateException.class, () -> pool.run(1, _ -> {}));
    }

    @Test
    void poolWithoutThreadsIsRefused() {
        assertThrows(IllegalArgumentException.class, () -> new ComputePool(0));
        assertThrows(IllegalArgumentException.class, () -> new ComputePool(1, -1));
    }

    private static void await(CountDownLatch latch) {
        try {
            latch.await();
        } catch (InterruptedException e) {
            throw new IllegalStateException(e);
        }
    }
}
