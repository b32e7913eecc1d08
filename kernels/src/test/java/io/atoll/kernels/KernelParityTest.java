package io.atoll.kernels;

import static io.atoll.kernels.TestMemory.assertSameBytes;
import static io.atoll.kernels.TestMemory.assertSameFloats;
import static io.atoll.kernels.TestMemory.bytes;
import static io.atoll.kernels.TestMemory.copy;
import static io.atoll.kernels.TestMemory.forAllSeeds;
import static io.atoll.kernels.TestMemory.packed;
import static io.atoll.kernels.TestMemory.uniform;
import static io.atoll.kernels.TestMemory.zeros;
import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.atoll.kernels.nativecode.NativeKernels;
import io.atoll.kernels.scalar.ScalarKernels;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.function.BiConsumer;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/// Every family gives the scalar twin's bits, whatever the shape.
final class KernelParityTest {
    private static final Kernels SCALAR = new ScalarKernels();
    private static final int[] LENGTHS = {
        1, 3, 7, 8, 15, 16, 17, 31, 32, 33, 63, 64, 80, 100, 128, 256, 257
    };

    static List<Kernels> fast() {
        return KernelLibrary.available().stream()
                .filter(kernelClass -> kernelClass != KernelClass.SCALAR)
                .map(kernelClass -> KernelLibrary.select(Optional.of(kernelClass.label())))
                .toList();
    }

    /// Also those of a processor without the byte dot products of this one.
    static List<Kernels> fastProducts() {
        return Stream.concat(
                        fast().stream(),
                        Stream.of(KernelClass.C_AVX2, KernelClass.C_AVX512)
                                .flatMap(c -> NativeKernels.withoutExtension(c).stream()))
                .toList();
    }

    /// Runs the operation by both families on equal copies of `memory` and compares what they leave there.
    private static void same(
            Kernels fast,
            MemorySegment memory,
            String what,
            BiConsumer<Kernels, MemorySegment> operation) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment expected = copy(arena, memory);
            MemorySegment actual = copy(arena, memory);
            operation.accept(SCALAR, expected);
            operation.accept(fast, actual);
            assertSameFloats(expected, actual, what);
        }
    }

    private static void cases(int seeds, BiConsumer<Arena, Random> test) {
        forAllSeeds(
                seeds,
                random -> {
                    try (Arena arena = Arena.ofConfined()) {
                        test.accept(arena, random);
                    }
                });
    }

    private static int length(Random random) {
        return LENGTHS[random.nextInt(LENGTHS.length)];
    }

    @ParameterizedTest
    @MethodSource("fast")
    void floatProductsAreTheScalarOnes(Kernels fast) {
        cases(
                120,
                (arena, random) -> {
                    List<WeightFormat> formats =
                            List.of(
                                    WeightFormat.F32,
                                    WeightFormat.BF16,
                                    WeightFormat.F16,
                                    WeightFormat.F8_E4M3);
                    WeightFormat format = formats.get(random.nextInt(formats.size()));
                    int outputs = 1 + random.nextInt(200);
                    int cols =
                            random.nextInt(10) == 0 ? 1000 + random.nextInt(1200) : length(random);
                    int rows = random.nextInt(3) == 0 ? 1 : 1 + random.nextInt(20);
                    PackedMatrix w = packed(arena, random, format, outputs, cols);
                    MemorySegment x = uniform(arena, random, (long) rows * cols);
                    int begin = random.nextInt(w.groups());
                    int end = begin + 1 + random.nextInt(w.groups() - begin);
                    int stride = outputs + random.nextInt(5);
                    String what =
                            format
                                    + " "
                                    + outputs
                                    + "x"
                                    + cols
                                    + " rows="
                                    + rows
                                    + " groups="
                                    + begin
                                    + ".."
                                    + end;
                    MemorySegment y = uniform(arena, random, (long) rows * stride + 3);
                    same(fast, y, what, (k, out) -> k.matMul(w, x, rows, out, stride, begin, end));
                });
    }

    @ParameterizedTest
    @MethodSource("fastProducts")
    void byteProductsAreTheScalarOnes(Kernels fast) {
        for (WeightFormat format : WeightFormat.values()) {
            if (format.takesQuantizedRows()) {
                cases(30, (arena, random) -> byteProduct(fast, format, arena, random));
            }
        }
    }

    private static void byteProduct(Kernels fast, WeightFormat format, Arena arena, Random random) {
        boolean wide = format.columnMultiple() > 32;
        int outputs = 1 + random.nextInt(wide ? 100 : 200);
        int cols = format.columnMultiple() * (1 + random.nextInt(wide ? 3 : 12));
        byteProduct(fast, format, arena, random, outputs, cols, 1 + random.nextInt(12));
    }

    private static void byteProduct(
            Kernels fast,
            WeightFormat format,
            Arena arena,
            Random random,
            int outputs,
            int cols,
            int rows) {
        PackedMatrix w = packed(arena, random, format, outputs, cols);
        MemorySegment q = bytes(arena, random, (long) rows * cols);
        MemorySegment scales = uniform(arena, random, (long) rows * cols / 32);
        int begin = random.nextInt(w.groups());
        int end = begin + 1 + random.nextInt(w.groups() - begin);
        int stride = outputs + random.nextInt(5);
        String what =
                format
                        + " "
                        + outputs
                        + "x"
                        + cols
                        + " rows="
                        + rows
                        + " groups="
                        + begin
                        + ".."
                        + end;
        MemorySegment y = uniform(arena, random, (long) rows * stride + 3);
        same(
                fast,
                y,
                what,
                (k, out) -> k.matMulQuantized(w, q, scales, rows, out, stride, begin, end));
    }

    /// More rows, and longer ones, than the C kernels make ready at a time.
    @ParameterizedTest
    @MethodSource("fastProducts")
    void byteProductsInPartsAreTheScalarOnes(Kernels fast) {
        for (WeightFormat format : List.of(WeightFormat.Q8, WeightFormat.Q4_K, WeightFormat.Q6_K)) {
            cases(
                    1,
                    (arena, random) -> {
                        byteProduct(fast, format, arena, random, 33, 1280, 70);
                        byteProduct(fast, format, arena, random, 17, 65_536 + 512, 1);
                    });
        }
    }

    /// Random bytes as a whole matrix: every code, scales and minima of every kind, infinities and NaNs among them.
    @ParameterizedTest
    @MethodSource("fastProducts")
    void productsOfAnyBytesAreTheScalarOnes(Kernels fast) {
        for (WeightFormat format : WeightFormat.values()) {
            if (format.takesQuantizedRows()) {
                cases(
                        4,
                        (arena, random) -> {
                            int cols = 256;
                            MemorySegment data = arena.allocate(2 * format.groupBytes(cols), 64);
                            for (long i = 0; i < data.byteSize(); i++) {
                                data.set(JAVA_BYTE, i, (byte) random.nextInt());
                            }
                            PackedMatrix w = new PackedMatrix(data, format, 32, cols);
                            MemorySegment q = bytes(arena, random, 2L * cols);
                            MemorySegment scales = uniform(arena, random, 2L * cols / 32);
                            same(
                                    fast,
                                    zeros(arena, 64),
                                    format.name(),
                                    (k, y) -> k.matMulQuantized(w, q, scales, 2, y, 32, 0, 2));
                        });
            }
        }
    }

    @ParameterizedTest
    @MethodSource("fastProducts")
    void byteProductsOfExtremesAreExact(Kernels fast) {
        try (Arena arena = Arena.ofConfined()) {
            for (byte weight : new byte[] {-128, -127, 0, 127}) {
                for (byte value : new byte[] {-127, 0, 127}) {
                    MemorySegment quants = arena.allocate(16 * 64).fill(weight);
                    MemorySegment ones = uniform(arena, new Random(1), 32);
                    QuantizedRows source = new QuantizedRows(quants, ones, 16);
                    PackedMatrix w = Packing.packQuantized(List.of(source), 64, arena);
                    MemorySegment q = arena.allocate(64).fill(value);
                    MemorySegment scales = TestMemory.floats(arena, 1f, 1f);
                    same(
                            fast,
                            zeros(arena, 16),
                            weight + " * " + value,
                            (k, y) -> k.matMulQuantized(w, q, scales, 1, y, 16, 0, 1));
                }
            }
        }
    }

    @ParameterizedTest
    @MethodSource("fast")
    void rowsQuantizeLikeScalar(Kernels fast) {
        cases(
                60,
                (arena, random) -> {
                    int cols = 32 * (1 + random.nextInt(5));
                    int rows = 1 + random.nextInt(4);
                    MemorySegment x = uniform(arena, random, (long) rows * cols);
                    float[] odd = {
                        Float.NaN,
                        Float.POSITIVE_INFINITY,
                        Float.MAX_VALUE,
                        1e-38f,
                        Float.MIN_VALUE,
                        127f,
                        0.5f
                    };
                    x.setAtIndex(JAVA_FLOAT, random.nextInt(cols), odd[random.nextInt(odd.length)]);
                    if (random.nextInt(4) == 0) {
                        x.asSlice(0, 128).fill((byte) 0);
                    }
                    if (random.nextInt(4) == 0) { // ties
                        for (int i = 0; i < 32; i++) {
                            x.setAtIndex(JAVA_FLOAT, i, i == 0 ? 127f : i - 15.5f);
                        }
                    }
                    long n = (long) rows * cols;
                    MemorySegment expectedQ = arena.allocate(n);
                    MemorySegment actualQ = arena.allocate(n);
                    same(
                            fast,
                            zeros(arena, n / 32),
                            "scales",
                            (k, scales) ->
                                    k.quantizeRows(
                                            x,
                                            rows,
                                            cols,
                                            k.equals(SCALAR) ? expectedQ : actualQ,
                                            scales));
                    assertSameBytes(expectedQ, actualQ, "bytes");
                });
    }

    @ParameterizedTest
    @MethodSource("fast")
    void normsAreTheScalarOnes(Kernels fast) {
        cases(
                80,
                (arena, random) -> {
                    int n = length(random);
                    int rows = 1 + random.nextInt(5);
                    int gap = random.nextInt(4);
                    MemorySegment x = uniform(arena, random, (long) rows * (n + gap));
                    MemorySegment w = uniform(arena, random, n);
                    String what = "n=" + n + " rows=" + rows;
                    same(
                            fast,
                            zeros(arena, (long) rows * (n + 2)),
                            what,
                            (k, y) -> k.rmsNorm(x, n + gap, w, 1e-6f, y, n + 2, rows, n));
                    same(
                            fast,
                            x,
                            what,
                            (k, y) -> k.rmsNorm(y, n + gap, w, 1e-6f, y, n + gap, rows, n));
                    int count = 1 + random.nextInt(3);
                    int stride = count * n + gap;
                    MemorySegment gate = uniform(arena, random, (long) rows * stride);
                    MemorySegment heads = uniform(arena, random, (long) rows * stride);
                    same(
                            fast,
                            heads,
                            what,
                            (k, y) ->
                                    k.gatedRmsNorm(
                                            y, gate, stride, w, 1e-6f, y, stride, rows, count, n));
                    same(
                            fast,
                            zeros(arena, (long) rows * (stride + 3)),
                            what,
                            (k, y) ->
                                    k.gatedRmsNorm(
                                            heads,
                                            gate,
                                            stride,
                                            w,
                                            1e-6f,
                                            y,
                                            stride + 3,
                                            rows,
                                            count,
                                            n));
                    MemorySegment vectors = uniform(arena, random, (long) rows * (count * n + gap));
                    same(
                            fast,
                            vectors,
                            what,
                            (k, y) -> k.l2Norm(y, count * n + gap, rows, count, n, 0.0883f));
                });
    }

    @ParameterizedTest
    @MethodSource("fast")
    void rotationIsTheScalarOne(Kernels fast) {
        cases(
                40,
                (arena, random) -> {
                    int rotaryDim = 2 * length(random);
                    int heads = 1 + random.nextInt(4);
                    int stride = rotaryDim + random.nextInt(20);
                    MemorySegment cos = uniform(arena, random, rotaryDim / 2);
                    MemorySegment sin = uniform(arena, random, rotaryDim / 2);
                    MemorySegment x = uniform(arena, random, (long) heads * stride);
                    same(
                            fast,
                            x,
                            "rotaryDim=" + rotaryDim,
                            (k, y) -> k.rotary(y, heads, stride, rotaryDim, cos, sin));
                });
    }

    @ParameterizedTest
    @MethodSource("fast")
    void convolutionIsTheScalarOne(Kernels fast) {
        cases(
                60,
                (arena, random) -> {
                    int channels = length(random);
                    int width = 1 + random.nextInt(5);
                    int rows = 1 + random.nextInt(6);
                    int begin = random.nextInt(channels);
                    int end = begin + 1 + random.nextInt(channels - begin);
                    MemorySegment u = uniform(arena, random, (long) rows * channels);
                    MemorySegment w = uniform(arena, random, (long) channels * width);
                    long outputs = (long) rows * channels;
                    MemorySegment memory =
                            uniform(arena, random, outputs + (width - 1L) * channels);
                    same(
                            fast,
                            memory,
                            "channels="
                                    + channels
                                    + " width="
                                    + width
                                    + " rows="
                                    + rows
                                    + " range="
                                    + begin
                                    + ".."
                                    + end,
                            (k, m) ->
                                    k.causalConv(
                                            u,
                                            w,
                                            m.asSlice(4 * outputs),
                                            m.asSlice(0, 4 * outputs),
                                            rows,
                                            channels,
                                            width,
                                            begin,
                                            end));
                });
    }

    @ParameterizedTest
    @MethodSource("fast")
    void gatesOfTheDeltaRuleAreTheScalarOnes(Kernels fast) {
        cases(
                40,
                (arena, random) -> {
                    int heads = length(random);
                    int rows = 1 + random.nextInt(4);
                    long n = (long) rows * heads;
                    MemorySegment a = uniform(arena, random, n);
                    MemorySegment b = uniform(arena, random, n);
                    MemorySegment aLog = uniform(arena, random, heads);
                    MemorySegment bias = uniform(arena, random, heads);
                    a.setAtIndex(JAVA_FLOAT, random.nextLong(n), random.nextInt(60) - 30);
                    same(
                            fast,
                            zeros(arena, 2 * n),
                            "heads=" + heads,
                            (k, m) ->
                                    k.deltaGates(
                                            a,
                                            b,
                                            aLog,
                                            bias,
                                            m.asSlice(0, 4 * n),
                                            m.asSlice(4 * n),
                                            rows,
                                            heads));
                });
    }

    @ParameterizedTest
    @MethodSource("fast")
    void deltaRuleIsTheScalarOne(Kernels fast) {
        int[] dims = {1, 5, 16, 24, 32, 64, 80, 128};
        cases(
                60,
                (arena, random) -> {
                    int keyHeads = 1 + random.nextInt(2);
                    int valueHeads = keyHeads * (1 + random.nextInt(4));
                    int keyDim = dims[random.nextInt(dims.length)];
                    int valueDim = dims[random.nextInt(dims.length)];
                    int rows = 1 + random.nextInt(4);
                    int begin = random.nextInt(valueHeads);
                    int end = begin + 1 + random.nextInt(valueHeads - begin);
                    MemorySegment qkv =
                            uniform(
                                    arena,
                                    random,
                                    (long) rows * (2 * keyHeads * keyDim + valueHeads * valueDim));
                    MemorySegment decay = uniform(arena, random, (long) rows * valueHeads);
                    MemorySegment beta = uniform(arena, random, (long) rows * valueHeads);
                    long state = (long) valueHeads * keyDim * valueDim;
                    MemorySegment memory =
                            uniform(arena, random, state + (long) rows * valueHeads * valueDim);
                    same(
                            fast,
                            memory,
                            "keyDim=" + keyDim + " valueDim=" + valueDim + " rows=" + rows,
                            (k, m) ->
                                    k.gatedDeltaRule(
                                            qkv,
                                            decay,
                                            beta,
                                            m.asSlice(0, 4 * state),
                                            m.asSlice(4 * state),
                                            rows,
                                            keyHeads,
                                            valueHeads,
                                            keyDim,
                                            valueDim,
                                            begin,
                                            end));
                });
    }

    @ParameterizedTest
    @MethodSource("fast")
    void activationsAreTheScalarOnes(Kernels fast) {
        cases(
                60,
                (arena, random) -> {
                    int n = length(random);
                    int rows = 1 + random.nextInt(4);
                    String what = "n=" + n + " rows=" + rows;
                    MemorySegment gateUp = uniform(arena, random, 2L * rows * n);
                    same(
                            fast,
                            zeros(arena, (long) rows * n),
                            what,
                            (k, y) -> k.swiGlu(gateUp, y, rows, n));
                    MemorySegment x = uniform(arena, random, (long) rows * n);
                    MemorySegment other = uniform(arena, random, (long) rows * n);
                    MemorySegment gate = uniform(arena, random, (long) rows * (n + 3));
                    same(fast, x, what, (k, y) -> k.sigmoidGate(y, gate, n + 3, rows, n));
                    same(fast, x, what, (k, y) -> k.add(y, other, (long) rows * n));
                    same(fast, x, what, (k, y) -> k.addGated(y, other, gate, n + 3, rows, n));
                });
    }

    @ParameterizedTest
    @MethodSource("fast")
    void logitsAreReducedAlike(Kernels fast) {
        Random random = new Random(17);
        try (Arena arena = Arena.ofConfined()) {
            for (int n : new int[] {1, 15, 16, 17, 1023, 1024, 1025, 5000}) {
                MemorySegment x = uniform(arena, random, n);
                for (int i = 0; i < n; i += 3) { // equal values, and zeros of both signs
                    x.setAtIndex(JAVA_FLOAT, i, i % 2 == 0 ? -0f : i % 9 == 0 ? 1f : 0f);
                }
                MemorySegment maxima = zeros(arena, Kernels.maxima(n));
                String what = "n=" + n;
                same(fast, maxima, what, (k, out) -> assertTrue(k.laneMaxima(x, n, out)));
                for (float max : new float[] {-100f, 0f, 1f, 50f}) {
                    assertEquals(SCALAR.sumExp(x, n, max), fast.sumExp(x, n, max), what);
                }
                for (float bad : new float[] {Float.NaN, Float.POSITIVE_INFINITY}) {
                    for (int at : new int[] {0, n / 2, n - 1}) {
                        float good = x.getAtIndex(JAVA_FLOAT, at);
                        x.setAtIndex(JAVA_FLOAT, at, bad);
                        assertFalse(SCALAR.laneMaxima(x, n, maxima), what);
                        assertFalse(fast.laneMaxima(x, n, maxima), what);
                        x.setAtIndex(JAVA_FLOAT, at, good);
                    }
                }
            }
        }
    }

    @Test
    void maximaAndSumOfExponentialsAreWhatTheySay() {
        int n = 3000;
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment x = uniform(arena, new Random(3), n);
            MemorySegment maxima = zeros(arena, Kernels.maxima(n));
            assertTrue(SCALAR.laneMaxima(x, n, maxima));
            float[] expected = new float[Kernels.maxima(n)];
            Arrays.fill(expected, Float.NEGATIVE_INFINITY);
            double sum = 0;
            for (int i = 0; i < n; i++) {
                float value = x.getAtIndex(JAVA_FLOAT, i);
                int at = 16 * (i / 1024) + i % 16;
                expected[at] = Math.max(expected[at], value);
                sum += Math.exp(value - 0.5);
            }
            assertArrayEquals(expected, maxima.toArray(JAVA_FLOAT));
            assertEquals(sum, SCALAR.sumExp(x, n, 0.5f), 1e-6 * sum);
        }
    }

    /// SwiGLU with an up value of 1 is silu, so this walks the exponential over its whole range.
    @ParameterizedTest
    @MethodSource("fast")
    void exponentialIsTheScalarOneOverItsWholeRange(Kernels fast) {
        int n = 40_000;
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment gateUp = zeros(arena, 2L * n);
            float[] odd = {
                0f,
                -0f,
                Float.NaN,
                Float.POSITIVE_INFINITY,
                Float.NEGATIVE_INFINITY,
                87.3f,
                -87.3f,
                Math.nextUp(87.3f),
                -88.3f,
                88.3f,
                Float.MAX_VALUE,
                -Float.MAX_VALUE,
                Float.MIN_VALUE
            };
            for (int i = 0; i < n; i++) {
                gateUp.setAtIndex(JAVA_FLOAT, i, i < odd.length ? odd[i] : -100f + 200f * i / n);
                gateUp.setAtIndex(JAVA_FLOAT, (long) n + i, 1f);
            }
            same(fast, zeros(arena, n), "silu", (k, y) -> k.swiGlu(gateUp, y, 1, n));
        }
    }

    @ParameterizedTest
    @MethodSource("fast")
    void routersChooseAlike(Kernels fast) {
        cases(
                120,
                (arena, random) -> {
                    int experts = 1 + random.nextInt(random.nextBoolean() ? 8 : 300);
                    int k = 1 + random.nextInt(Math.min(experts, 12));
                    int rows = 1 + random.nextInt(3);
                    MemorySegment logits = zeros(arena, (long) rows * experts);
                    for (long i = 0; i < (long) rows * experts; i++) {
                        logits.setAtIndex(JAVA_FLOAT, i, logit(random));
                    }
                    long chosen = (long) rows * k;
                    MemorySegment expectedIds = arena.allocate(4 * chosen, 4);
                    MemorySegment actualIds = arena.allocate(4 * chosen, 4);
                    same(
                            fast,
                            zeros(arena, chosen),
                            "experts=" + experts + " k=" + k,
                            (kernels, weights) ->
                                    kernels.routerTopK(
                                            logits,
                                            rows,
                                            experts,
                                            k,
                                            kernels.equals(SCALAR) ? expectedIds : actualIds,
                                            weights));
                    assertSameBytes(expectedIds, actualIds, "ids");
                });
    }

    /// Few different values, so that ties are common.
    private static float logit(Random random) {
        return switch (random.nextInt(12)) {
            case 0 -> Float.NaN;
            case 1 -> Float.NEGATIVE_INFINITY;
            case 2, 3, 4 -> random.nextInt(3);
            case 5 -> random.nextInt(30) == 0 ? Float.POSITIVE_INFINITY : -1f;
            default -> random.nextFloat() * 4 - 2;
        };
    }

    @ParameterizedTest
    @MethodSource("fast")
    void combineIsTheScalarOne(Kernels fast) {
        cases(
                60,
                (arena, random) -> {
                    int n = length(random);
                    int bits = random.nextInt(31);
                    MemorySegment y = uniform(arena, random, n);
                    float weight = random.nextFloat();
                    MemorySegment expected = arena.allocate(8L * n, 8);
                    for (int i = 0; i < n; i++) {
                        expected.setAtIndex(
                                JAVA_LONG, i, random.nextLong() >> (2 + random.nextInt(60)));
                    }
                    MemorySegment actual = copy(arena, expected);
                    assertEquals(
                            SCALAR.combineAdd(y, weight, expected, n, bits),
                            fast.combineAdd(y, weight, actual, n, bits));
                    assertSameBytes(expected, actual, "sums");
                    same(
                            fast,
                            zeros(arena, n),
                            "floats",
                            (k, out) -> k.combineToFloat(expected, out, n, bits));
                });
    }

    static Stream<Kernels> all() {
        return Stream.concat(Stream.of(SCALAR), fast().stream());
    }

    @ParameterizedTest
    @MethodSource("all")
    void combineRefusesWhatDoesNotFit(Kernels kernels) {
        float[] tooMuch = {
            Float.NaN,
            Float.POSITIVE_INFINITY,
            Float.NEGATIVE_INFINITY,
            0x1p41f,
            -0x1p41f,
            Float.MAX_VALUE
        };
        try (Arena arena = Arena.ofConfined()) {
            for (int n : LENGTHS) {
                for (float bad : tooMuch) {
                    MemorySegment y = uniform(arena, new Random(n), n);
                    y.setAtIndex(JAVA_FLOAT, n / 2, bad);
                    MemorySegment acc = arena.allocate(8L * n, 8);
                    assertEquals(
                            false,
                            kernels.combineAdd(y, 1f, acc, n, 20),
                            "n=" + n + " value=" + bad);
                    y.setAtIndex(JAVA_FLOAT, n / 2, 0x1.fffffep40f);
                    assertEquals(true, kernels.combineAdd(y, 1f, acc, n, 20), "n=" + n);
                }
            }
        }
    }

    @ParameterizedTest
    @MethodSource("all")
    void rowsOfAProductDoNotDependOnTheirCompany(Kernels kernels) {
        for (WeightFormat format : WeightFormat.values()) {
            cases(5, (arena, random) -> companyOfRows(kernels, format, arena, random));
        }
    }

    private static void companyOfRows(
            Kernels kernels, WeightFormat format, Arena arena, Random random) {
        int outputs = 1 + random.nextInt(150);
        boolean wide = format.columnMultiple() > 32;
        int cols = format.columnMultiple() == 1 ? 32 : format.columnMultiple();
        cols *= 1 + random.nextInt(wide ? 3 : 24);
        int rows = 11;
        PackedMatrix w = packed(arena, random, format, outputs, cols);
        MemorySegment x = uniform(arena, random, (long) rows * cols);
        MemorySegment together = zeros(arena, (long) rows * outputs);
        MemorySegment alone = zeros(arena, (long) rows * outputs);
        product(kernels, arena, w, x, rows, together, 0, w.groups());
        for (int r = 0; r < rows; r++) {
            MemorySegment row = x.asSlice(4L * r * cols, 4L * cols);
            MemorySegment out = alone.asSlice(4L * r * outputs, 4L * outputs);
            for (int g = 0; g < w.groups(); g++) { // and not on how the outputs are split
                product(kernels, arena, w, row, 1, out, g, g + 1);
            }
        }
        assertSameFloats(together, alone, format + " " + outputs + "x" + cols);
    }

    private static void product(
            Kernels kernels,
            Arena arena,
            PackedMatrix w,
            MemorySegment x,
            int rows,
            MemorySegment y,
            int groupBegin,
            int groupEnd) {
        if (w.format().takesQuantizedRows()) {
            MemorySegment q = arena.allocate((long) rows * w.cols());
            MemorySegment scales = zeros(arena, (long) rows * w.cols() / 32);
            kernels.quantizeRows(x, rows, w.cols(), q, scales);
            kernels.matMulQuantized(w, q, scales, rows, y, w.rows(), groupBegin, groupEnd);
        } else {
            kernels.matMul(w, x, rows, y, w.rows(), groupBegin, groupEnd);
        }
    }

    @ParameterizedTest
    @MethodSource("all")
    void deltaRuleOfRowsOneByOneIsThatOfAllAtOnce(Kernels kernels) {
        cases(
                10,
                (arena, random) -> {
                    int rows = 5;
                    int values = 2 * 32;
                    int stride = 2 * 16 + values;
                    MemorySegment qkv = uniform(arena, random, (long) rows * stride);
                    MemorySegment decay = uniform(arena, random, 2L * rows);
                    MemorySegment beta = uniform(arena, random, 2L * rows);
                    MemorySegment state = uniform(arena, random, 2 * 16 * 32);
                    MemorySegment stepped = copy(arena, state);
                    MemorySegment out = zeros(arena, (long) rows * values);
                    MemorySegment single = zeros(arena, (long) rows * values);
                    kernels.gatedDeltaRule(qkv, decay, beta, state, out, rows, 1, 2, 16, 32, 0, 2);
                    for (int r = 0; r < rows; r++) {
                        kernels.gatedDeltaRule(
                                qkv.asSlice(4L * r * stride),
                                decay.asSlice(8L * r),
                                beta.asSlice(8L * r),
                                stepped,
                                single.asSlice(4L * r * values),
                                1,
                                1,
                                2,
                                16,
                                32,
                                0,
                                1);
                        kernels.gatedDeltaRule(
                                qkv.asSlice(4L * r * stride),
                                decay.asSlice(8L * r),
                                beta.asSlice(8L * r),
                                stepped,
                                single.asSlice(4L * r * values),
                                1,
                                1,
                                2,
                                16,
                                32,
                                1,
                                2);
                    }
                    assertSameFloats(state, stepped, "state");
                    assertSameFloats(out, single, "out");
                });
    }

    @ParameterizedTest
    @MethodSource("fast")
    void readSumsAreTheScalarOnes(Kernels fast) {
        cases(
                20,
                (arena, random) -> {
                    MemorySegment memory = arena.allocate(8L * random.nextInt(200), 8);
                    for (long i = 0; i < memory.byteSize() / 8; i++) {
                        memory.setAtIndex(JAVA_LONG, i, random.nextLong());
                    }
                    assertEquals(SCALAR.readSum(memory), fast.readSum(memory));
                });
    }
}
