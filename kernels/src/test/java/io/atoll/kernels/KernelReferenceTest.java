package io.atoll.kernels;

import static io.atoll.kernels.TestMemory.floats;
import static io.atoll.kernels.TestMemory.forAllSeeds;
import static io.atoll.kernels.TestMemory.ints;
import static io.atoll.kernels.TestMemory.longs;
import static io.atoll.kernels.TestMemory.toArray;
import static io.atoll.kernels.TestMemory.zeros;
import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.atoll.kernels.scalar.ScalarKernels;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/// The scalar twin against the model's formulas in double precision, written down once more.
final class KernelReferenceTest {
    private final Kernels kernels = new ScalarKernels();
    private final Arena arena = Arena.ofConfined();

    @AfterEach
    void free() {
        arena.close();
    }

    private MemorySegment random(Random random, int n) {
        MemorySegment segment = zeros(arena, n);
        for (int i = 0; i < n; i++) {
            segment.setAtIndex(JAVA_FLOAT, i, random.nextFloat() * 2 - 1);
        }
        return segment;
    }

    private static float at(MemorySegment segment, int index) {
        return segment.getAtIndex(JAVA_FLOAT, index);
    }

    private static double sigmoid(double x) {
        return 1 / (1 + Math.exp(-x));
    }

    @Test
    void productIsThatOfTheMatrixItWasPackedFrom() {
        forAllSeeds(
                5,
                random -> {
                    int outputs = 37;
                    int cols = 96;
                    MemorySegment w = random(random, outputs * cols);
                    MemorySegment x = random(random, 2 * cols);
                    RowSource source = new RowSource(w, SourceType.F32, outputs);
                    PackedMatrix packed =
                            Packing.pack(WeightFormat.F32, List.of(source), cols, arena);
                    MemorySegment y = zeros(arena, 2L * outputs);
                    kernels.matMul(packed, x, 2, y, outputs, 0, packed.groups());
                    for (int r = 0; r < 2; r++) {
                        for (int o = 0; o < outputs; o++) {
                            double exact = 0;
                            for (int c = 0; c < cols; c++) {
                                exact += (double) at(w, o * cols + c) * at(x, r * cols + c);
                            }
                            assertEquals(exact, at(y, r * outputs + o), 1e-6 * cols);
                        }
                    }
                });
    }

    @Test
    void quantisedProductIsWithinItsRoundingOfTheExactOne() {
        forAllSeeds(
                5,
                random -> {
                    int outputs = 20;
                    int cols = 128;
                    MemorySegment w = random(random, outputs * cols);
                    MemorySegment x = random(random, cols);
                    RowSource source = new RowSource(w, SourceType.F32, outputs);
                    PackedMatrix packed = Packing.quantize(List.of(source), cols, arena);
                    MemorySegment q = arena.allocate(cols);
                    MemorySegment scales = zeros(arena, cols / 32);
                    kernels.quantizeRows(x, 1, cols, q, scales);
                    MemorySegment y = zeros(arena, outputs);
                    kernels.matMulQuantized(packed, q, scales, 1, y, outputs, 0, packed.groups());
                    for (int o = 0; o < outputs; o++) {
                        double exact = 0;
                        double rounded = 0;
                        for (int c = 0; c < cols; c++) {
                            float value = at(x, c);
                            exact += (double) at(w, o * cols + c) * value;
                            double dequantised = q.get(JAVA_BYTE, c) * (double) at(scales, c / 32);
                            rounded += Packing.weight(packed, o, c) * dequantised;
                        }
                        assertEquals(rounded, at(y, o), 1e-5); // only f32 sums differ
                        assertEquals(exact, at(y, o), cols / 127.0); // half a step of each factor
                    }
                });
    }

    @Test
    void quantisationTakesTheLargestTo127AndRoundsHalfToEven() {
        MemorySegment x = zeros(arena, 32);
        float[] values = {127f, -127f, 0.5f, 1.5f, 2.5f, -0.5f, -2.5f, 3.49f};
        MemorySegment.copy(values, 0, x, JAVA_FLOAT, 0, values.length);
        MemorySegment q = arena.allocate(32);
        MemorySegment scales = zeros(arena, 1);
        kernels.quantizeRows(x, 1, 32, q, scales);
        assertEquals(1f, at(scales, 0));
        byte[] expected = new byte[32];
        byte[] first = {127, -127, 0, 2, 2, 0, -2, 3};
        System.arraycopy(first, 0, expected, 0, first.length);
        assertArrayEquals(expected, q.toArray(JAVA_BYTE));
    }

    @Test
    void quantisationOfAFaultyBlockShowsInItsScaleAlone() {
        MemorySegment x = zeros(arena, 64);
        x.setAtIndex(JAVA_FLOAT, 3, Float.POSITIVE_INFINITY);
        x.setAtIndex(JAVA_FLOAT, 32, 1f);
        MemorySegment q = arena.allocate(64);
        MemorySegment scales = zeros(arena, 2);
        kernels.quantizeRows(x, 1, 64, q, scales);
        assertTrue(Float.isNaN(at(scales, 0)));
        assertEquals(1f / 127f, at(scales, 1));
        assertEquals(0, q.get(JAVA_BYTE, 3));
        assertEquals(127, q.get(JAVA_BYTE, 32));
    }

    @Test
    void normsAreTheModelsFormulas() {
        forAllSeeds(
                5,
                random -> {
                    int n = 100;
                    MemorySegment x = random(random, n);
                    MemorySegment z = random(random, n);
                    MemorySegment w = random(random, n);
                    double squares = 0;
                    for (float v : toArray(x)) {
                        squares += (double) v * v;
                    }
                    double r = 1 / Math.sqrt(squares / n + 1e-6);
                    MemorySegment plain = zeros(arena, n);
                    MemorySegment gated = zeros(arena, n);
                    kernels.rmsNorm(x, n, w, 1e-6f, plain, n, 1, n);
                    kernels.gatedRmsNorm(x, z, n, w, 1e-6f, gated, n, 1, 1, n);
                    MemorySegment unit = TestMemory.copy(arena, x);
                    kernels.l2Norm(unit, n, 1, 1, n, 0.5f);
                    for (int i = 0; i < n; i++) {
                        double v = at(x, i);
                        double weight = at(w, i);
                        double gate = at(z, i);
                        assertEquals(v * r * (1 + weight), at(plain, i), 2e-6);
                        assertEquals(v * r * weight * gate * sigmoid(gate), at(gated, i), 2e-6);
                        assertEquals(v / Math.sqrt(squares + 1e-6) * 0.5, at(unit, i), 1e-6);
                    }
                });
    }

    @Test
    void rotationTurnsHalfSplitPairsAndLeavesTheRest() {
        MemorySegment x = floats(arena, 1, 0, 0, 1, 9, 0, 1, 1, 0, 9);
        float c = (float) Math.cos(0.5);
        float s = (float) Math.sin(0.5);
        kernels.rotary(x, 2, 5, 4, floats(arena, c, 1), floats(arena, s, 0));
        assertArrayEquals(new float[] {c, 0, s, 1, 9, -s, 1, c, 0, 9}, toArray(x), 1e-7f);
    }

    @Test
    void convolutionSeesTheRowsBeforeTheCallThroughItsState() {
        int channels = 3;
        int rows = 5;
        Random random = new Random(3);
        MemorySegment u = random(random, rows * channels);
        MemorySegment w = random(random, 4 * channels);
        MemorySegment state = zeros(arena, 3L * channels);
        MemorySegment y = zeros(arena, (long) rows * channels);
        kernels.causalConv(u, w, state, y, rows, channels, 4, 0, channels);
        for (int t = 0; t < rows; t++) {
            for (int ch = 0; ch < channels; ch++) {
                double sum = 0;
                for (int j = 0; j < 4; j++) {
                    int from = t - 3 + j;
                    sum +=
                            from < 0
                                    ? 0
                                    : (double) at(w, j * channels + ch)
                                            * at(u, from * channels + ch);
                }
                assertEquals(sum * sigmoid(sum), at(y, t * channels + ch), 1e-6);
            }
        }
        assertEquals(
                -1,
                state.mismatch(u.asSlice(4L * 2 * channels)),
                "the state holds the last three rows");

        MemorySegment stepped = zeros(arena, 3L * channels);
        MemorySegment single = zeros(arena, channels);
        for (int t = 0; t < rows; t++) {
            MemorySegment row = u.asSlice(4L * t * channels, 4L * channels);
            kernels.causalConv(row, w, stepped, single, 1, channels, 4, 0, channels);
            assertEquals(
                    -1, single.mismatch(y.asSlice(4L * t * channels, 4L * channels)), "row " + t);
        }
        assertEquals(-1, stepped.mismatch(state));
    }

    @Test
    void gatesOfTheDeltaRuleAreTheModelsFormulas() {
        MemorySegment a = floats(arena, -30f, -1f, 0f, 1f, 25f);
        MemorySegment b = floats(arena, -3f, 0f, 1f, 50f, -50f);
        MemorySegment aLog = floats(arena, 0.5f, -1f, 0f, 1f, -4f);
        MemorySegment bias = floats(arena, 0f, 0.25f, -0.5f, 1f, 0f);
        MemorySegment decay = zeros(arena, 5);
        MemorySegment beta = zeros(arena, 5);
        kernels.deltaGates(a, b, aLog, bias, decay, beta, 1, 5);
        for (int i = 0; i < 5; i++) {
            double step = Math.log1p(Math.exp((double) at(a, i) + at(bias, i)));
            double exact = Math.exp(-Math.exp(at(aLog, i)) * step);
            assertEquals(exact, at(decay, i), 1e-6);
            assertEquals(sigmoid(at(b, i)), at(beta, i), 2e-7);
        }
    }

    @Test
    void deltaRuleIsTheRecurrenceOfThePaper() {
        forAllSeeds(
                5,
                random -> {
                    int keyDim = 24;
                    int valueDim = 20;
                    int rows = 6;
                    int stride = 2 * 2 * keyDim + 4 * valueDim; // two key heads, four value heads
                    MemorySegment qkv = random(random, rows * stride);
                    kernels.l2Norm(qkv, stride, rows, 4, keyDim, 1f);
                    MemorySegment decay = zeros(arena, 4L * rows);
                    MemorySegment beta = zeros(arena, 4L * rows);
                    for (int i = 0; i < 4 * rows; i++) {
                        decay.setAtIndex(JAVA_FLOAT, i, random.nextFloat());
                        beta.setAtIndex(JAVA_FLOAT, i, random.nextFloat());
                    }
                    MemorySegment state = zeros(arena, 4L * keyDim * valueDim);
                    MemorySegment out = zeros(arena, (long) rows * 4 * valueDim);
                    kernels.gatedDeltaRule(
                            qkv, decay, beta, state, out, rows, 2, 4, keyDim, valueDim, 0, 4);
                    for (int h = 0; h < 4; h++) {
                        double[][] s = new double[keyDim][valueDim];
                        for (int r = 0; r < rows; r++) {
                            int q = r * stride + (h / 2) * keyDim;
                            int v = r * stride + 4 * keyDim + h * valueDim;
                            double g = at(decay, r * 4 + h);
                            double b = at(beta, r * 4 + h);
                            double[] o = paperStep(s, toArray(qkv), q, q + 2 * keyDim, v, g, b);
                            for (int i = 0; i < valueDim; i++) {
                                assertEquals(o[i], at(out, (r * 4 + h) * valueDim + i), 1e-5);
                            }
                        }
                        for (int i = 0; i < keyDim * valueDim; i++) {
                            assertEquals(
                                    s[i / valueDim][i % valueDim],
                                    at(state, h * keyDim * valueDim + i),
                                    1e-5);
                        }
                    }
                });
    }

    /// `S = g S; S = S + k (beta (v - k S)); o = q S`.
    private static double[] paperStep(
            double[][] s, float[] row, int q, int k, int v, double decay, double beta) {
        double[] o = new double[s[0].length];
        for (int i = 0; i < o.length; i++) {
            double m = 0;
            for (int j = 0; j < s.length; j++) {
                s[j][i] *= decay;
                m += row[k + j] * s[j][i];
            }
            for (int j = 0; j < s.length; j++) {
                s[j][i] += row[k + j] * beta * (row[v + i] - m);
                o[i] += row[q + j] * s[j][i];
            }
        }
        return o;
    }

    @Test
    void attentionIsSoftmaxOverThePositions() {
        for (int length : new int[] {1, 40, 256, 257, 600, 1025, 2100}) {
            int headDim = 24;
            Random random = new Random(length);
            KvFormat format = length % 2 == 0 ? KvFormat.F32 : KvFormat.BF16;
            KvCache cache =
                    KvCache.random(arena, random, length, new KvLayout(format, 2, 32, headDim));
            MemorySegment q = random(random, 4 * headDim);
            MemorySegment out = zeros(arena, 4L * headDim);
            MemorySegment scratch = zeros(arena, Kernels.attentionScratch(headDim));
            kernels.attention(
                    q,
                    1,
                    cache.layout(),
                    cache.pool(),
                    cache.offsets(),
                    length,
                    4,
                    0.2f,
                    out,
                    scratch,
                    0,
                    4);
            for (int h = 0; h < 4; h++) {
                double[] exact = softmaxAttention(cache, toArray(q), h, length);
                for (int i = 0; i < headDim; i++) {
                    float actual = at(out, h * headDim + i);
                    assertEquals(
                            exact[i],
                            actual,
                            1e-5 * Math.max(1, Math.abs(exact[i])),
                            "length=" + length + " head=" + h);
                }
            }
        }
    }

    private static double[] softmaxAttention(KvCache cache, float[] q, int head, int length) {
        int n = cache.layout().headDim();
        double[] scores = new double[length];
        double max = Double.NEGATIVE_INFINITY;
        for (int t = 0; t < length; t++) {
            for (int i = 0; i < n; i++) {
                scores[t] += 0.2 * q[head * n + i] * cache.element(t, head / 2, i);
            }
            max = Math.max(max, scores[t]);
        }
        double sum = 0;
        double[] o = new double[n];
        for (int t = 0; t < length; t++) {
            double p = Math.exp(scores[t] - max);
            sum += p;
            for (int i = 0; i < n; i++) {
                o[i] += p * cache.element(t, 2 + head / 2, i);
            }
        }
        for (int i = 0; i < n; i++) {
            o[i] /= sum;
        }
        return o;
    }

    @Test
    void bf16IsTheNearestWithTiesToEven() {
        int[] floats = {
            0x3F80_0000, // 1
            0x3F80_8000, // half-way above an even one: down
            0x3F81_8000, // half-way above an odd one: up
            0x3F80_8001,
            0x3F80_7FFF,
            0x8000_0000, // -0
            0x0000_8001, // subnormal numbers are numbers
            0x7F7F_FFFF, // the largest rounds to infinity
            0xFF80_0000,
            0x7F80_0001 // a NaN, whose upper half alone is an infinity
        };
        short[] expected = {
            0x3F80,
            0x3F80,
            0x3F82,
            0x3F81,
            0x3F80,
            (short) 0x8000,
            0x0001,
            0x7F80,
            (short) 0xFF80,
            0x7FC0
        };
        MemorySegment halves = arena.allocate(2L * floats.length, 2);
        kernels.toBf16(arena.allocateFrom(ValueLayout.JAVA_INT, floats), halves, floats.length);
        assertArrayEquals(expected, halves.toArray(ValueLayout.JAVA_SHORT));
    }

    @Test
    void routerTakesTheLargestAndTheLowerIndexOfEquals() {
        MemorySegment logits = floats(arena, 1f, 3f, Float.NaN, 3f, -1f, 2f);
        MemorySegment ids = arena.allocate(4 * 4, 4);
        MemorySegment weights = zeros(arena, 4);
        kernels.routerTopK(logits, 1, 6, 4, ids, weights);
        assertArrayEquals(new int[] {1, 3, 5, 0}, ints(ids));
        double sum = 2 + Math.exp(-1) + Math.exp(-2);
        float[] expected = {
            (float) (1 / sum),
            (float) (1 / sum),
            (float) (Math.exp(-1) / sum),
            (float) (Math.exp(-2) / sum)
        };
        assertArrayEquals(expected, toArray(weights), 1e-7f);
    }

    @Test
    void routerOfNothingButNaNSharesEvenly() {
        MemorySegment logits = floats(arena, Float.NaN, Float.NaN, Float.NEGATIVE_INFINITY);
        MemorySegment ids = arena.allocate(4 * 2, 4);
        MemorySegment weights = zeros(arena, 2);
        kernels.routerTopK(logits, 1, 3, 2, ids, weights);
        assertArrayEquals(new int[] {0, 1}, ints(ids));
        assertArrayEquals(new float[] {0.5f, 0.5f}, toArray(weights));
    }

    @Test
    void activationsAreTheModelsFormulas() {
        MemorySegment gateUp = floats(arena, -2f, 0f, 3f, 5f, 6f, -7f);
        MemorySegment y = zeros(arena, 3);
        kernels.swiGlu(gateUp, y, 1, 3);
        assertArrayEquals(
                new float[] {(float) (-2 * sigmoid(-2) * 5), 0f, (float) (3 * sigmoid(3) * -7)},
                toArray(y),
                2e-6f);
        MemorySegment x = floats(arena, 1f, 2f, 3f);
        kernels.sigmoidGate(x, floats(arena, 0f, 100f, -1f), 3, 1, 3);
        assertArrayEquals(new float[] {0.5f, 2f, (float) (3 * sigmoid(-1))}, toArray(x), 1e-6f);
        kernels.addGated(x, floats(arena, 1f, 1f, 1f), floats(arena, 0f), 1, 1, 3);
        assertArrayEquals(
                new float[] {1f, 2.5f, (float) (3 * sigmoid(-1) + 0.5)}, toArray(x), 1e-6f);
    }

    @Test
    void combineDoesNotDependOnTheOrderOfTheExperts() {
        forAllSeeds(
                10,
                random -> {
                    int n = 50;
                    int experts = 10;
                    MemorySegment[] outputs = new MemorySegment[experts];
                    float[] weights = new float[experts];
                    for (int e = 0; e < experts; e++) {
                        outputs[e] = random(random, n);
                        weights[e] = random.nextFloat();
                    }
                    MemorySegment up = arena.allocate(8L * n, 8);
                    MemorySegment down = arena.allocate(8L * n, 8);
                    for (int e = 0; e < experts; e++) {
                        assertTrue(kernels.combineAdd(outputs[e], weights[e], up, n, 20));
                        int other = experts - 1 - e;
                        assertTrue(kernels.combineAdd(outputs[other], weights[other], down, n, 20));
                    }
                    assertArrayEquals(longs(up), longs(down));
                    MemorySegment y = zeros(arena, n);
                    kernels.combineToFloat(up, y, n, 20);
                    for (int i = 0; i < n; i++) {
                        double exact = 0;
                        for (int e = 0; e < experts; e++) {
                            exact += weights[e] * outputs[e].getAtIndex(JAVA_FLOAT, i);
                        }
                        assertEquals(exact, at(y, i), experts * 0x1p-21 + 1e-6);
                    }
                });
    }

    @Test
    void combineRoundsHalfToEvenAndSaysWhatDoesNotFit() {
        MemorySegment acc = arena.allocate(8 * 4, 8);
        assertTrue(kernels.combineAdd(floats(arena, 0.5f, 1.5f, 2.5f, -0.5f), 1f, acc, 4, 0));
        assertArrayEquals(new long[] {0, 2, 2, 0}, longs(acc));
        assertFalse(kernels.combineAdd(floats(arena, 1f, Float.NaN, 1f, 1f), 1f, acc, 4, 20));
        assertFalse(kernels.combineAdd(floats(arena, 1f, 1f, 1f, Float.MAX_VALUE), 2f, acc, 4, 0));
        assertFalse(kernels.combineAdd(floats(arena, 0x1p61f, 1f, 1f, 1f), 1f, acc, 4, 0));
    }

    @Test
    void combineToFloatRoundsOnce() {
        MemorySegment acc = arena.allocate(16, 8);
        long between =
                (1L << 54)
                        + (1L << 30)
                        + 1; // just above a tie of floats; by way of double it would be one
        acc.setAtIndex(JAVA_LONG, 0, between);
        acc.setAtIndex(JAVA_LONG, 1, -3);
        MemorySegment y = zeros(arena, 2);
        kernels.combineToFloat(acc, y, 2, 1);
        assertArrayEquals(new float[] {(float) between / 2, -1.5f}, toArray(y));
        assertEquals(Math.nextUp(0x1p53f), at(y, 0));
    }
}
