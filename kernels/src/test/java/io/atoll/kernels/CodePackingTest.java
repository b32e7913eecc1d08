package io.atoll.kernels;

import static io.atoll.kernels.TestMemory.bytes;
import static io.atoll.kernels.TestMemory.forAllSeeds;
import static io.atoll.kernels.TestMemory.uniform;
import static io.atoll.kernels.TestMemory.zeros;
import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.atoll.kernels.scalar.ScalarKernels;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/// The formats of quantised safetensors, against their formulas.
final class CodePackingTest {
    private final Arena arena = Arena.ofConfined();

    @AfterEach
    void free() {
        arena.close();
    }

    static List<WeightFormat> formats() {
        return CodedMatrix.formats();
    }

    private static int columns(WeightFormat format, Random random) {
        return format == WeightFormat.F8_E4M3
                ? 1 + random.nextInt(400)
                : format.columnMultiple() * (1 + random.nextInt(4));
    }

    @ParameterizedTest
    @MethodSource("formats")
    void packedCodesDecodeToTheValuesOfTheirSource(WeightFormat format) {
        forAllSeeds(
                20,
                random -> {
                    int rows = 1 + random.nextInt(36);
                    int cols = columns(format, random);
                    CodedMatrix matrix = CodedMatrix.random(random, format, rows, cols);
                    PackedMatrix packed = matrix.pack(arena);
                    for (int r = 0; r < rows; r++) {
                        for (int c = 0; c < cols; c++) {
                            float expected = matrix.value(r, c);
                            float actual = Packing.weight(packed, r, c);
                            assertTrue(
                                    expected == actual,
                                    () -> format + ": " + actual + ", not " + expected);
                        }
                    }
                });
    }

    @ParameterizedTest
    @MethodSource("formats")
    void packedCodesTakeAtMostSixPercentMore(WeightFormat format) {
        int cols = 4096;
        double source = CodedMatrix.sourceBits(format) * 16 * cols / 8;
        double more = format.groupBytes(cols) / source - 1;
        assertTrue(more >= 0 && more <= 0.06, format + " grows by " + more);
    }

    @ParameterizedTest
    @MethodSource("formats")
    void productsAreThoseOfTheDecodedWeights(WeightFormat format) {
        forAllSeeds(
                10,
                random -> {
                    int cols = columns(format, random);
                    int outputs = 19;
                    CodedMatrix matrix = tame(random, format, outputs, cols);
                    PackedMatrix packed = matrix.pack(arena);
                    double[] x = new double[cols];
                    MemorySegment y = zeros(arena, outputs);
                    if (format.takesQuantizedRows()) {
                        MemorySegment q = bytes(arena, random, cols);
                        MemorySegment scales = zeros(arena, cols / 32);
                        for (int i = 0; i < cols / 32; i++) {
                            scales.setAtIndex(JAVA_FLOAT, i, (1 + random.nextFloat()) / 127);
                        }
                        for (int c = 0; c < cols; c++) {
                            x[c] =
                                    (double) scales.getAtIndex(JAVA_FLOAT, c / 32)
                                            * q.get(JAVA_BYTE, c);
                        }
                        new ScalarKernels()
                                .matMulQuantized(
                                        packed, q, scales, 1, y, outputs, 0, packed.groups());
                    } else {
                        MemorySegment row = uniform(arena, random, cols);
                        for (int c = 0; c < cols; c++) {
                            x[c] = row.getAtIndex(JAVA_FLOAT, c);
                        }
                        new ScalarKernels().matMul(packed, row, 1, y, outputs, 0, packed.groups());
                    }
                    for (int o = 0; o < outputs; o++) {
                        double exact = 0;
                        double magnitude = 0;
                        for (int c = 0; c < cols; c++) {
                            exact += x[c] * matrix.value(o, c);
                            magnitude += Math.abs(x[c] * matrix.value(o, c));
                        }
                        assertEquals(
                                exact,
                                y.getAtIndex(JAVA_FLOAT, o),
                                2e-6 * magnitude,
                                format.name());
                    }
                });
    }

    /// Scales of ordinary size, of which none vanishes beside another.
    private static CodedMatrix tame(Random random, WeightFormat format, int rows, int cols) {
        CodedMatrix matrix = CodedMatrix.random(random, format, rows, cols);
        float[] scales = matrix.all().scales();
        for (int i = 0; i < scales.length; i++) {
            scales[i] = Math.scalb(1f, -2 - random.nextInt(4));
        }
        return matrix;
    }

    @Test
    void everyE4m3CodeIsItsNumber() {
        byte[] codes = new byte[256];
        for (int i = 0; i < codes.length; i++) {
            codes[i] = (byte) i;
        }
        float scale = 1.7f;
        PackedMatrix packed =
                Packing.packCodes(
                        WeightFormat.F8_E4M3,
                        1,
                        256,
                        (_, _, to) -> {
                            System.arraycopy(codes, 0, to.codes(), 0, 256);
                            to.scales()[0] = scale;
                            to.scales()[1] = scale;
                        },
                        arena);
        for (int code = 0; code < 256; code++) {
            float expected = (code & 0x7F) == 0x7F ? Float.NaN : CodedMatrix.e4m3(code) * scale;
            assertEquals(expected, Packing.weight(packed, 0, code), "code " + code);
        }
    }

    @Test
    void scalesThatTheFormatDoesNotHoldAreRefused() {
        refuses(WeightFormat.INT4_32_F16, 1e-9f);
        refuses(WeightFormat.INT4_32_F16, 1e6f);
        refuses(WeightFormat.INT8_64_BF16, 1.001f);
        refuses(WeightFormat.NVFP4, 1.01f);
        refuses(WeightFormat.NVFP4_DIVIDED, 449f);
        refuses(WeightFormat.MXFP4, 1.01f, 0.505f); // kept as its half
        refuses(WeightFormat.F8_E4M3, 0x1p120f);
    }

    private void refuses(WeightFormat format, float scale) {
        refuses(format, scale, scale);
    }

    private void refuses(WeightFormat format, float scale, float named) {
        String message =
                assertThrows(
                                IllegalArgumentException.class,
                                () ->
                                        Packing.packCodes(
                                                format,
                                                1,
                                                128,
                                                (_, _, to) -> to.scales()[1 % to.scales().length] = scale,
                                                arena))
                        .getMessage();
        assertTrue(message.contains("value=" + named), message);
    }

    @Test
    void scalesThatAreNoNumbersStayNoNumbers() {
        for (WeightFormat format : formats()) {
            PackedMatrix packed =
                    Packing.packCodes(
                            format,
                            1,
                            128,
                            (_, _, to) -> {
                                Arrays.fill(to.codes(), (byte) 3);
                                Arrays.fill(to.scales(), Float.NaN);
                                to.factors()[0] = 1;
                            },
                            arena);
            assertTrue(Float.isNaN(Packing.weight(packed, 0, 127)), format.name());
        }
    }

    @Test
    void formatsWithoutCodesAreRefused() {
        for (WeightFormat format : WeightFormat.values()) {
            if (!formats().contains(format)) {
                assertThrows(
                        IllegalArgumentException.class,
                        () -> Packing.packCodes(format, 1, 256, (_, _, _) -> {}, arena),
                        format.name());
            }
        }
    }

    @Test
    void paddingOutputsAreZero() {
        for (WeightFormat format : formats()) {
            int cols = 128;
            MemorySegment dirty = arena.allocate(1 << 14, 64).fill((byte) 77);
            CodedMatrix matrix = CodedMatrix.random(new Random(4), format, 3, cols);
            PackedMatrix packed =
                    Packing.packCodes(
                            format,
                            3,
                            cols,
                            (_, count, to) -> {
                                System.arraycopy(
                                        matrix.all().codes(), 0, to.codes(), 0, count * cols);
                                to.factors()[0] = 1;
                            },
                            (bytes, _) -> dirty.asSlice(0, bytes));
            for (int o = 3; o < 16; o++) {
                for (int c = 0; c < cols; c++) {
                    assertEquals(0, Packing.weight(packed, o, c), 0, format + " output " + o);
                }
            }
        }
    }
}
