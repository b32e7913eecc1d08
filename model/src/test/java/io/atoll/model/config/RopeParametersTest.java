package io.atoll.model.config;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.List;
import java.util.OptionalDouble;
import org.junit.jupiter.api.Test;

class RopeParametersTest {
    private static final RopeParameters RELEASED =
            RopeParameters.plain(1e7, 0.25, List.of(11, 11, 10), 262_144);

    @Test
    void plainFrequenciesAreThePowersOfTheta() {
        float[] frequencies = RELEASED.inverseFrequencies(64);
        assertEquals(32, frequencies.length);
        assertEquals(1f, frequencies[0]);
        for (int i = 0; i < 32; i++) {
            double exact = Math.pow(1e7, -2.0 * i / 64);
            assertEquals(
                    exact,
                    frequencies[i],
                    3e-7 * exact); // two roundings to f32 and one in the exponent
        }
        assertEquals(1f, RELEASED.attentionFactor());
    }

    @Test
    void yarnOfAReleaseKeepsFastFrequenciesAndDividesSlowOnes() {
        float[] plain = RELEASED.inverseFrequencies(64);
        float[] stretched = RELEASED.withYarn(4).inverseFrequencies(64);
        assertEquals(plain[13], stretched[13]);
        assertEquals(1.433013e-3, stretched[13], 1e-9);
        assertEquals(8.659643e-4, stretched[14], 1e-10);
        assertEquals(4.742398e-4, stretched[15], 1e-10);
        assertEquals(7.217387e-5, stretched[18], 1e-11);
        assertEquals(8.759770e-6, stretched[21], 1e-12);
        assertEquals(3.849816e-6, stretched[22], 1e-12);
        assertEquals(plain[31] / 4, stretched[31], 1e-14);
        assertEquals(1.138629f, RELEASED.withYarn(4).attentionFactor(), 1e-6f);
        assertEquals(1.069315f, RELEASED.withYarn(2).attentionFactor(), 1e-6f);
        assertEquals(1_048_576, RELEASED.withYarn(4).stretchedMaxPositions());
    }

    @Test
    void yarnOfTheDemoModelEqualsTheReferenceBitForBit() {
        // Printed by the reference implementation for these parameters.
        double[] expected = {
            1.0,
            0.13337095081806183,
            0.015811389312148094,
            0.0014058533124625683,
            0.0002500000118743628,
            4.4456985051510856e-05,
            7.905693564680405e-06,
            1.405853367941745e-06
        };
        RopeParameters yarn = RopeParameters.plain(1e6, 0.25, List.of(3, 3, 2), 256).withYarn(4);
        float[] bits = new float[expected.length];
        for (int i = 0; i < bits.length; i++) {
            bits[i] = (float) expected[i];
        }
        assertArrayEquals(bits, yarn.inverseFrequencies(16));
        assertEquals((float) 1.138629436111989, yarn.attentionFactor());
    }

    @Test
    void attentionFactorOfTheFileWins() {
        RopeParameters given =
                new RopeParameters(
                        RopeParameters.Type.YARN,
                        1e7,
                        0.25,
                        List.of(11, 11, 10),
                        true,
                        4,
                        262_144,
                        32,
                        1,
                        OptionalDouble.of(1.5));
        assertEquals(1.5f, given.attentionFactor());
    }

    @Test
    void factorOneStretchesNothing() {
        assertArrayEquals(
                RELEASED.inverseFrequencies(64), RELEASED.withYarn(1).inverseFrequencies(64));
        assertEquals(1f, RELEASED.withYarn(1).attentionFactor());
    }

    @Test
    void badValuesAreRefused() {
        assertThrows(IllegalArgumentException.class, () -> RELEASED.inverseFrequencies(63));
        assertThrows(IllegalArgumentException.class, () -> RELEASED.withYarn(0.5));
        assertThrows(IllegalArgumentException.class, () -> RELEASED.withYarn(Double.NaN));
        assertThrows(
                IllegalArgumentException.class,
                () -> RopeParameters.plain(1, 0.25, List.of(1, 1, 1), 8));
        assertThrows(
                IllegalArgumentException.class,
                () -> RopeParameters.plain(1e7, 0.25, List.of(1, 1), 8));
    }
}
