package io.atoll.model.quant;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/// The slow twin of [GgmlBlocks]: one element at a time, each from the published description of its format.
final class GgmlFormulas {
    private static final int[] IQ4 = {
        -127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113
    };
    private static final double[] E2M1 = {0, 0.5, 1, 1.5, 2, 3, 4, 6};

    private GgmlFormulas() {}

    /// Element `e` of a block.
    static float element(GgmlType type, byte[] block, int e) {
        return switch (type) {
            case F32 -> little(block).getFloat(0);
            case F16 -> half(block, 0);
            case BF16 -> Float.intBitsToFloat(word(block, 0) << 16);
            case Q4_0 -> half(block, 0) * (nibble(block, 2, e) - 8);
            case Q4_1 -> half(block, 0) * nibble(block, 4, e) + half(block, 2);
            case Q5_0 -> half(block, 0) * (five(block, 2, 6, e) - 16);
            case Q5_1 -> half(block, 0) * five(block, 4, 8, e) + half(block, 2);
            case Q8_0 -> half(block, 0) * block[2 + e];
            case Q2_K ->
                    half(block, 80) * (block[e / 16] & 15) * twoBits(block, 16, e)
                            - half(block, 82) * (u8(block, e / 16) >> 4);
            case Q3_K -> q3k(block, e);
            case Q4_K -> {
                int j = e / 32;
                int q = (u8(block, 16 + 32 * (j / 2) + e % 32) >> (j % 2 == 0 ? 0 : 4)) & 15;
                yield affine(block, j, q);
            }
            case Q5_K -> {
                int j = e / 32;
                int q = (u8(block, 48 + 32 * (j / 2) + e % 32) >> (j % 2 == 0 ? 0 : 4)) & 15;
                yield affine(block, j, q + 16 * ((u8(block, 16 + e % 32) >> j) & 1));
            }
            case Q6_K -> q6k(block, e);
            case IQ4_NL -> half(block, 0) * IQ4[nibble(block, 2, e)];
            case IQ4_XS -> {
                int j = e / 32;
                int low = (u8(block, 4 + j / 2) >> (4 * (j % 2))) & 15;
                int scale = low | ((word(block, 2) >> (2 * j)) & 3) << 4;
                yield half(block, 0) * (scale - 32) * IQ4[nibble(block, 8 + 16 * j, e % 32)];
            }
            case MXFP4 -> (float) (Math.scalb(1.0, u8(block, 0) - 127) * e2m1(nibble(block, 1, e)));
            case NVFP4 -> {
                int group = e / 16;
                int pair = u8(block, 4 + 8 * group + e % 8);
                int code = e % 16 < 8 ? pair & 15 : pair >> 4;
                yield (float) (ue4m3(u8(block, group)) * e2m1(code));
            }
        };
    }

    private static float q3k(byte[] block, int e) {
        int i = e / 16;
        int low = i < 8 ? u8(block, 96 + i) & 15 : u8(block, 96 + i - 8) >> 4;
        int high = (u8(block, 104 + i % 4) >> (2 * (i / 4))) & 3;
        int bit = (u8(block, e % 32) >> (e / 32)) & 1;
        int q = twoBits(block, 32, e) - (bit == 1 ? 0 : 4);
        return half(block, 108) * ((low | high << 4) - 32) * q;
    }

    private static float q6k(byte[] block, int e) {
        int half = e / 128;
        int within = e % 128;
        int l = within % 32;
        int low = u8(block, 64 * half + l + (within / 32 % 2) * 32);
        int high = u8(block, 128 + 32 * half + l);
        int q = (within < 64 ? low & 15 : low >> 4) | ((high >> (2 * (within / 32))) & 3) << 4;
        return half(block, 208) * block[192 + e / 16] * (q - 32);
    }

    private static float affine(byte[] block, int j, int q) {
        int scale;
        int minimum;
        if (j < 4) {
            scale = u8(block, 4 + j) & 63;
            minimum = u8(block, 4 + j + 4) & 63;
        } else {
            scale = (u8(block, 4 + j + 4) & 15) | (u8(block, 4 + j - 4) >> 6) << 4;
            minimum = (u8(block, 4 + j + 4) >> 4) | (u8(block, 4 + j) >> 6) << 4;
        }
        return half(block, 0) * scale * q - half(block, 2) * minimum;
    }

    private static int twoBits(byte[] block, int at, int e) {
        return (u8(block, at + 32 * (e / 128) + e % 32) >> (2 * (e / 32 % 4))) & 3;
    }

    private static int five(byte[] block, int bits, int nibbles, int e) {
        int high = (little(block).getInt(bits) >>> e) & 1;
        return nibble(block, nibbles, e) + 16 * high;
    }

    private static int nibble(byte[] block, int at, int e) {
        return e < 16 ? u8(block, at + e) & 15 : u8(block, at + e - 16) >> 4;
    }

    static double e2m1(int code) {
        return code < 8 ? E2M1[code] : -E2M1[code - 8];
    }

    private static double ue4m3(int code) {
        int exponent = (code & 0x7F) >> 3;
        int mantissa = code & 7;
        if (exponent == 15 && mantissa == 7) {
            return 0;
        }
        return exponent == 0 ? mantissa / 512.0 : (1 + mantissa / 8.0) * Math.pow(2, exponent - 7);
    }

    private static float half(byte[] block, int at) {
        return Float.float16ToFloat(little(block).getShort(at));
    }

    private static int word(byte[] block, int at) {
        return little(block).getShort(at) & 0xFFFF;
    }

    private static int u8(byte[] block, int at) {
        return block[at] & 0xFF;
    }

    private static ByteBuffer little(byte[] block) {
        return ByteBuffer.wrap(block).order(ByteOrder.LITTLE_ENDIAN);
    }
}
