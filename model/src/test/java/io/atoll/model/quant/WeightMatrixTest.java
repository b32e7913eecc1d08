package io.atoll.model.quant;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.Random;
import org.junit.jupiter.api.Test;

class WeightMatrixTest {
    private static GgmlMatrix random(GgmlType type, int rows, int cols, float scale) {
        byte[] blocks = new byte[(int) type.bytes((long) rows * cols)];
        new Random(7).nextBytes(blocks);
        MemorySegment data = MemorySegment.ofArray(blocks);
        return new GgmlMatrix("m", type, rows, cols, data, Path.of("test"), scale);
    }

    @Test
    void segmentsLargerThanOneBatchAreFilledRowByRow() {
        GgmlMatrix matrix = random(GgmlType.MXFP4, 400, 320, 1f);
        assertTrue(400 * 320 > WeightMatrix.BATCH_ELEMENTS);
        float[] all = matrix.floats();
        MemorySegment out = MemorySegment.ofArray(new byte[4 * 390 * 320]);
        matrix.decodeRows(7, 390, out);
        for (int i = 0; i < 390 * 320; i++) {
            float found = out.get(ValueLayout.JAVA_FLOAT_UNALIGNED, 4L * i);
            assertEquals(all[7 * 320 + i], found);
        }
    }

    @Test
    void rowsOutsideTheMatrixAreRefused() {
        GgmlMatrix matrix = random(GgmlType.MXFP4, 4, 32, 1f);
        float[] out = new float[64];
        assertThrows(IndexOutOfBoundsException.class, () -> matrix.decodeRows(3, 2, out, 0));
        assertThrows(IndexOutOfBoundsException.class, () -> matrix.decodeRows(0, 2, out, 1));
        MemorySegment segment = MemorySegment.ofArray(out);
        assertThrows(IndexOutOfBoundsException.class, () -> matrix.decodeRows(0, 3, segment));
    }

    @Test
    void theFactorOfATensorMultipliesEveryWeight() {
        float[] plain = random(GgmlType.NVFP4, 2, 64, 1f).floats();
        GgmlMatrix scaled = random(GgmlType.NVFP4, 2, 64, 0.25f);
        for (int i = 0; i < plain.length; i++) {
            assertEquals(plain[i] * 0.25f, scaled.floats()[i]);
        }
    }

    @Test
    void onlyPlainFloatsAreLentAsTheyAre() {
        assertTrue(random(GgmlType.BF16, 2, 3, 1f).plain().isPresent());
        assertTrue(random(GgmlType.Q8_0, 2, 32, 1f).plain().isEmpty());
    }
}
