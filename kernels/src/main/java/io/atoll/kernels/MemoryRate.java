package io.atoll.kernels;

import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.LongAdder;

/// How fast a machine reads memory: what limits a worker that computes with few rows an expert.
public final class MemoryRate {
    /// Past the caches of most machines, and a small part of the memory of one that holds experts.
    private static final long BYTES = 256L << 20;

    private static final long CHUNK = 4L << 20;
    private static final int PASSES = 4;

    private static final Map<Integer, Double> MEASURED = new ConcurrentHashMap<>(); // by threads

    private MemoryRate() {}

    /// Bytes per second that the pool's threads read together, sequentially, the best of a few passes over 256 MiB. Takes about a
    /// second, once in a process for each number of threads. What else runs on the machine shows in it.
    public static double of(ComputePool pool) {
        return MEASURED.computeIfAbsent(pool.threads(), _ -> measure(pool));
    }

    private static double measure(ComputePool pool) {
        LongAdder sums = new LongAdder(); // so that no read can be left out
        double best = 0;
        try (Arena arena = Arena.ofShared()) {
            MemorySegment memory = arena.allocate(BYTES, 64);
            int chunks = (int) (BYTES / CHUNK);
            pool.run(chunks, chunk -> memory.asSlice(chunk * CHUNK, CHUNK).fill((byte) chunk));
            for (int pass = 0; pass < PASSES; pass++) {
                long begin = System.nanoTime();
                pool.run(chunks, chunk -> sums.add(sum(memory, chunk * CHUNK)));
                best = Math.max(best, BYTES * 1e9 / (System.nanoTime() - begin));
            }
        }
        if (sums.sum() == 0) {
            throw new IllegalStateException("memory has not the values that were written to it");
        }
        return best;
    }

    private static long sum(MemorySegment memory, long from) {
        long a = 0;
        long b = 0;
        long c = 0;
        long d = 0;
        for (long at = from; at < from + CHUNK; at += 4 * Long.BYTES) {
            a += memory.get(JAVA_LONG, at);
            b += memory.get(JAVA_LONG, at + Long.BYTES);
            c += memory.get(JAVA_LONG, at + 2 * Long.BYTES);
            d += memory.get(JAVA_LONG, at + 3 * Long.BYTES);
        }
        return a + b + c + d;
    }
}
