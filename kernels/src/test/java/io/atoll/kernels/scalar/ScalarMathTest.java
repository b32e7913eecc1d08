package io.atoll.kernels.scalar;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;

final class ScalarMathTest {
    @Test
    void expIsWithinTwoTenMillionthsOverItsRange() {
        double worst = 0;
        for (float x = -87.3f; x <= 88.3f; x += 0.000127f) {
            double exact = Math.exp(x);
            worst = Math.max(worst, Math.abs(ScalarMath.exp(x) - exact) / exact);
        }
        assertTrue(worst < 2e-7, "relative error " + worst);
    }

    @Test
    void expStopsAtItsEnds() {
        assertEquals(0f, ScalarMath.exp(Math.nextDown(-87.3f)));
        assertEquals(0f, ScalarMath.exp(Float.NEGATIVE_INFINITY));
        assertTrue(ScalarMath.exp(-87.3f) >= Float.MIN_NORMAL);
        assertTrue(Float.isFinite(ScalarMath.exp(88.3f)));
        assertEquals(ScalarMath.exp(88.3f), ScalarMath.exp(Float.POSITIVE_INFINITY));
        assertTrue(Float.isNaN(ScalarMath.exp(Float.NaN)));
        assertEquals(1f, ScalarMath.exp(0f));
        assertEquals(1f, ScalarMath.exp(-0f));
    }

    @Test
    void softplusIsLog1pOfExp() {
        for (float x = -80f; x < 30f; x += 0.00173f) {
            double exact = Math.log1p(Math.exp(x));
            assertEquals(exact, ScalarMath.softplus(x), 6e-7 * exact, "x=" + x);
        }
        assertTrue(Float.isNaN(ScalarMath.softplus(Float.NaN)));
        assertEquals(0f, ScalarMath.softplus(Float.NEGATIVE_INFINITY));
    }

    @Test
    void sigmoidAndSiluSaturateWithoutNaN() {
        for (float x : new float[] {-1e30f, -200f, -88.4f, 88.4f, 200f, 1e30f}) {
            assertEquals(x < 0 ? 0f : 1f, ScalarMath.sigmoid(x), 1e-37f, "x=" + x);
        }
        assertEquals(100f, ScalarMath.silu(100f));
        assertEquals(0f, ScalarMath.silu(-100f), 1e-35f);
    }
}
