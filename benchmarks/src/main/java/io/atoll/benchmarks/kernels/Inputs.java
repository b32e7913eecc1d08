package io.atoll.benchmarks.kernels;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;

import io.atoll.kernels.KernelLibrary;
import io.atoll.kernels.Kernels;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SegmentAllocator;
import java.util.Optional;
import java.util.Random;

/// Memory for the benchmarks, always with the same random content.
final class Inputs {
    private Inputs() {}

    static Kernels kernels(String label) {
        return KernelLibrary.select(Optional.of(label));
    }

    static MemorySegment random(SegmentAllocator allocator, long floats) {
        Random random = new Random(1);
        MemorySegment segment = zeros(allocator, floats);
        for (long i = 0; i < floats; i++) {
            segment.setAtIndex(JAVA_FLOAT, i, random.nextFloat() - 0.5f);
        }
        return segment;
    }

    static MemorySegment zeros(SegmentAllocator allocator, long floats) {
        return allocator.allocate(4 * floats, 64);
    }

    /// First and second number of a size such as `1024x4096`.
    static int[] size(String text) {
        String[] parts = text.split("x", 2);
        return new int[] {Integer.parseInt(parts[0]), Integer.parseInt(parts[1])};
    }
}
