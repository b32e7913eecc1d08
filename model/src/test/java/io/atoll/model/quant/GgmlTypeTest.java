package io.atoll.model.quant;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.atoll.model.Seeds;
import io.atoll.model.checkpoint.Checkpoint;
import io.atoll.model.checkpoint.Tensor;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

class GgmlTypeTest {

    /// The values in the file are those of the `gguf` Python package.
    @ParameterizedTest
    @EnumSource(mode = EnumSource.Mode.EXCLUDE, names = "F32")
    void goldenBlocksDecodeToTheSameBits(GgmlType type) {
        try (Checkpoint golden = Checkpoint.open(TestResources.file("ggml.safetensors"))) {
            int sets = 0;
            for (String set : new String[] {"random", "gaussian"}) {
                String name = type + "." + set;
                if (golden.contains(name + ".blocks")) {
                    Tensor blocks = golden.require(name + ".blocks");
                    float[] expected = golden.require(name + ".values").floats();
                    float[] found = new float[expected.length];
                    type.dequantize(blocks.data(), 0, found, 0, found.length);
                    assertSameNumbers(expected, found, name);
                    sets++;
                }
            }
            assertTrue(sets > 0, "no golden blocks of " + type);
        }
    }

    @ParameterizedTest
    @EnumSource
    void everyDecoderAgreesWithItsFormula(GgmlType type) {
        Seeds.forAll(
                20,
                random -> {
                    int blocks = 1 + random.nextInt(4);
                    int lead = random.nextInt(5); // nothing is aligned in a file
                    byte[] bytes = new byte[lead + blocks * type.blockBytes()];
                    random.nextBytes(bytes);
                    keepHalvesFinite(bytes);
                    int elements = blocks * type.blockElements();
                    float[] found = new float[elements + 3];
                    type.dequantize(MemorySegment.ofArray(bytes), lead, found, 3, elements);
                    for (int i = 0; i < elements; i++) {
                        int start = lead + i / type.blockElements() * type.blockBytes();
                        byte[] block = Arrays.copyOfRange(bytes, start, start + type.blockBytes());
                        float expected =
                                GgmlFormulas.element(type, block, i % type.blockElements());
                        assertTrue(
                                expected == found[3 + i] || Float.isNaN(expected),
                                type + " element " + i + ": " + expected + " " + found[3 + i]);
                    }
                });
    }

    @Test
    void segmentsTakeTheSameValuesAsArrays() {
        byte[] bytes = new byte[3 * GgmlType.Q6_K.blockBytes()];
        new Random(1).nextBytes(bytes);
        keepHalvesFinite(bytes);
        MemorySegment blocks = MemorySegment.ofArray(bytes);
        float[] expected = new float[768];
        GgmlType.Q6_K.dequantize(blocks, 0, expected, 0, 768);
        MemorySegment out = MemorySegment.ofArray(new byte[4 * 768]);
        GgmlType.Q6_K.dequantize(blocks, 0, out, 768);
        for (int i = 0; i < 768; i++) {
            assertEquals(expected[i], out.get(ValueLayout.JAVA_FLOAT_UNALIGNED, 4L * i));
        }
    }

    @ParameterizedTest
    @EnumSource
    void numbersInFilesLeadBackToTheirType(GgmlType type) {
        assertSame(type, GgmlType.of(type.id()));
    }

    @ParameterizedTest
    @CsvSource({
        "16, IQ2_XXS, Q4_K",
        "18, IQ3_XXS, Q4_K",
        "19, IQ1_S, Q4_K",
        "21, IQ3_S, IQ4_XS",
        "29, IQ1_M, Q4_K",
        "15, Q8_K, Q8_0",
        "32, Q4_0_4_8, Q4_0",
        "34, TQ1_0, Q2_K",
        "28, F64, F32",
        "137, 137, Q4_K",
        "-1, 4294967295, Q8_0"
    })
    void unsupportedTypesAreNamedWithAnAlternative(int id, String name, String instead) {
        UnsupportedTypeException e =
                assertThrows(UnsupportedTypeException.class, () -> GgmlType.of(id));
        assertTrue(
                e.getMessage().contains(name) && e.getMessage().contains(instead), e.getMessage());
    }

    @Test
    void sizesAreWholeBlocksAndDoNotOverflow() {
        assertEquals(144L * 16, GgmlType.Q4_K.bytes(4096));
        assertEquals(0, GgmlType.Q4_K.bytes(0));
        assertEquals(2L * 1024 * 1024 * 1024 / 32 * 34, GgmlType.Q8_0.bytes(1L << 31));
        assertThrows(IllegalArgumentException.class, () -> GgmlType.Q4_K.bytes(128));
        assertThrows(IllegalArgumentException.class, () -> GgmlType.F32.bytes(-1));
        assertThrows(ArithmeticException.class, () -> GgmlType.F32.bytes(1L << 61));
    }

    @Test
    void readingOrWritingPastTheEndIsRefused() {
        MemorySegment one = MemorySegment.ofArray(new byte[34]);
        float[] out = new float[32];
        assertThrows(
                IndexOutOfBoundsException.class,
                () -> GgmlType.Q8_0.dequantize(one, 1, out, 0, 32));
        assertThrows(
                IndexOutOfBoundsException.class,
                () -> GgmlType.Q8_0.dequantize(one, 0, out, 1, 32));
        assertThrows(
                IndexOutOfBoundsException.class,
                () -> GgmlType.Q8_0.dequantize(one, 0, MemorySegment.ofArray(out).asSlice(4), 32));
    }

    private static void assertSameNumbers(float[] expected, float[] found, String name) {
        for (int i = 0; i < expected.length; i++) {
            // Not assertEquals: the two zeros are the same number.
            assertTrue(
                    expected[i] == found[i],
                    name + " element " + i + ": expected " + expected[i] + ", found " + found[i]);
        }
    }

    /// Clears one exponent bit of every byte that may be the upper one of a half, so that no scale is infinite or NaN and
    /// the comparison by value means something.
    private static void keepHalvesFinite(byte[] bytes) {
        for (int i = 0; i < bytes.length; i++) {
            if ((bytes[i] & 0x7C) == 0x7C) {
                bytes[i] ^= 0x40;
            }
        }
    }
}
