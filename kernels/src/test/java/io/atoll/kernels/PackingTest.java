package io.atoll.kernels;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT_UNALIGNED;
import static java.lang.foreign.ValueLayout.JAVA_SHORT_UNALIGNED;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

final class PackingTest {
    private final Arena arena = Arena.ofConfined();

    @AfterEach
    void free() {
        arena.close();
    }

    /// Rows at an odd address, as a mapped checkpoint may have them.
    private RowSource source(Random random, SourceType type, int rows, int cols) {
        MemorySegment data = arena.allocate((long) rows * cols * type.bytes() + 1).asSlice(1);
        for (long i = 0; i < (long) rows * cols; i++) {
            float x = random.nextFloat() * 2 - 1;
            switch (type) {
                case F32 -> data.set(JAVA_FLOAT_UNALIGNED, 4 * i, x);
                case BF16 ->
                        data.set(
                                JAVA_SHORT_UNALIGNED,
                                2 * i,
                                (short) (Float.floatToRawIntBits(x) >>> 16));
                case F16 -> data.set(JAVA_SHORT_UNALIGNED, 2 * i, Float.floatToFloat16(x));
            }
        }
        return new RowSource(data, type, rows);
    }

    private static float value(RowSource source, long i) {
        return switch (source.type()) {
            case F32 -> source.data().get(JAVA_FLOAT_UNALIGNED, 4 * i);
            case BF16 -> Float.intBitsToFloat(source.data().get(JAVA_SHORT_UNALIGNED, 2 * i) << 16);
            case F16 -> Float.float16ToFloat(source.data().get(JAVA_SHORT_UNALIGNED, 2 * i));
        };
    }

    private float[] unpacked(PackedMatrix packed) {
        MemorySegment out = arena.allocate(4L * packed.rows() * packed.cols(), 4);
        Packing.unpack(packed, out);
        return out.toArray(JAVA_FLOAT);
    }

    @Test
    void packingKeepsEveryValueOfEverySource() {
        Random random = new Random(1);
        for (WeightFormat format : List.of(WeightFormat.F32, WeightFormat.BF16)) {
            for (SourceType type : SourceType.values()) {
                if (!Packing.keepsValues(type, format)) {
                    continue;
                }
                for (int rows : new int[] {1, 15, 16, 17, 40}) {
                    int cols = 1 + random.nextInt(50);
                    RowSource first = source(random, type, rows, cols);
                    RowSource second = source(random, type, 3, cols);
                    PackedMatrix packed = Packing.pack(format, List.of(first, second), cols, arena);
                    float[] values = unpacked(packed);
                    assertEquals(rows + 3, packed.rows());
                    for (int i = 0; i < values.length; i++) {
                        int inFirst = rows * cols;
                        float expected = i < inFirst ? value(first, i) : value(second, i - inFirst);
                        assertEquals(expected, values[i], format + " " + type + " value " + i);
                    }
                }
            }
        }
    }

    @Test
    void packingThatWouldRoundIsRefused() {
        RowSource f32 = source(new Random(1), SourceType.F32, 2, 32);
        RowSource f16 = source(new Random(1), SourceType.F16, 2, 32);
        for (RowSource source : List.of(f32, f16)) {
            assertThrows(
                    IllegalArgumentException.class,
                    () -> Packing.pack(WeightFormat.BF16, List.of(source), 32, arena));
            assertThrows(
                    IllegalArgumentException.class,
                    () -> Packing.pack(WeightFormat.Q8, List.of(source), 32, arena));
        }
    }

    @Test
    void sourceThatIsTooShortIsRefused() {
        RowSource source = new RowSource(arena.allocate(4 * 63), SourceType.F32, 2);
        assertThrows(
                IllegalArgumentException.class,
                () -> Packing.pack(WeightFormat.F32, List.of(source), 32, arena));
        assertThrows(
                IllegalArgumentException.class, () -> Packing.quantize(List.of(source), 32, arena));
    }

    @Test
    void packedMemoryIsAlignedAndItsPaddingIsZero() {
        MemorySegment dirty = arena.allocate(1 << 16, 64).fill((byte) 77);
        RowSource source = source(new Random(2), SourceType.BF16, 3, 64);
        List<PackedMatrix> matrices = new ArrayList<>();
        matrices.add(
                Packing.pack(
                        WeightFormat.F32,
                        List.of(source),
                        64,
                        (bytes, _) -> dirty.asSlice(0, bytes)));
        matrices.add(
                Packing.pack(
                        WeightFormat.BF16,
                        List.of(source),
                        64,
                        (bytes, _) -> dirty.asSlice(16384, bytes)));
        matrices.add(
                Packing.quantize(List.of(source), 64, (bytes, _) -> dirty.asSlice(32768, bytes)));
        for (PackedMatrix packed : matrices) {
            assertEquals(0, packed.data().address() % 64);
            for (int o = 3; o < 16; o++) {
                for (int c = 0; c < 64; c++) {
                    assertEquals(
                            0, Packing.weight(packed, o, c), 0, packed.format() + " output " + o);
                }
            }
        }
    }

    @Test
    void quantisedWeightsAreWithinHalfAScale() {
        RowSource source = source(new Random(4), SourceType.F32, 21, 96);
        PackedMatrix packed = Packing.quantize(List.of(source), 96, arena);
        float[] values = unpacked(packed);
        for (int i = 0; i < values.length; i += 32) {
            float max = 0;
            for (int j = i; j < i + 32; j++) {
                max = Math.max(max, Math.abs(value(source, j)));
            }
            for (int j = i; j < i + 32; j++) {
                assertEquals(value(source, j), values[j], max / 127 * 0.5001f);
            }
        }
    }

    @Test
    void weightThatIsNotFiniteCannotBeQuantised() {
        RowSource source = source(new Random(5), SourceType.F32, 2, 32);
        source.data().set(JAVA_FLOAT_UNALIGNED, 4 * 40, Float.NaN);
        String message =
                assertThrows(
                                IllegalArgumentException.class,
                                () -> Packing.quantize(List.of(source), 32, arena))
                        .getMessage();
        assertTrue(message.contains("output=1 column=8"), message);
    }

    @Test
    void quantisedSourcesKeepTheirBytesAndScales() {
        Random random = new Random(6);
        MemorySegment quants = arena.allocate(18 * 64);
        MemorySegment scales = arena.allocate(18 * 2 * 4, 4);
        for (int i = 0; i < 18 * 64; i++) {
            quants.set(JAVA_BYTE, i, (byte) random.nextInt());
        }
        for (int i = 0; i < 36; i++) {
            scales.setAtIndex(JAVA_FLOAT, i, random.nextFloat());
        }
        QuantizedRows source = new QuantizedRows(quants, scales, 18);
        float[] values = unpacked(Packing.packQuantized(List.of(source), 64, arena));
        for (int i = 0; i < values.length; i++) {
            assertEquals(
                    quants.get(JAVA_BYTE, i) * scales.getAtIndex(JAVA_FLOAT, i / 32), values[i]);
        }
    }

    /// A reader over plain floats that checks it is asked for every row once, in order.
    private RowReader reader(MemorySegment values, int cols) {
        int[] next = {0};
        return (first, count, rows) -> {
            assertEquals(next[0], first);
            assertEquals(4L * count * cols, rows.byteSize());
            next[0] += count;
            MemorySegment.copy(values, 4L * first * cols, rows, 0, rows.byteSize());
        };
    }

    @Test
    void computedRowsArePackedAsStoredOnesAre() {
        Random random = new Random(7);
        for (int[] size : new int[][] {{1, 32}, {40, 96}, {37, 1 << 12}, {3, 1 << 17}}) {
            RowSource bf16 = source(random, SourceType.BF16, size[0], size[1]);
            MemorySegment widened = arena.allocate(4L * size[0] * size[1], 4);
            for (long i = 0; i < (long) size[0] * size[1]; i++) {
                widened.setAtIndex(JAVA_FLOAT, i, value(bf16, i));
            }
            for (WeightFormat format : List.of(WeightFormat.F32, WeightFormat.BF16)) {
                RowReader reader = reader(widened, size[1]);
                PackedMatrix packed = Packing.pack(format, size[0], size[1], reader, arena);
                PackedMatrix expected = Packing.pack(format, List.of(bf16), size[1], arena);
                assertEquals(-1, expected.data().mismatch(packed.data()), format.toString());
            }
            RowReader reader = reader(widened, size[1]);
            PackedMatrix packed = Packing.quantize(size[0], size[1], reader, arena);
            PackedMatrix expected = Packing.quantize(List.of(bf16), size[1], arena);
            assertEquals(-1, expected.data().mismatch(packed.data()));
        }
    }

    @Test
    void computedRowsThatBf16DoesNotHoldAreRefused() {
        MemorySegment values = arena.allocate(4 * 64, 4);
        values.setAtIndex(JAVA_FLOAT, 35, 0.1f);
        RowReader reader = reader(values, 32);
        String message =
                assertThrows(
                                IllegalArgumentException.class,
                                () -> Packing.pack(WeightFormat.BF16, 2, 32, reader, arena))
                        .getMessage();
        assertTrue(message.contains("output=1 column=3 value=0.1"), message);
        assertThrows(
                IllegalArgumentException.class,
                () -> Packing.pack(WeightFormat.Q8, 2, 32, reader, arena));
    }
}
