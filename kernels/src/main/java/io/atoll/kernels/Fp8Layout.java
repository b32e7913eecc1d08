package io.atoll.kernels;

import static io.atoll.kernels.WeightFormat.GROUP;
import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;

import java.lang.foreign.MemorySegment;

/// Where the numbers of a [WeightFormat#F8_E4M3] matrix lie, and what they mean.
///
/// A group of 16 outputs is a sequence of records of [#RECORD] columns, the last one shorter where the columns are no multiple of
/// that: `float scale[16]`, then `uint8 code[columns][16]`. The weight is `e4m3(code) * scale`, rounded to f32 once.
///
/// An E4M3 divided by 256 has the fields of an f16, which processors convert, so kernels compute `(e4m3(code) / 256) * (scale *
/// 256)`. That is the same number for every scale below [#SCALE_LIMIT]; packing refuses others.
public final class Fp8Layout {
    /// Columns that share a scale.
    public static final int RECORD = 128;

    /// Finite scales are below this in magnitude.
    public static final float SCALE_LIMIT = 0x1p120f;

    private static final long SCALE_BYTES = 4L * GROUP;
    private static final float[] E4M3 = new float[256];

    static {
        for (int code = 0; code < E4M3.length; code++) {
            E4M3[code] = decode(code);
        }
    }

    private Fp8Layout() {}

    /// The low eight bits as E4M3 "fn": bias 7, no infinities, largest 448; the codes 0x7F and 0xFF are NaN.
    public static float toFloat(int code) {
        return E4M3[code & 0xFF];
    }

    /// The code of an E4M3 number; NaN's for any other.
    static int toCode(float value) {
        int magnitude = 0;
        while (magnitude < 0x7F && E4M3[magnitude] != Math.abs(value)) {
            magnitude++;
        }
        return Float.floatToRawIntBits(value) < 0 ? magnitude | 0x80 : magnitude;
    }

    private static float decode(int code) {
        int exponent = (code >> 3) & 15;
        int mantissa = code & 7;
        if (exponent == 15 && mantissa == 7) {
            return Float.NaN;
        }
        float magnitude =
                exponent == 0 ? mantissa * 0x1p-9f : Math.scalb(8f + mantissa, exponent - 10);
        return (code & 0x80) == 0 ? magnitude : -magnitude;
    }

    /// Bytes of a group of 16 outputs.
    public static long groupBytes(int cols) {
        return Math.ceilDiv(cols, RECORD) * SCALE_BYTES + (long) GROUP * cols;
    }

    /// Offset of the scales that serve a column of a group of outputs.
    public static long scales(int cols, int group, int column) {
        return group * groupBytes(cols) + column / RECORD * (SCALE_BYTES + (long) GROUP * RECORD);
    }

    /// Offset of the codes of a column of a group of outputs.
    public static long codes(int cols, int group, int column) {
        return scales(cols, group, column) + SCALE_BYTES + (long) GROUP * (column % RECORD);
    }

    /// One weight.
    public static float weight(MemorySegment data, int cols, int output, int column) {
        int group = output / GROUP;
        int lane = output % GROUP;
        float scale = data.get(JAVA_FLOAT, scales(cols, group, column) + 4L * lane);
        float number = toFloat(data.get(JAVA_BYTE, codes(cols, group, column) + lane));
        return number * 0x1p-8f * (scale * 256);
    }
}
