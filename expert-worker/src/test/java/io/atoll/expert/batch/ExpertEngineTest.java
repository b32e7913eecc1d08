package io.atoll.expert.batch;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;
import static java.lang.foreign.ValueLayout.JAVA_SHORT_UNALIGNED;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.atoll.cluster.placement.ExpertShard;
import io.atoll.expert.TestExperts;
import io.atoll.expert.store.ExpertStore;
import io.atoll.expert.store.PackedExpert;
import io.atoll.expert.store.ResidentExperts;
import io.atoll.kernels.ComputePool;
import io.atoll.kernels.KernelLibrary;
import io.atoll.kernels.Kernels;
import io.atoll.kernels.PackedMatrix;
import io.atoll.kernels.Packing;
import io.atoll.kernels.WeightFormat;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.function.IntFunction;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class ExpertEngineTest {
    private static final int HIDDEN = TestExperts.HIDDEN;
    private static final int LAYER = 1;
    private static final int BITS = 20;
    private static final int ROWS = 300; // 300 rows of 3 routes are past the work done inline
    private static final int K = 3;

    private final Kernels kernels = KernelLibrary.select(Optional.empty());
    private final Arena arena = Arena.ofAuto();
    private final float[] x = TestExperts.uniform(new Random(1), ROWS * HIDDEN, 1);
    private final int[] ids = new int[ROWS * K];
    private final float[] weights = TestExperts.uniform(new Random(2), ROWS * K, 1);

    ExpertEngineTest() {
        Random random = new Random(3);
        for (int row = 0; row < ROWS; row++) {
            int first = random.nextInt(TestExperts.EXPERTS);
            for (int i = 0; i < K; i++) {
                ids[row * K + i] = (first + i * 3) % TestExperts.EXPERTS;
            }
        }
    }

    @ParameterizedTest
    @EnumSource(
            value = WeightFormat.class,
            names = {"F32", "Q8"})
    void sumsAgreeWithAPlainComputation(WeightFormat format) {
        long[] sums = sums(TestExperts.all(), format, 1, 64 << 20, ROWS);
        double tolerance = format == WeightFormat.F32 ? 1e-4 : 0.05;
        for (int row = 0; row < ROWS; row += 37) {
            double[] expected = new double[HIDDEN];
            float[] one = Arrays.copyOfRange(x, row * HIDDEN, (row + 1) * HIDDEN);
            for (int i = row * K; i < row * K + K; i++) {
                TestExperts.addExpert(LAYER, ids[i], one, weights[i], expected);
            }
            for (int c = 0; c < HIDDEN; c++) {
                double sum = Math.scalb((double) sums[row * HIDDEN + c], -BITS);
                assertEquals(expected[c], sum, tolerance, "row " + row + " column " + c);
            }
        }
    }

    @ParameterizedTest
    @EnumSource(
            value = WeightFormat.class,
            names = {"F32", "Q8"})
    void neitherBatchNorThreadsNorPassesChangeABit(WeightFormat format) {
        long[] together = sums(TestExperts.all(), format, 1, 64 << 20, ROWS);
        assertArrayEquals(together, sums(TestExperts.all(), format, 4, 64 << 20, ROWS));
        assertArrayEquals(together, sums(TestExperts.all(), format, 2, 64 << 20, 1));
        assertArrayEquals(together, sums(TestExperts.all(), format, 2, 64 << 20, 7));
        assertArrayEquals(together, sums(TestExperts.all(), format, 2, 1, ROWS), "small passes");
    }

    /// Sums of all rows, added as jobs of `rowsPerJob` rows in one batch.
    private long[] sums(
            ExpertShard shard, WeightFormat format, int threads, long passBytes, int rowsPerJob) {
        MemorySegment sums = arena.allocate(8L * ROWS * HIDDEN, 64);
        sums.fill((byte) -1);
        try (ExpertStore store = TestExperts.store(shard, format);
                ComputePool pool = new ComputePool(threads);
                ExpertEngine engine = new ExpertEngine(store, kernels, pool, BITS, passBytes)) {
            engine.begin(LAYER);
            for (int row = 0; row < ROWS; row += rowsPerJob) {
                int count = Math.min(rowsPerJob, ROWS - row);
                engine.addFloats(
                        count,
                        floats(x).asSlice(4L * row * HIDDEN),
                        K,
                        arena.allocateFrom(JAVA_INT, ids).asSlice(4L * row * K),
                        floats(weights).asSlice(4L * row * K),
                        sums.asSlice(8L * row * HIDDEN));
            }
            engine.run();
        }
        return sums.toArray(JAVA_LONG);
    }

    private MemorySegment floats(float[] values) {
        return arena.allocateFrom(JAVA_FLOAT, values);
    }

    @Test
    void rowsThatComeQuantizedGiveTheSameBits() {
        long[] expected = sums(TestExperts.all(), WeightFormat.Q8, 1, 64 << 20, ROWS);
        MemorySegment q = arena.allocate((long) ROWS * HIDDEN, 64);
        MemorySegment scales = arena.allocate(4L * ROWS * HIDDEN / 32, 64);
        kernels.quantizeRows(floats(x), ROWS, HIDDEN, q, scales);
        MemorySegment offsets = arena.allocate(4L * (ROWS + 1), 64);
        for (int row = 0; row <= ROWS; row++) {
            offsets.setAtIndex(JAVA_INT, row, row * K);
        }
        MemorySegment sums = arena.allocate(8L * ROWS * HIDDEN, 64);
        try (ExpertStore store = TestExperts.store(TestExperts.all(), WeightFormat.Q8);
                ComputePool pool = new ComputePool(2);
                ExpertEngine engine = new ExpertEngine(store, kernels, pool, BITS)) {
            engine.begin(LAYER);
            engine.addQuantized(
                    ROWS,
                    q,
                    scales,
                    offsets,
                    arena.allocateFrom(JAVA_INT, ids),
                    floats(weights),
                    sums);
            engine.run();
        }
        assertArrayEquals(expected, sums.toArray(JAVA_LONG));
    }

    /// Experts 0 and 1 with a batch between them that has both kinds of down projection.
    @Test
    void eachDownProjectionMeetsRowsOfItsOwnKind() {
        IntFunction<WeightFormat> mixed = e -> e == 0 ? WeightFormat.F32 : WeightFormat.Q8;
        long[][] both = sumsOfFirstTwo(mixed);
        long[][] floats = sumsOfFirstTwo(_ -> WeightFormat.F32);
        long[][] bytes = sumsOfFirstTwo(_ -> WeightFormat.Q8);
        assertFalse(Arrays.equals(floats[0], bytes[0]), "the formats do not differ");
        assertArrayEquals(floats[0], both[0]);
        assertArrayEquals(bytes[1], both[1]);
    }

    /// What experts 0 and 1 make of the first row, in one batch.
    private long[][] sumsOfFirstTwo(IntFunction<WeightFormat> down) {
        MemorySegment[] sums = {arena.allocate(8L * HIDDEN, 64), arena.allocate(8L * HIDDEN, 64)};
        try (ExpertStore store =
                        TestExperts.store(
                                TestExperts.all(), WeightFormat.Q8, WeightFormat.Q8, down);
                ComputePool pool = new ComputePool(1);
                ExpertEngine engine = new ExpertEngine(store, kernels, pool, BITS)) {
            engine.begin(LAYER);
            for (int expert = 0; expert < 2; expert++) {
                engine.addFloats(
                        1,
                        floats(Arrays.copyOf(x, HIDDEN)),
                        1,
                        arena.allocateFrom(JAVA_INT, expert),
                        floats(new float[] {1}),
                        sums[expert]);
            }
            engine.run();
        }
        return new long[][] {sums[0].toArray(JAVA_LONG), sums[1].toArray(JAVA_LONG)};
    }

    /// The three matrices one after the other, as the reference does it.
    @Test
    void gateUpAndDownMayHaveThreeFormats() {
        int inner = TestExperts.INTERMEDIATE;
        PackedExpert expert =
                new PackedExpert(
                        randomBlocks(WeightFormat.Q4_0, inner, HIDDEN),
                        randomBlocks(WeightFormat.Q8_0, inner, HIDDEN),
                        randomBlocks(WeightFormat.Q5_1, HIDDEN, inner));
        MemorySegment row = floats(Arrays.copyOf(x, HIDDEN));
        MemorySegment gateUp = arena.allocate(8L * inner, 64);
        multiply(expert.gate(), row, gateUp);
        multiply(expert.up(), row, gateUp.asSlice(4L * inner));
        MemorySegment activated = arena.allocate(4L * inner, 64);
        kernels.swiGlu(gateUp, activated, 1, inner);
        MemorySegment y = arena.allocate(4L * HIDDEN, 64);
        multiply(expert.down(), activated, y);
        MemorySegment expected = arena.allocate(8L * HIDDEN, 64);
        assertTrue(kernels.combineAdd(y, 1, expected, HIDDEN, BITS));

        MemorySegment sums = arena.allocate(8L * HIDDEN, 64);
        ExpertShard one = ExpertShard.all(1, 1);
        try (ExpertStore store =
                        new ResidentExperts(one, HIDDEN, inner, true, (_, _, _) -> expert);
                ComputePool pool = new ComputePool(1);
                ExpertEngine engine = new ExpertEngine(store, kernels, pool, BITS)) {
            engine.begin(0);
            engine.addFloats(
                    1, row, 1, arena.allocateFrom(JAVA_INT, 0), floats(new float[] {1}), sums);
            engine.run();
        }
        assertArrayEquals(expected.toArray(JAVA_LONG), sums.toArray(JAVA_LONG));
    }

    /// Any integers, with scales near 0.01.
    private PackedMatrix randomBlocks(WeightFormat format, int rows, int cols) {
        byte[] blocks = new byte[(int) (rows * Packing.blockRowBytes(format, cols))];
        new Random(4).nextBytes(blocks);
        MemorySegment memory = arena.allocateFrom(JAVA_BYTE, blocks);
        int blockBytes = blocks.length / (rows * cols / WeightFormat.BLOCK);
        int halves = format == WeightFormat.Q5_1 ? 2 : 1; // a scale, and perhaps a minimum
        for (int block = 0; block < blocks.length; block += blockBytes) {
            for (int i = 0; i < halves; i++) {
                short half = Float.floatToFloat16(0.01f + 1e-5f * (block % 97));
                memory.set(JAVA_SHORT_UNALIGNED, block + 2L * i, half);
            }
        }
        return Packing.packBlocks(format, List.of(memory), cols, arena);
    }

    /// `y = W x` for one row that is rounded to int8 first.
    private void multiply(PackedMatrix w, MemorySegment row, MemorySegment y) {
        MemorySegment q = arena.allocate(w.cols(), 64);
        MemorySegment scales = arena.allocate(4L * w.cols() / WeightFormat.BLOCK, 64);
        kernels.quantizeRows(row, 1, w.cols(), q, scales);
        kernels.matMulQuantized(w, q, scales, 1, y, w.rows(), 0, w.groups());
    }

    @Test
    void nonFiniteRowFailsItsOwnJobOnly() {
        try (ExpertStore store = TestExperts.store(TestExperts.all(), WeightFormat.F32);
                ComputePool pool = new ComputePool(1);
                ExpertEngine engine = new ExpertEngine(store, kernels, pool, BITS)) {
            float[] bad = new float[HIDDEN];
            bad[7] = Float.NaN;
            engine.begin(LAYER);
            int good = add(engine, Arrays.copyOf(x, HIDDEN), 2);
            int broken = add(engine, bad, 2);
            engine.run();
            assertTrue(engine.isFinite(good));
            assertFalse(engine.isFinite(broken));
        }
    }

    @Test
    void expertThatIsNotHeldIsRefused() {
        ExpertShard shard = ExpertShard.part(TestExperts.LAYERS, TestExperts.EXPERTS, 0, 2);
        try (ExpertStore store = TestExperts.store(shard, WeightFormat.F32);
                ComputePool pool = new ComputePool(1);
                ExpertEngine engine = new ExpertEngine(store, kernels, pool, BITS)) {
            engine.begin(LAYER);
            assertThrows(
                    IllegalArgumentException.class, () -> add(engine, Arrays.copyOf(x, HIDDEN), 4));
        }
    }

    private int add(ExpertEngine engine, float[] row, int expert) {
        return engine.addFloats(
                1,
                floats(row),
                1,
                arena.allocateFrom(JAVA_INT, expert),
                floats(new float[] {1}),
                arena.allocate(8L * HIDDEN, 64));
    }
}
