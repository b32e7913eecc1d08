package io.atoll.attention.sampling;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;

/// Known answers of philox4x32-10 from Random123's `kat_vectors`.
class PhiloxTest {
    @Test
    void zeroCounterAndKeyGiveTheKnownBlock() {
        assertArrayEquals(
                new int[] {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8},
                Philox.block(0, 0, 0, 0, 0, 0));
    }

    @Test
    void allOnesGiveTheKnownBlock() {
        assertArrayEquals(
                new int[] {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd},
                Philox.block(-1, -1, -1, -1, -1, -1));
    }

    @Test
    void digitsOfPiGiveTheKnownBlock() {
        assertArrayEquals(
                new int[] {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1},
                Philox.block(
                        0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344, 0xa4093822, 0x299f31d0));
    }

    @Test
    void uniformTakesTheUpper53BitsOfTheFirstTwoWords() {
        assertEquals((0x6627e8d5e169c58dL >>> 11) * 0x1p-53, Philox.uniform(0, 0));
        assertEquals((0x408f276d41c83b0eL >>> 11) * 0x1p-53, firstOf(-1, -1, -1, -1, -1, -1));
    }

    private static double firstOf(int c0, int c1, int c2, int c3, int k0, int k1) {
        int[] block = Philox.block(c0, c1, c2, c3, k0, k1);
        long bits = ((long) block[0] << 32) | Integer.toUnsignedLong(block[1]);
        return (bits >>> 11) * 0x1p-53;
    }

    @Test
    void bothHalvesOfSeedAndPositionMatter() {
        double base = Philox.uniform(1, 1);
        assertNotEquals(base, Philox.uniform(1 + (1L << 32), 1));
        assertNotEquals(base, Philox.uniform(2, 1));
        assertNotEquals(base, Philox.uniform(1, 1 + (1L << 32)));
        assertNotEquals(base, Philox.uniform(1, 2));
    }

    @Test
    void drawsFillTheUnitIntervalEvenly() {
        int[] tenths = new int[10];
        for (int position = 0; position < 10_000; position++) {
            double u = Philox.uniform(42, position);
            assertTrue(u >= 0 && u < 1, () -> "out of range: " + u);
            tenths[(int) (10 * u)]++;
        }
        for (int count : tenths) {
            assertEquals(1000, count, 150); // five standard deviations
        }
    }
}
