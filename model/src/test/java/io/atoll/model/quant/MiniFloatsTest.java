package io.atoll.model.quant;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;

class MiniFloatsTest {

    @Test
    void e4m3HasBiasSevenNoInfinitiesAndTwoNans() {
        assertEquals(0x1p-9f, MiniFloats.e4m3(0x01));
        assertEquals(0x1p-6f, MiniFloats.e4m3(0x08));
        assertEquals(1f, MiniFloats.e4m3(0x38));
        assertEquals(448f, MiniFloats.e4m3(0x7E));
        assertEquals(-448f, MiniFloats.e4m3(0xFE));
        assertTrue(Float.isNaN(MiniFloats.e4m3(0x7F)));
        assertTrue(Float.isNaN(MiniFloats.e4m3((byte) 0xFF)));
    }

    @Test
    void e4m3CodesOfOneSignAscend() {
        for (int code = 1; code < 0x7F; code++) {
            assertTrue(MiniFloats.e4m3(code) > MiniFloats.e4m3(code - 1), "code " + code);
            assertEquals(-MiniFloats.e4m3(code), MiniFloats.e4m3(code | 0x80));
        }
    }

    @Test
    void e2m1HasTheValuesOfTheFourBitFloat() {
        for (int code = 0; code < 16; code++) {
            assertEquals((float) GgmlFormulas.e2m1(code), MiniFloats.e2m1(code));
        }
        assertEquals(6f, MiniFloats.e2m1(0xF7)); // upper bits belong to another element
    }

    @Test
    void powersOfTwoReachIntoTheSubnormals() {
        assertEquals(1f, MiniFloats.e8m0(127));
        assertEquals(0x1p-127f, MiniFloats.e8m0(0));
        assertEquals(0x1p-126f, MiniFloats.e8m0(1));
        assertEquals(0x1p127f, MiniFloats.e8m0((byte) 254));
        assertTrue(Float.isNaN(MiniFloats.e8m0(255)));
        assertEquals(0x1p-128f, MiniFloats.e8m0Half(0));
        assertEquals(0x1p-127f, MiniFloats.e8m0Half(1));
        for (int code = 2; code < 255; code++) {
            assertEquals(MiniFloats.e8m0(code) / 2, MiniFloats.e8m0Half(code), "code " + code);
        }
    }

    @Test
    void unsignedScalesCountNanAsZero() {
        assertEquals(0f, MiniFloats.ue4m3(0x7F));
        assertEquals(448f, MiniFloats.ue4m3(0x7E));
        assertEquals(0x1p-9f, MiniFloats.ue4m3(1));
    }
}
