package io.atoll.kernels;

import static io.atoll.kernels.TestMemory.bytes;
import static io.atoll.kernels.TestMemory.forAllSeeds;
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

/// The formats of GGML's block types, against the formulas of model spec C.6.
final class BlockPackingTest {
    private final Arena arena = Arena.ofConfined();

    @AfterEach
    void free() {
        arena.close();
    }

    static List<WeightFormat> formats() {
        return Arrays.stream(WeightFormat.values())
                .filter(WeightFormat::isGgmlType)
                .toList();
    }

    /// At an odd address, as a mapped file may have it.
    private MemorySegment memory(byte[] blocks) {
        return arena.allocate(blocks.length + 1L)
                .asSlice(1)
                .copyFrom(MemorySegment.ofArray(blocks));
    }

    private static float expected(WeightFormat format, byte[] blocks, int cols, int row, int c) {
        int block = format.columnMultiple();
        int rowBytes = (int) Packing.blockRowBytes(format, cols);
        int at = row * rowBytes + c / block * (rowBytes / (cols / block));
        return GgmlBlocks.value(format, blocks, at, c % block);
    }

    @ParameterizedTest
    @MethodSource("formats")
    void packedBlocksDecodeToTheValuesOfTheirSource(WeightFormat format) {
        forAllSeeds(
                20,
                random -> {
                    int rows = 1 + random.nextInt(36);
                    int blocks = 1 + random.nextInt(3);
                    int cols = blocks * format.columnMultiple();
                    byte[] first = GgmlBlocks.random(random, format, rows * blocks);
                    byte[] second = GgmlBlocks.random(random, format, 2 * blocks);
                    PackedMatrix packed =
                            Packing.packBlocks(
                                    format, List.of(memory(first), memory(second)), cols, arena);
                    MemorySegment values = zeros(arena, (rows + 2L) * cols);
                    Packing.unpack(packed, values);
                    assertEquals(rows + 2, packed.rows());
                    for (int r = 0; r < rows + 2; r++) {
                        byte[] source = r < rows ? first : second;
                        for (int c = 0; c < cols; c++) {
                            float expected =
                                    expected(format, source, cols, r < rows ? r : r - rows, c);
                            float actual = values.getAtIndex(JAVA_FLOAT, (long) r * cols + c);
                            assertTrue(
                                    expected == actual,
                                    format
                                            + " row="
                                            + r
                                            + " column="
                                            + c
                                            + ": "
                                            + actual
                                            + ", not "
                                            + expected);
                        }
                    }
                });
    }

    @ParameterizedTest
    @MethodSource("formats")
    void packedBlocksTakeAtMostSixPercentMore(WeightFormat format) {
        int cols = 4096;
        double source = 16.0 * Packing.blockRowBytes(format, cols);
        double more = format.groupBytes(cols) / source - 1;
        assertTrue(more >= 0 && more <= 0.06, format + " grows by " + more);
    }

    @ParameterizedTest
    @MethodSource("formats")
    void productsAreThoseOfTheDecodedWeights(WeightFormat format) {
        forAllSeeds(
                10,
                random -> {
                    int blocks = 1 + random.nextInt(4);
                    int cols = blocks * format.columnMultiple();
                    int outputs = 19;
                    byte[] source = GgmlBlocks.random(random, format, outputs * blocks);
                    GgmlBlocks.tame(random, format, source);
                    PackedMatrix packed =
                            Packing.packBlocks(format, List.of(memory(source)), cols, arena);
                    MemorySegment q = bytes(arena, random, cols);
                    MemorySegment scales = zeros(arena, cols / 32);
                    for (int i = 0; i < cols / 32; i++) {
                        scales.setAtIndex(JAVA_FLOAT, i, (1 + random.nextFloat()) / 127);
                    }
                    MemorySegment y = zeros(arena, outputs);
                    new ScalarKernels()
                            .matMulQuantized(packed, q, scales, 1, y, outputs, 0, packed.groups());
                    for (int o = 0; o < outputs; o++) {
                        double exact = 0;
                        double magnitude = 0;
                        for (int c = 0; c < cols; c++) {
                            double x =
                                    (double) scales.getAtIndex(JAVA_FLOAT, c / 32)
                                            * q.get(JAVA_BYTE, c);
                            double product = x * expected(format, source, cols, o, c);
                            exact += product;
                            magnitude += Math.abs(product);
                        }
                        // A minimum and the level it is taken from are summed apart, and may be
                        // larger than what remains of them.
                        double tolerance = 1e-5 * (magnitude + 1);
                        assertEquals(exact, y.getAtIndex(JAVA_FLOAT, o), tolerance, format.name());
                    }
                });
    }

    @Test
    void scalesThatAreNoNumbersStayNoNumbers() {
        for (WeightFormat format : formats()) {
            if (format == WeightFormat.MXFP4) {
                continue; // every exponent is a number
            }
            for (int half : new int[] {0x7C00, 0xFC00, 0x7E00, 0x7D01}) {
                byte[] source = GgmlBlocks.random(new Random(3), format, 2);
                GgmlBlocks.fillHalves(format, source, half);
                int cols = format.columnMultiple();
                PackedMatrix packed =
                        Packing.packBlocks(format, List.of(memory(source)), cols, arena);
                for (int c = 0; c < cols; c++) {
                    float expected = expected(format, source, cols, 1, c);
                    assertEquals(expected, Packing.weight(packed, 1, c), format + " " + half);
                }
            }
        }
    }

    @Test
    void blocksThatAreNoWholeRowsAreRefused() {
        String message =
                assertThrows(
                                IllegalArgumentException.class,
                                () ->
                                        Packing.packBlocks(
                                                WeightFormat.Q4_K,
                                                List.of(arena.allocate(144 * 3)),
                                                512,
                                                arena))
                        .getMessage();
        assertTrue(message.contains("bytes=432") && message.contains("rowBytes=288"), message);
    }

    @Test
    void columnsThatAreNoWholeBlocksAreRefused() {
        for (WeightFormat format : formats()) {
            int cols = format.columnMultiple() + 16;
            assertThrows(
                    IllegalArgumentException.class,
                    () -> Packing.packBlocks(format, List.of(arena.allocate(1000)), cols, arena));
            assertThrows(
                    IllegalArgumentException.class,
                    () -> new PackedMatrix(arena.allocate(64), format, 1, cols));
        }
    }

    @Test
    void formatsWithoutBlocksAreRefused() {
        for (WeightFormat format :
                List.of(
                        WeightFormat.F32,
                        WeightFormat.BF16,
                        WeightFormat.F8_E4M3,
                        WeightFormat.Q8,
                        WeightFormat.NVFP4,
                        WeightFormat.INT4_32_F16)) {
            assertThrows(
                    IllegalArgumentException.class,
                    () -> Packing.packBlocks(format, List.of(arena.allocate(1024)), 32, arena));
        }
    }

    @Test
    void paddingOutputsAreZero() {
        for (WeightFormat format : formats()) {
            int cols = format.columnMultiple();
            MemorySegment dirty = arena.allocate(1 << 14, 64).fill((byte) 77);
            MemorySegment source = memory(GgmlBlocks.random(new Random(4), format, 3));
            PackedMatrix packed =
                    Packing.packBlocks(
                            format, List.of(source), cols, (bytes, _) -> dirty.asSlice(0, bytes));
            for (int o = 3; o < 16; o++) {
                for (int c = 0; c < cols; c++) {
                    assertEquals(0, Packing.weight(packed, o, c), 0, format + " output " + o);
                }
            }
        }
    }
}
