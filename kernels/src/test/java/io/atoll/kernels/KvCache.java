package io.atoll.kernels;

import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Random;

/// The KV blocks of one sequence and layer, scattered in their pool.
record KvCache(
        MemorySegment pool, MemorySegment offsets, int blockTokens, int kvHeads, int headDim) {
    static KvCache random(
            Arena arena, Random random, int length, int blockTokens, int kvHeads, int headDim) {
        int blocks = (length + blockTokens - 1) / blockTokens;
        long blockFloats = 2L * kvHeads * blockTokens * headDim;
        MemorySegment pool = TestMemory.uniform(arena, random, (blocks + 1) * blockFloats);
        MemorySegment offsets = arena.allocate(8L * blocks, 8);
        for (int i = 0; i < blocks; i++) { // from the pool's end, so that order shows
            offsets.setAtIndex(JAVA_LONG, i, (blocks - i) * blockFloats * 4);
        }
        return new KvCache(pool, offsets, blockTokens, kvHeads, headDim);
    }

    /// Index in the pool of the first float of a row; values are heads from `kvHeads` on.
    long row(int position, int head) {
        long block = offsets.getAtIndex(JAVA_LONG, position / blockTokens) / 4;
        return block + ((long) head * blockTokens + position % blockTokens) * headDim;
    }
}
