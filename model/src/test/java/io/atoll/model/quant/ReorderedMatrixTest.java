package io.atoll.model.quant;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.Arrays;
import org.junit.jupiter.api.Test;

class ReorderedMatrixTest {
    private static final int[] ORDER = {1, 2, 0};

    /// Element (row, column) holds `100 row + column`.
    private static WeightMatrix numbered(int rows, int cols) {
        float[] values = new float[rows * cols];
        for (int i = 0; i < values.length; i++) {
            int row = i / cols;
            values[i] = 100f * row + i % cols;
        }
        MemorySegment bytes = MemorySegment.ofArray(new byte[4 * values.length]);
        MemorySegment.copy(MemorySegment.ofArray(values), 0, bytes, 0, bytes.byteSize());
        return new GgmlMatrix("m", GgmlType.F32, rows, cols, bytes, Path.of("test"), 1f);
    }

    @Test
    void rowsMoveInRunsAfterTheKeptOnes() {
        WeightMatrix matrix =
                new ReorderedMatrix(numbered(7, 1), ReorderedMatrix.Axis.ROWS, 1, 2, ORDER);
        assertArrayEquals(new float[] {0, 300, 400, 500, 600, 100, 200}, matrix.floats());
    }

    @Test
    void anyRangeOfRowsIsTheSameAsThatPartOfAll() {
        ReorderedMatrix matrix =
                new ReorderedMatrix(numbered(7, 3), ReorderedMatrix.Axis.ROWS, 1, 2, ORDER);
        float[] all = matrix.floats();
        for (int first = 0; first < 7; first++) {
            for (int count = 0; count <= 7 - first; count++) {
                float[] part = new float[count * 3];
                matrix.decodeRows(first, count, part, 0);
                assertArrayEquals(Arrays.copyOfRange(all, 3 * first, 3 * (first + count)), part);
            }
            assertEquals(100f * matrix.sourceIndex(first), all[3 * first]);
        }
    }

    @Test
    void columnsMoveInEveryRow() {
        WeightMatrix matrix =
                new ReorderedMatrix(numbered(2, 7), ReorderedMatrix.Axis.COLUMNS, 1, 2, ORDER);
        assertArrayEquals(
                new float[] {0, 3, 4, 5, 6, 1, 2, 100, 103, 104, 105, 106, 101, 102},
                matrix.floats());
    }

    @Test
    void onlyPermutationsOfWholeRunsAreTaken() {
        WeightMatrix source = numbered(6, 1);
        assertThrows(
                IllegalArgumentException.class,
                () ->
                        new ReorderedMatrix(
                                source, ReorderedMatrix.Axis.ROWS, 0, 2, new int[] {0, 1, 1}));
        assertThrows(
                IllegalArgumentException.class,
                () -> new ReorderedMatrix(source, ReorderedMatrix.Axis.ROWS, 1, 2, ORDER));
    }
}
