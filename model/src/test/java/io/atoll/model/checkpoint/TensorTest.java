package io.atoll.model.checkpoint;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;

class TensorTest {
    private static final Path FILE = Path.of("w.safetensors");

    @Test
    void everyFloatTypeWidens() {
        ByteBuffer bytes = ByteBuffer.allocate(16).order(ByteOrder.LITTLE_ENDIAN);
        bytes.putDouble(0, 1.5).putDouble(8, -2);
        assertArrayEquals(new float[] {1.5f, -2}, tensor(DType.F64, bytes.array(), 2).floats());
        bytes.putFloat(0, 1.1f).putFloat(4, -0f).putFloat(8, Float.NaN).putFloat(12, 3);
        assertArrayEquals(
                new float[] {1.1f, -0f, Float.NaN, 3},
                tensor(DType.F32, bytes.array(), 4).floats());
        byte[] half = {0x00, 0x3C, 0x00, (byte) 0xC0};
        assertArrayEquals(new float[] {1, -2}, tensor(DType.F16, half, 2).floats());
        byte[] brain = {(byte) 0x80, 0x3F, 0x00, (byte) 0xC0};
        assertArrayEquals(new float[] {1, -2}, tensor(DType.BF16, brain, 2).floats());
    }

    @Test
    void integersAndScaledFloatsDoNotWiden() {
        Tensor tensor = tensor(DType.F8_E4M3, new byte[3], 3);
        CheckpointException refusal = assertThrows(CheckpointException.class, tensor::floats);
        assertTrue(refusal.getMessage().contains("F8_E4M3"), refusal.getMessage());
        assertThrows(CheckpointException.class, tensor::expectFloats);
    }

    @Test
    void slicesOfTheFirstDimensionShareTheirBytes() {
        byte[] bytes = new byte[24];
        for (int i = 0; i < bytes.length; i++) {
            bytes[i] = (byte) i;
        }
        Tensor tensor = tensor(DType.U8, bytes, 4, 3, 2);
        Tensor one = tensor.slice(2);
        assertArrayEquals(new long[] {3, 2}, one.shape());
        assertEquals(12, one.data().get(java.lang.foreign.ValueLayout.JAVA_BYTE, 0));
        Tensor run = tensor.slices(1, 2);
        assertArrayEquals(new long[] {2, 3, 2}, run.shape());
        assertEquals(6, run.data().get(java.lang.foreign.ValueLayout.JAVA_BYTE, 0));
        bytes[12] = 99;
        assertEquals(99, one.data().get(java.lang.foreign.ValueLayout.JAVA_BYTE, 0));
        assertThrows(IndexOutOfBoundsException.class, () -> tensor.slice(4));
        assertThrows(IndexOutOfBoundsException.class, () -> tensor.slices(3, 2));
    }

    @Test
    void partOfATensorWidensIntoPlace() {
        Tensor tensor =
                tensor(DType.BF16, new byte[] {0, 0, (byte) 0x80, 0x3F, 0, 0x40, 0x40, 0x40}, 4);
        float[] target = new float[4];
        tensor.floats(1, target, 2, 2);
        assertArrayEquals(new float[] {0, 0, 1, 2}, target);
        assertThrows(IndexOutOfBoundsException.class, () -> tensor.floats(3, target, 0, 2));
        assertThrows(IndexOutOfBoundsException.class, () -> tensor.floats(0, target, 3, 2));
    }

    @Test
    void unexpectedShapeNamesTensorFileAndBothShapes() {
        Tensor tensor = tensor(DType.U8, new byte[6], 2, 3);
        CheckpointException refusal =
                assertThrows(CheckpointException.class, () -> tensor.expectShape(3, 2));
        assertEquals("w.safetensors: t: expected shape [3, 2], found [2, 3]", refusal.getMessage());
    }

    private static Tensor tensor(DType dtype, byte[] bytes, long... shape) {
        return new Tensor("t", dtype, shape, MemorySegment.ofArray(bytes), FILE);
    }
}
