package io.atoll.kernels;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicLong;

/// What the memory gives to plain reading: the sum of many bytes by some threads. It limits a worker that computes with few rows an
/// expert; what else runs on the machine shows in it.
public final class ReadSpeed {
    /// Bytes that no cache holds.
    public static final long ENOUGH_BYTES = 1L << 30;

    /// Past the caches of most machines, and a small part of the memory of one that holds experts.
    private static final long QUICK_BYTES = 256L << 20;

    private static final int CHUNKS_PER_THREAD = 8;
    private static final int PASSES = 5;

    /// What the sums went into, so that no compiler can leave them out.
    private static final AtomicLong SINK = new AtomicLong();

    private static final Map<Integer, Double> QUICK = new ConcurrentHashMap<>(); // by threads

    private ReadSpeed() {}

    /// The median of some passes over 256 MiB, in bytes a second: measured once in a process for each number of threads, which takes
    /// about a second.
    public static double quick(Kernels kernels, ComputePool pool) {
        return QUICK.computeIfAbsent(pool.threads(), _ -> measure(kernels, pool, QUICK_BYTES));
    }

    /// The median of some passes, in bytes a second.
    ///
    /// @param bytes to read in each pass; taken from the system while this runs
    public static double measure(Kernels kernels, ComputePool pool, long bytes) {
        int chunks = pool.threads() * CHUNKS_PER_THREAD;
        long chunkBytes = bytes / chunks / Long.BYTES * Long.BYTES;
        try (Arena arena = Arena.ofShared()) {
            MemorySegment memory = arena.allocate(chunkBytes * chunks, 64);
            pool.run(chunks, i -> memory.asSlice(i * chunkBytes, chunkBytes).fill((byte) i));
            double[] rates = new double[PASSES];
            for (int pass = 0; pass < PASSES; pass++) {
                long start = System.nanoTime();
                pool.run(
                        chunks,
                        i ->
                                SINK.addAndGet(
                                        kernels.readSum(
                                                memory.asSlice(i * chunkBytes, chunkBytes))));
                rates[pass] = memory.byteSize() / ((System.nanoTime() - start) / 1e9);
            }
            Arrays.sort(rates);
            return rates[PASSES / 2];
        }
    }
}
