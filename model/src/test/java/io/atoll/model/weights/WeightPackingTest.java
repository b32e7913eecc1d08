package io.atoll.model.weights;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.atoll.kernels.PackedMatrix;
import io.atoll.kernels.Packing;
import io.atoll.kernels.WeightFormat;
import io.atoll.model.checkpoint.Checkpoint;
import io.atoll.model.checkpoint.CheckpointException;
import io.atoll.model.checkpoint.DType;
import io.atoll.model.checkpoint.SafetensorsWriter;
import io.atoll.model.checkpoint.TensorNames;
import io.atoll.model.quant.CheckpointWeights;
import io.atoll.model.quant.GgmlMatrix;
import io.atoll.model.quant.GgmlType;
import io.atoll.model.quant.ReorderedMatrix;
import io.atoll.model.quant.WeightMatrix;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class WeightPackingTest {
    private static final Path FILE = Path.of("weights");
    private static final int COLS = 64;

    private final Arena arena = Arena.ofConfined();
    private final Random random = new Random(3);

    @TempDir Path directory;

    @AfterEach
    void free() {
        arena.close();
    }

    private WeightMatrix matrix(GgmlType type, int rows) {
        return matrix(type, rows, COLS);
    }

    private WeightMatrix matrix(GgmlType type, int rows, int cols) {
        byte[] blocks = new byte[(int) type.bytes((long) rows * cols)];
        random.nextBytes(blocks);
        for (int i = 1; i < blocks.length; i += 2) {
            blocks[i] &= 0x3F; // no NaN in any type, nor anything huge
        }
        return new GgmlMatrix(
                type.name(), type, rows, cols, MemorySegment.ofArray(blocks), FILE, 1f);
    }

    private float[] unpacked(PackedMatrix packed) {
        MemorySegment out = arena.allocate(4L * packed.rows() * packed.cols(), 4);
        Packing.unpack(packed, out);
        return out.toArray(ValueLayout.JAVA_FLOAT);
    }

    private static float[] below(WeightMatrix... matrices) {
        List<Float> all = new ArrayList<>();
        for (WeightMatrix matrix : matrices) {
            for (float value : matrix.floats()) {
                all.add(value);
            }
        }
        float[] values = new float[all.size()];
        for (int i = 0; i < values.length; i++) {
            values[i] = all.get(i);
        }
        return values;
    }

    @Test
    void matricesOfAnyKindLieBelowEachOtherUnchanged() {
        WeightMatrix[] matrices = {
            matrix(GgmlType.BF16, 3),
            matrix(GgmlType.Q8_0, 2000), // more than one slice
            matrix(GgmlType.F32, 17),
            matrix(GgmlType.F16, 1),
            matrix(GgmlType.Q4_0, 40)
        };
        PackedMatrix packed = WeightPacking.keep(PackingMode.EXACT, FILE, List.of(matrices), arena);
        assertEquals(WeightFormat.F32, packed.format());
        assertEquals(2061, packed.rows());
        assertArrayEquals(below(matrices), unpacked(packed));
    }

    @Test
    void bf16StaysBf16AlsoInAnotherOrder() {
        WeightMatrix stored = matrix(GgmlType.BF16, 12);
        int[] order = {2, 0, 1};
        for (WeightMatrix matrix :
                List.of(
                        stored,
                        new ReorderedMatrix(stored, ReorderedMatrix.Axis.ROWS, 0, 4, order),
                        new ReorderedMatrix(stored, ReorderedMatrix.Axis.COLUMNS, 4, 20, order))) {
            PackedMatrix packed =
                    WeightPacking.keep(PackingMode.EXACT, FILE, List.of(matrix, stored), arena);
            assertEquals(WeightFormat.BF16, packed.format());
            assertArrayEquals(below(matrix, stored), unpacked(packed));
        }
    }

    @ParameterizedTest
    @EnumSource(
            value = GgmlType.class,
            mode = EnumSource.Mode.EXCLUDE,
            names = {"F32", "F16", "BF16", "NVFP4"})
    void blocksArePackedAsTheyAreAndMeanTheSame(GgmlType type) {
        WeightMatrix upper = matrix(type, 20, 512);
        WeightMatrix lower = matrix(type, 16, 512);
        PackedMatrix packed =
                WeightPacking.keep(PackingMode.PACKED, FILE, List.of(upper, lower), arena);
        assertEquals(WeightFormat.valueOf(type.name()), packed.format());
        float[] expected = below(upper, lower);
        float[] found = unpacked(packed);
        for (int i = 0; i < expected.length; i++) {
            // Equal numbers, but a zero may have lost its sign.
            assertTrue(expected[i] == found[i], type + " weight " + i + ": " + found[i]);
        }
        PackedMatrix exact =
                WeightPacking.keep(PackingMode.EXACT, FILE, List.of(upper, lower), arena);
        assertEquals(WeightFormat.F32, exact.format());
        assertArrayEquals(expected, unpacked(exact));
    }

    @Test
    void rowsInAnotherOrderStayBlocksButColumnsDoNot() {
        WeightMatrix stored = matrix(GgmlType.Q4_K, 16, 256);
        int[] order = {2, 0, 3, 1};
        WeightMatrix rows = new ReorderedMatrix(stored, ReorderedMatrix.Axis.ROWS, 4, 3, order);
        PackedMatrix packed = WeightPacking.keep(PackingMode.PACKED, FILE, List.of(rows), arena);
        assertEquals(WeightFormat.Q4_K, packed.format());
        PackedMatrix inOrder = WeightPacking.keep(PackingMode.PACKED, FILE, List.of(stored), arena);
        float[] found = unpacked(packed);
        float[] source = unpacked(inOrder);
        int[] expectedRows = {0, 1, 2, 3, 10, 11, 12, 4, 5, 6, 13, 14, 15, 7, 8, 9};
        for (int row = 0; row < 16; row++) {
            for (int col = 0; col < 256; col++) {
                assertEquals(source[expectedRows[row] * 256 + col], found[row * 256 + col]);
            }
        }
        WeightMatrix cols = new ReorderedMatrix(stored, ReorderedMatrix.Axis.COLUMNS, 0, 64, order);
        PackedMatrix decoded = WeightPacking.keep(PackingMode.PACKED, FILE, List.of(cols), arena);
        assertEquals(WeightFormat.F32, decoded.format());
        assertArrayEquals(cols.floats(), unpacked(decoded));
    }

    @Test
    void differentBlocksBelowEachOtherBecomeFloats() {
        List<WeightMatrix> mixed =
                List.of(matrix(GgmlType.Q4_K, 16, 256), matrix(GgmlType.Q5_K, 16, 256));
        assertEquals(WeightFormat.F32, WeightPacking.format(PackingMode.PACKED, mixed));
    }

    @Test
    void factorBesideTheBlocksIsNotLost() {
        byte[] block = new byte[34];
        block[1] = 0x3C;
        block[2] = 7;
        WeightMatrix matrix =
                new GgmlMatrix("w", GgmlType.Q8_0, 1, 32, MemorySegment.ofArray(block), FILE, 0.5f);
        PackedMatrix packed = WeightPacking.keep(PackingMode.PACKED, FILE, List.of(matrix), arena);
        assertEquals(WeightFormat.F32, packed.format());
        assertEquals(3.5f, unpacked(packed)[0]);
    }

    @Test
    void blocksOfAnotherKindAreRefusedWithTheTensor() {
        WeightMatrix matrix = matrix(GgmlType.Q8_0, 4, 64);
        CheckpointException refusal =
                assertThrows(
                        CheckpointException.class,
                        () -> WeightPacking.pack(WeightFormat.Q4_0, FILE, List.of(matrix), arena));
        assertEquals("Q8_0", refusal.where());
        assertTrue(refusal.getMessage().contains("Q4_0"), refusal.getMessage());
    }

    @Test
    void roundingIsAskedForByName() {
        WeightMatrix matrix = matrix(GgmlType.Q4_0, 40);
        PackedMatrix packed = WeightPacking.pack(WeightFormat.Q8, FILE, List.of(matrix), arena);
        float[] expected = matrix.floats();
        float[] found = unpacked(packed);
        for (int i = 0; i < expected.length; i += 32) {
            float largest = 0;
            for (int j = i; j < i + 32; j++) {
                largest = Math.max(largest, Math.abs(expected[j]));
            }
            for (int j = i; j < i + 32; j++) {
                assertEquals(expected[j], found[j], largest / 127 * 0.5001f);
            }
        }
    }

    @Test
    void valuesThatAFormatDoesNotHoldAreRefusedWithTheTensor() {
        WeightMatrix matrix = matrix(GgmlType.Q8_0, 4);
        CheckpointException refusal =
                assertThrows(
                        CheckpointException.class,
                        () -> WeightPacking.pack(WeightFormat.BF16, FILE, List.of(matrix), arena));
        assertEquals("Q8_0", refusal.where());
        assertTrue(refusal.getMessage().contains("BF16"), refusal.getMessage());
    }

    @Test
    void doublesAreRefusedBecauseFloatsDoNotHoldThem() throws IOException {
        Path file = directory.resolve("model.safetensors");
        byte[] zeros = new byte[8 * 4 * COLS];
        new SafetensorsWriter()
                .add("w.weight", DType.F64, new long[] {4, COLS}, MemorySegment.ofArray(zeros))
                .write(file);
        try (Checkpoint checkpoint = Checkpoint.open(file)) {
            WeightMatrix matrix =
                    new CheckpointWeights(checkpoint, Optional.empty(), new TensorNames("model."))
                            .matrix("w.weight");
            CheckpointException refusal =
                    assertThrows(
                            CheckpointException.class,
                            () ->
                                    WeightPacking.keep(
                                            PackingMode.EXACT, FILE, List.of(matrix), arena));
            assertEquals(file, refusal.file());
            assertEquals("w.weight", refusal.where());
            assertTrue(refusal.getMessage().contains("F64"), refusal.getMessage());
        }
    }
}
