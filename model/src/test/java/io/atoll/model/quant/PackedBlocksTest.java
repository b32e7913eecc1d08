package io.atoll.model.quant;

import static org.junit.jupiter.api.Assertions.assertTrue;

import io.atoll.kernels.PackedMatrix;
import io.atoll.kernels.Packing;
import io.atoll.kernels.WeightFormat;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/// What the kernels' packed formats decode to is what this package decodes.
final class PackedBlocksTest {
    /// NVFP4 is the one type with blocks that has no packed format.
    @ParameterizedTest
    @EnumSource(
            value = GgmlType.class,
            mode = EnumSource.Mode.EXCLUDE,
            names = {"F32", "F16", "BF16", "NVFP4"})
    void packedFormatOfATypeHasItsValues(GgmlType type) {
        WeightFormat format = WeightFormat.valueOf(type.name());
        long seed = Long.getLong("seed", 1);
        int rows = 37;
        int cols = 2 * type.blockElements();
        byte[] blocks = new byte[(int) type.bytes((long) rows * cols)];
        new Random(seed).nextBytes(blocks);
        float[] expected = new float[rows * cols];
        MemorySegment source = MemorySegment.ofArray(blocks);
        type.dequantize(source, 0, expected, 0, expected.length);
        try (Arena arena = Arena.ofConfined()) {
            PackedMatrix packed = Packing.packBlocks(format, List.of(source), cols, arena);
            for (int i = 0; i < expected.length; i++) {
                float actual = Packing.weight(packed, i / cols, i % cols);
                float value = expected[i];
                boolean bothNone = Float.isNaN(actual) && Float.isNaN(value);
                assertTrue(
                        actual == value || bothNone,
                        type
                                + " element="
                                + i
                                + ": "
                                + actual
                                + ", not "
                                + value
                                + ", -Dseed="
                                + seed);
            }
        }
    }
}
