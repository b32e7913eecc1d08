package io.atoll.kernels;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;
import static java.lang.foreign.ValueLayout.JAVA_SHORT;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.fail;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.Random;
import java.util.function.Consumer;

/// Native memory with random content, and comparison of bits.
final class TestMemory {
    private TestMemory() {}

    /// Runs a test with `count` seeds, or with the one given by `-Dseed`. A failure names its seed.
    static void forAllSeeds(int count, Consumer<Random> test) {
        String replayed = System.getProperty("seed", "");
        if (!replayed.isBlank() && !replayed.startsWith("$")) {
            test.accept(new Random(Long.parseLong(replayed)));
            return;
        }
        for (long seed = 1; seed <= count; seed++) {
            try {
                test.accept(new Random(seed));
            } catch (AssertionError | RuntimeException e) {
                throw new AssertionError("fails with -Dseed=" + seed + ": " + e.getMessage(), e);
            }
        }
    }

    static MemorySegment floats(Arena arena, float... values) {
        MemorySegment segment = zeros(arena, values.length);
        MemorySegment.copy(values, 0, segment, JAVA_FLOAT, 0, values.length);
        return segment;
    }

    /// `count` floats that are zero, aligned to 4 bytes only, as the contract allows.
    static MemorySegment zeros(Arena arena, long count) {
        return arena.allocate(4 * count + 4, 64).asSlice(4, 4 * count);
    }

    /// Mostly ordinary numbers, with zeros of both signs, denormal and large ones among them.
    static MemorySegment uniform(Arena arena, Random random, long count) {
        MemorySegment segment = zeros(arena, count);
        for (long i = 0; i < count; i++) {
            segment.setAtIndex(JAVA_FLOAT, i, number(random));
        }
        return segment;
    }

    private static float number(Random random) {
        float x = random.nextFloat() * 2 - 1;
        return switch (random.nextInt(40)) {
            case 0 -> 0f;
            case 1 -> -0f;
            case 2 -> x * Float.MIN_NORMAL;
            case 3 -> x * 1000;
            default -> x;
        };
    }

    static MemorySegment bytes(Arena arena, Random random, long count) {
        MemorySegment segment = arena.allocate(count, 64);
        for (long i = 0; i < count; i++) {
            int extreme = random.nextInt(8);
            int q = extreme == 0 ? 127 : extreme == 1 ? -127 : random.nextInt(255) - 127;
            segment.set(JAVA_BYTE, i, (byte) q);
        }
        return segment;
    }

    static MemorySegment copy(Arena arena, MemorySegment source) {
        return arena.allocate(source.byteSize(), 64).copyFrom(source);
    }

    static PackedMatrix packed(
            Arena arena, Random random, WeightFormat format, int rows, int cols) {
        if (format == WeightFormat.Q8) {
            MemorySegment quants = bytes(arena, random, (long) rows * cols);
            for (int i = 0; i < 8; i++) { // weights, unlike activations, may be -128
                quants.set(JAVA_BYTE, random.nextLong((long) rows * cols), (byte) -128);
            }
            MemorySegment scales = uniform(arena, random, (long) rows * cols / WeightFormat.BLOCK);
            return Packing.packQuantized(
                    List.of(new QuantizedRows(quants, scales, rows)), cols, arena);
        }
        if (CodedMatrix.formats().contains(format) && format != WeightFormat.MXFP4) {
            return CodedMatrix.random(random, format, rows, cols).pack(arena);
        }
        if (format.takesQuantizedRows()) {
            int blocks = rows * (cols / format.columnMultiple());
            byte[] source = GgmlBlocks.random(random, format, blocks);
            return Packing.packBlocks(format, List.of(MemorySegment.ofArray(source)), cols, arena);
        }
        MemorySegment weights = uniform(arena, random, (long) rows * cols);
        if (format == WeightFormat.F32) {
            return Packing.pack(
                    format, List.of(new RowSource(weights, SourceType.F32, rows)), cols, arena);
        }
        MemorySegment halves = arena.allocate(2L * rows * cols, 2);
        if (format == WeightFormat.F16) {
            for (long i = 0; i < (long) rows * cols; i++) {
                short bits = Float.floatToFloat16(weights.getAtIndex(JAVA_FLOAT, i));
                halves.setAtIndex(JAVA_SHORT, i, bits);
            }
            return Packing.pack(
                    format, List.of(new RowSource(halves, SourceType.F16, rows)), cols, arena);
        }
        for (long i = 0; i < (long) rows * cols; i++) {
            halves.set(JAVA_BYTE, 2 * i, weights.get(JAVA_BYTE, 4 * i + 2));
            halves.set(JAVA_BYTE, 2 * i + 1, weights.get(JAVA_BYTE, 4 * i + 3));
        }
        return Packing.pack(
                format, List.of(new RowSource(halves, SourceType.BF16, rows)), cols, arena);
    }

    /// Equal bits, except that all NaNs are one.
    static void assertSameFloats(MemorySegment expected, MemorySegment actual, String what) {
        assertEquals(expected.byteSize(), actual.byteSize());
        for (long i = 0; i < expected.byteSize() / 4; i++) {
            float e = expected.getAtIndex(JAVA_FLOAT, i);
            float a = actual.getAtIndex(JAVA_FLOAT, i);
            if (Float.floatToIntBits(e) != Float.floatToIntBits(a)) {
                fail(
                        what
                                + ": float "
                                + i
                                + " is "
                                + Float.toHexString(a)
                                + ", expected "
                                + Float.toHexString(e));
            }
        }
    }

    static void assertSameBytes(MemorySegment expected, MemorySegment actual, String what) {
        assertEquals(-1, expected.mismatch(actual), () -> what + ": first different byte");
    }

    static float[] toArray(MemorySegment segment) {
        return segment.toArray(JAVA_FLOAT);
    }

    static int[] ints(MemorySegment segment) {
        return segment.toArray(JAVA_INT);
    }

    static long[] longs(MemorySegment segment) {
        return segment.toArray(JAVA_LONG);
    }
}
