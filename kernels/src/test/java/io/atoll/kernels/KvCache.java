package io.atoll.kernels;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;
import static java.lang.foreign.ValueLayout.JAVA_SHORT;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Random;

/// The KV blocks of one sequence and layer, scattered in their pool.
record KvCache(KvLayout layout, MemorySegment pool, MemorySegment offsets) {
    static KvCache random(Arena arena, Random random, int length, KvLayout layout) {
        int blocks = (length + layout.blockTokens() - 1) / layout.blockTokens();
        long elements = (blocks + 1) * layout.blockBytes() / layout.format().elementBytes();
        MemorySegment floats = TestMemory.uniform(arena, random, elements);
        MemorySegment offsets = arena.allocate(8L * blocks, 8);
        for (int i = 0; i < blocks; i++) { // from the pool's end, so that order shows
            offsets.setAtIndex(JAVA_LONG, i, (blocks - i) * layout.blockBytes());
        }
        if (layout.format() == KvFormat.F32) {
            return new KvCache(layout, floats, offsets);
        }
        MemorySegment halves = arena.allocate(2 * elements, 64);
        for (long i = 0; i < elements; i++) {
            int bits = Float.floatToRawIntBits(floats.getAtIndex(JAVA_FLOAT, i));
            halves.setAtIndex(JAVA_SHORT, i, (short) (bits >>> 16));
        }
        return new KvCache(layout, halves, offsets);
    }

    /// An element of a row; values are heads from `kvHeads` on.
    float element(int position, int head, int i) {
        long at =
                layout.offset(offsets, position, head) + (long) i * layout.format().elementBytes();
        return layout.format() == KvFormat.F32
                ? pool.get(JAVA_FLOAT, at)
                : Float.intBitsToFloat(pool.get(JAVA_SHORT, at) << 16);
    }
}
