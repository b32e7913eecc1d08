package io.atoll.kernels;

import static io.atoll.kernels.TestMemory.assertSameBytes;
import static io.atoll.kernels.TestMemory.assertSameFloats;
import static io.atoll.kernels.TestMemory.forAllSeeds;
import static io.atoll.kernels.TestMemory.uniform;
import static io.atoll.kernels.TestMemory.zeros;

import io.atoll.kernels.scalar.ScalarKernels;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/// Attention of every kernel family against the scalar one, and of many rows against one: equal to the bit.
class AttentionParityTest {
    private static final Kernels SCALAR = new ScalarKernels();
    private static final float SCALE = 0.125f;

    static List<Kernels> all() {
        return KernelLibrary.available().stream()
                .map(kernelClass -> KernelLibrary.select(Optional.of(kernelClass.label())))
                .toList();
    }

    static List<Kernels> fast() {
        return all().stream().filter(k -> k.kernelClass() != KernelClass.SCALAR).toList();
    }

    /// One sequence, and the queries of its last rows.
    ///
    /// @param length positions that the first of the rows sees
    private record Case(KvCache cache, MemorySegment q, int rows, int length, int heads) {
        static Case random(Arena arena, Random random, int[] lengths, int[] dims) {
            int[] blocks = {1, 16, 32, 64, 256};
            int length = lengths[random.nextInt(lengths.length)];
            int kvHeads = 1 + random.nextInt(2);
            KvFormat format = random.nextBoolean() ? KvFormat.F32 : KvFormat.BF16;
            KvLayout layout =
                    new KvLayout(
                            format,
                            kvHeads,
                            blocks[random.nextInt(blocks.length)],
                            dims[random.nextInt(dims.length)]);
            int heads = kvHeads * (1 + random.nextInt(9));
            int rows = random.nextInt(3) == 0 ? 1 : 1 + random.nextInt(20);
            KvCache cache = KvCache.random(arena, random, length + rows - 1, layout);
            long queries = (long) rows * heads * layout.headDim();
            return new Case(cache, uniform(arena, random, queries), rows, length, heads);
        }

        KvLayout layout() {
            return cache.layout();
        }

        long rowFloats() {
            return (long) heads * layout().headDim();
        }

        MemorySegment scratch(Arena arena) {
            return zeros(arena, Kernels.attentionScratch(layout().headDim()));
        }

        /// Rows `first` to `first + count - 1`, all heads.
        void attend(Kernels kernels, Arena arena, MemorySegment out, int first, int count) {
            attend(kernels, arena, out, first, count, 0, heads);
        }

        void attend(
                Kernels kernels,
                Arena arena,
                MemorySegment out,
                int first,
                int count,
                int headBegin,
                int headEnd) {
            kernels.attention(
                    q.asSlice(4 * first * rowFloats()),
                    count,
                    layout(),
                    cache.pool(),
                    cache.offsets(),
                    length + first,
                    heads,
                    SCALE,
                    out.asSlice(4 * first * rowFloats()),
                    scratch(arena),
                    headBegin,
                    headEnd);
        }

        @Override
        public String toString() {
            return layout() + " rows=" + rows + " length=" + length + " heads=" + heads;
        }
    }

    private static void cases(int seeds, int[] lengths, int[] dims, Check check) {
        forAllSeeds(
                seeds,
                random -> {
                    try (Arena arena = Arena.ofShared()) {
                        check.run(Case.random(arena, random, lengths, dims), arena, random);
                    }
                });
    }

    private interface Check {
        void run(Case c, Arena arena, Random random);
    }

    @ParameterizedTest
    @MethodSource("fast")
    void attentionIsTheScalarOne(Kernels fast) {
        int[] lengths = {1, 2, 15, 16, 17, 63, 100, 240, 255, 256, 257, 300, 511, 512, 513, 700};
        cases(
                30,
                lengths,
                new int[] {8, 16, 24, 64, 80, 256},
                (c, arena, random) -> {
                    int begin = random.nextInt(c.heads());
                    int end = begin + 1 + random.nextInt(c.heads() - begin);
                    MemorySegment expected = uniform(arena, random, c.rows() * c.rowFloats());
                    MemorySegment actual = TestMemory.copy(arena, expected);
                    c.attend(SCALAR, arena, expected, 0, c.rows(), begin, end);
                    c.attend(fast, arena, actual, 0, c.rows(), begin, end);
                    assertSameFloats(expected, actual, c + " heads " + begin + ".." + end);
                });
    }

    @ParameterizedTest
    @MethodSource("fast")
    void attentionOverSpansIsTheScalarOne(Kernels fast) {
        cases(
                6,
                new int[] {1020, 1024, 1025, 2048, 2300, 3080},
                new int[] {16, 24},
                (c, arena, _) -> {
                    MemorySegment expected = zeros(arena, c.rows() * c.rowFloats());
                    MemorySegment actual = zeros(arena, c.rows() * c.rowFloats());
                    c.attend(SCALAR, arena, expected, 0, c.rows());
                    c.attend(fast, arena, actual, 0, c.rows());
                    assertSameFloats(expected, actual, c.toString());
                });
    }

    /// Rows that cross from segment to segment and from span to span on the way.
    @ParameterizedTest
    @MethodSource("all")
    void rowsDoNotDependOnTheRowsBesideThem(Kernels kernels) {
        int[] lengths = {1, 30, 250, 256, 505, 1010, 1024, 2040};
        cases(
                12,
                lengths,
                new int[] {16, 40},
                (c, arena, random) -> {
                    MemorySegment together = zeros(arena, c.rows() * c.rowFloats());
                    MemorySegment single = zeros(arena, c.rows() * c.rowFloats());
                    MemorySegment cut = zeros(arena, c.rows() * c.rowFloats());
                    c.attend(kernels, arena, together, 0, c.rows());
                    for (int row = 0; row < c.rows(); row++) {
                        c.attend(kernels, arena, single, row, 1);
                    }
                    int middle = random.nextInt(c.rows() + 1);
                    c.attend(kernels, arena, cut, 0, middle);
                    c.attend(kernels, arena, cut, middle, c.rows() - middle);
                    assertSameFloats(together, single, c + " row by row");
                    assertSameFloats(together, cut, c + " cut at " + middle);
                });
    }

    @ParameterizedTest
    @MethodSource("all")
    void mergedSpansAreTheWhole(Kernels kernels) {
        cases(
                8,
                new int[] {1, 300, 1024, 1025, 2100, 4096},
                new int[] {16, 40},
                (c, arena, random) -> {
                    int headDim = c.layout().headDim();
                    MemorySegment whole = zeros(arena, c.rows() * c.rowFloats());
                    c.attend(kernels, arena, whole, 0, 1);
                    int spans = Math.ceilDiv(c.length(), Kernels.ATTENTION_SPAN);
                    long partFloats = Kernels.attentionPart(c.heads(), headDim);
                    MemorySegment parts = uniform(arena, random, spans * partFloats);
                    for (int span = spans - 1; span >= 0; span--) {
                        int cut = random.nextInt(c.heads() + 1);
                        MemorySegment part = parts.asSlice(4 * span * partFloats, 4 * partFloats);
                        attendSpan(kernels, arena, c, span, part, 0, cut);
                        attendSpan(kernels, arena, c, span, part, cut, c.heads());
                    }
                    MemorySegment merged = zeros(arena, c.rows() * c.rowFloats());
                    for (int head = 0; head < c.heads(); head++) {
                        kernels.mergeSpans(
                                parts, spans, c.heads(), headDim, merged, head, head + 1);
                    }
                    assertSameFloats(whole, merged, c.toString());
                });
    }

    private static void attendSpan(
            Kernels kernels,
            Arena arena,
            Case c,
            int span,
            MemorySegment part,
            int headBegin,
            int headEnd) {
        kernels.attentionSpan(
                c.q(),
                c.layout(),
                c.cache().pool(),
                c.cache().offsets(),
                c.length(),
                span,
                c.heads(),
                SCALE,
                part,
                c.scratch(arena),
                headBegin,
                headEnd);
    }

    @ParameterizedTest
    @MethodSource("all")
    void headsDoNotDependOnTheThreadsTheyAreSplitOver(Kernels kernels) {
        cases(
                4,
                new int[] {300, 1100},
                new int[] {32},
                (c, arena, _) -> {
                    MemorySegment together = zeros(arena, c.rows() * c.rowFloats());
                    MemorySegment split = zeros(arena, c.rows() * c.rowFloats());
                    c.attend(kernels, arena, together, 0, c.rows());
                    try (ComputePool pool = new ComputePool(3)) {
                        pool.run(
                                c.heads(),
                                h -> c.attend(kernels, arena, split, 0, c.rows(), h, h + 1));
                    }
                    assertSameFloats(together, split, c.toString());
                });
    }

    @ParameterizedTest
    @MethodSource("fast")
    void bf16IsTheScalarOne(Kernels fast) {
        forAllSeeds(
                10,
                random -> {
                    try (Arena arena = Arena.ofConfined()) {
                        int n = 1 + random.nextInt(100);
                        MemorySegment x = arena.allocate(4L * n, 4);
                        for (int i = 0; i < n; i++) {
                            x.setAtIndex(ValueLayout.JAVA_INT, i, random.nextInt());
                        }
                        MemorySegment expected = arena.allocate(2L * n, 2);
                        MemorySegment actual = arena.allocate(2L * n, 2);
                        SCALAR.toBf16(x, expected, n);
                        fast.toBf16(x, actual, n);
                        assertSameBytes(expected, actual, "n=" + n);
                    }
                });
    }
}
