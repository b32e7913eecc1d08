package io.atoll.model.checkpoint;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;

class DTypeTest {
    @Test
    void everyBf16SurvivesTheWayThroughF32() {
        for (int bits = 0; bits < 1 << 16; bits++) {
            float wide = DType.bf16ToFloat((short) bits);
            if (Float.isNaN(wide)) {
                assertTrue(Float.isNaN(DType.bf16ToFloat(DType.floatToBf16(wide))));
            } else {
                assertEquals((short) bits, DType.floatToBf16(wide));
            }
        }
    }

    @Test
    void everyHalfHasTheValueOfItsBits() {
        for (int bits = 0; bits < 1 << 16; bits++) {
            int exponent = (bits >> 10) & 31;
            int fraction = bits & 1023;
            double magnitude =
                    switch (exponent) {
                        case 0 -> fraction * 0x1p-24;
                        case 31 -> fraction == 0 ? Double.POSITIVE_INFINITY : Double.NaN;
                        default -> (1024 + fraction) * Math.pow(2, exponent - 25);
                    };
            assertEquals(
                    (float) ((bits >> 15) == 0 ? magnitude : -magnitude),
                    DType.f16ToFloat((short) bits));
            if (!Double.isNaN(magnitude)) {
                assertEquals((short) bits, DType.floatToF16(DType.f16ToFloat((short) bits)));
            }
        }
    }

    @Test
    void bf16RoundsToNearestAndTiesToEven() {
        assertEquals(
                1f,
                DType.bf16ToFloat(
                        DType.floatToBf16(1f + 0x1p-8f))); // a tie, down to the even neighbour
        assertEquals(
                1f + 0x1p-6f,
                DType.bf16ToFloat(DType.floatToBf16(1f + 3 * 0x1p-8f))); // a tie, up to it
        assertEquals(1f + 0x1p-7f, DType.bf16ToFloat(DType.floatToBf16(1f + 0x1p-8f + 0x1p-20f)));
        assertEquals(
                Float.POSITIVE_INFINITY, DType.bf16ToFloat(DType.floatToBf16(Float.MAX_VALUE)));
    }

    @Test
    void namesAreThoseOfTheFormat() {
        assertEquals(DType.F8_E4M3, DType.named("F8_E4M3").orElseThrow());
        assertTrue(DType.named("F4").isEmpty());
        assertTrue(DType.named("bf16").isEmpty());
    }
}
