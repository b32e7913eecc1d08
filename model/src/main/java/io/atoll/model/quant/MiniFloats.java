package io.atoll.model.quant;

/// The 8-bit and 4-bit floats of quantised weights. All results are exact.
final class MiniFloats {
    /// E2M1, the 4-bit float: one sign, two exponent and one mantissa bit. Indexed by its code.
    private static final float[] E2M1 = {
        0f, 0.5f, 1f, 1.5f, 2f, 3f, 4f, 6f, -0f, -0.5f, -1f, -1.5f, -2f, -3f, -4f, -6f
    };

    private static final float[] E4M3 = new float[256];

    static {
        for (int code = 0; code < E4M3.length; code++) {
            E4M3[code] = computeE4m3(code);
        }
    }

    private MiniFloats() {}

    /// The low four bits as E2M1.
    static float e2m1(int code) {
        return E2M1[code & 15];
    }

    /// The low eight bits as E4M3 "fn": bias 7, no infinities, largest 448; the codes 0x7F and 0xFF are NaN.
    static float e4m3(int code) {
        return E4M3[code & 0xFF];
    }

    /// The low seven bits as the unsigned E4M3 of GGUF's NVFP4 scales, where 0x7F counts as 0. Bit 7 is no sign there and
    /// must be clear.
    static float ue4m3(int code) {
        int magnitude = code & 0x7F;
        return magnitude == 0x7F ? 0f : E4M3[magnitude];
    }

    /// The low eight bits as E8M0, a power of two: `2^(code - 127)`, and NaN for 0xFF. Code 0 is a subnormal f32.
    static float e8m0(int code) {
        int exponent = code & 0xFF;
        if (exponent == 0xFF) {
            return Float.NaN;
        }
        return exponent == 0 ? 0x1p-127f : Float.intBitsToFloat(exponent << 23);
    }

    /// Half of [#e8m0], `2^(code - 128)`, for codes that meet doubled E2M1 values. The two smallest are subnormal.
    static float e8m0Half(int code) {
        int exponent = code & 0xFF;
        return exponent < 2
                ? Float.intBitsToFloat(0x0020_0000 << exponent)
                : Float.intBitsToFloat((exponent - 1) << 23);
    }

    private static float computeE4m3(int code) {
        int exponent = (code >> 3) & 15;
        int mantissa = code & 7;
        if (exponent == 15 && mantissa == 7) {
            return Float.NaN;
        }
        float magnitude =
                exponent == 0 ? mantissa * 0x1p-9f : Math.scalb(8 + mantissa, exponent - 10);
        return (code & 0x80) == 0 ? magnitude : -magnitude;
    }
}
