package io.atoll.expert.batch;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/// Native memory that grows to the largest size asked for and is then reused. Owned by one thread.
final class Scratch implements AutoCloseable {
    private static final long ALIGNMENT = 64;

    private Arena arena = Arena.ofShared();
    private MemorySegment memory = MemorySegment.NULL;

    /// At least `bytes` of memory, with whatever was there. Earlier slices may be gone.
    MemorySegment atLeast(long bytes) {
        if (memory.byteSize() < bytes) {
            arena.close();
            arena = Arena.ofShared();
            // Half as much again, so that growing row by row does not allocate each time.
            memory = arena.allocate(bytes + bytes / 2, ALIGNMENT);
        }
        return memory;
    }

    @Override
    public void close() {
        arena.close();
    }
}
