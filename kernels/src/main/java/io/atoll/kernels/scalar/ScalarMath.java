package io.atoll.kernels.scalar;

/// The elementary functions of [io.atoll.kernels.Kernels], built from IEEE operations only, so that every family can
/// repeat them to the bit. No library `exp` or `log` is called: those differ between platforms in the last place.
public final class ScalarMath {
    /// 1.5 * 2^23. Adding and subtracting it rounds a float below 2^22 in magnitude to an integer, half to even.
    public static final float ROUND = 12582912f;

    public static final float LOG2_E = 1.442695f;

    /// `-ln 2` in two parts. The first has few bits, so its product with an integer is exact.
    public static final float MINUS_LN2_HIGH = -0x1.63p-1f;

    public static final float MINUS_LN2_LOW = 2.1219444e-4f;

    /// Where [#exp] stops: below the first it is 0, above the second it is constant.
    public static final float EXP_LOWEST = -87.3f;

    public static final float EXP_HIGHEST = 88.3f;

    // Coefficients of r^7 down to r^2 for |r| <= ln 2 / 2, those of Cephes' expf; r^1 and r^0 have
    // 1.
    public static final float EXP_7 = 1.9875691e-4f;
    public static final float EXP_6 = 1.3981999e-3f;
    public static final float EXP_5 = 8.333452e-3f;
    public static final float EXP_4 = 4.1665796e-2f;
    public static final float EXP_3 = 1.6666666e-1f;
    public static final float EXP_2 = 0.5f;

    private ScalarMath() {}

    /// `e^x` within 2e-7 of its value. NaN gives NaN.
    public static float exp(float x) {
        float top = x > EXP_HIGHEST ? EXP_HIGHEST : x;
        float shifted = top * LOG2_E + ROUND;
        float n = shifted - ROUND;
        float r = Math.fma(n, MINUS_LN2_HIGH, top);
        r = Math.fma(n, MINUS_LN2_LOW, r);
        float p = EXP_7;
        p = Math.fma(p, r, EXP_6);
        p = Math.fma(p, r, EXP_5);
        p = Math.fma(p, r, EXP_4);
        p = Math.fma(p, r, EXP_3);
        p = Math.fma(p, r, EXP_2);
        p = Math.fma(p, r, 1f);
        p = Math.fma(p, r, 1f);
        // n lies between -126 and 127 where the result is used, so 2^n is a normal float; the low
        // bits of `shifted` are n.
        float power = Float.intBitsToFloat((Float.floatToRawIntBits(shifted) + 127) << 23);
        return x < EXP_LOWEST ? 0f : p * power;
    }

    public static float sigmoid(float x) {
        return 1f / (1f + exp(-x));
    }

    public static float silu(float x) {
        return x / (1f + exp(-x));
    }

    /// `log(1 + e^x) = max(x, 0) + log1p(u)` with `u = e^-|x|`, and `log1p(u) = 2 artanh(u / (2 + u))` by its series: the
    /// argument is at most 1/3, so eight terms reach the last place.
    static float softplus(float x) {
        if (x > 20f) {
            return x;
        }
        float u = exp(-Math.abs(x));
        float s = u / (2f + u);
        float t = s * s;
        float p = 1f / 15f;
        p = Math.fma(p, t, 1f / 13f);
        p = Math.fma(p, t, 1f / 11f);
        p = Math.fma(p, t, 1f / 9f);
        p = Math.fma(p, t, 1f / 7f);
        p = Math.fma(p, t, 1f / 5f);
        p = Math.fma(p, t, 1f / 3f);
        p = Math.fma(p, t, 1f);
        return (x > 0f ? x : 0f) + (s + s) * p;
    }
}
