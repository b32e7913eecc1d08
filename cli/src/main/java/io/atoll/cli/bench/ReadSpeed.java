package io.atoll.cli.bench;

import io.atoll.kernels.ComputePool;
import io.atoll.kernels.Kernels;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.concurrent.atomic.AtomicLong;

/// What the memory gives to plain reading: the sum of many bytes by some threads.
final class ReadSpeed {
    /// Bytes that no cache holds.
    static final long ENOUGH_BYTES = 1L << 30;

    private static final int CHUNKS_PER_THREAD = 8;
    private static final int PASSES = 5;

    /// What the sums went into, so that no compiler can leave them out.
    private static final AtomicLong SINK = new AtomicLong();

    private ReadSpeed() {}

    /// The median of some passes, in bytes a second.
    ///
    /// @param bytes to read in each pass; taken from the system while this runs
    static double measure(Kernels kernels, int threads, long bytes) {
        int chunks = threads * CHUNKS_PER_THREAD;
        long chunkBytes = bytes / chunks / Long.BYTES * Long.BYTES;
        try (Arena arena = Arena.ofShared();
                ComputePool pool = new ComputePool(threads)) {
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
