package io.atoll.kernels;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Random;

/// The formulas of model spec C.6, written once more and element by element, and random blocks to decode with them.
final class GgmlBlocks {
    private static final int[] IQ4 = {
        -127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113
    };
    private static final int[] E2M1 = {0, 1, 2, 3, 4, 6, 8, 12};

    /// Halves that are easy to get wrong: zeros, subnormals, the smallest normal, the largest, and 1.
    private static final int[] HALVES = {
        0x0000, 0x8000, 0x0001, 0x8001, 0x03FF, 0x83FF, 0x0400, 0x7BFF, 0xFBFF, 0x3C00
    };

    private GgmlBlocks() {}

    /// Offsets of the f16 fields in a block.
    private static int[] halves(WeightFormat format) {
        return switch (format) {
            case MXFP4 -> new int[] {};
            case Q8_0, Q4_0, Q5_0, IQ4_NL, IQ4_XS -> new int[] {0};
            case Q4_1, Q5_1, Q4_K, Q5_K -> new int[] {0, 2};
            case Q2_K -> new int[] {80, 82};
            case Q3_K -> new int[] {108};
            case Q6_K -> new int[] {208};
            default -> throw new IllegalArgumentException(format + " has no blocks");
        };
    }

    /// Random bytes with scales that are numbers, of any sign and size.
    static byte[] random(Random random, WeightFormat format, int blocks) {
        int size = (int) Packing.blockRowBytes(format, format.columnMultiple());
        byte[] array = new byte[size * blocks];
        random.nextBytes(array);
        ByteBuffer bytes = buffer(array);
        for (int b = 0; b < blocks; b++) {
            for (int at : halves(format)) {
                int half = bytes.getShort(b * size + at);
                if (random.nextInt(4) == 0) {
                    half = HALVES[random.nextInt(HALVES.length)];
                } else if ((half & 0x7C00) == 0x7C00) {
                    half &= ~0x4000; // neither infinity nor NaN
                }
                bytes.putShort(b * size + at, (short) half);
            }
        }
        return array;
    }

    /// Makes every weight of ordinary size: scales between 2^-9 and 2^-5.
    static void tame(Random random, WeightFormat format, byte[] blocks) {
        int size = (int) Packing.blockRowBytes(format, format.columnMultiple());
        ByteBuffer bytes = buffer(blocks);
        for (int at = 0; at < blocks.length; at += size) {
            for (int half : halves(format)) {
                float scale = (1 + random.nextFloat()) * Math.scalb(1f, -9 + random.nextInt(4));
                short bits = Float.floatToFloat16(random.nextBoolean() ? scale : -scale);
                bytes.putShort(at + half, bits);
            }
            if (format == WeightFormat.MXFP4) {
                bytes.put(at, (byte) (120 + random.nextInt(8)));
            }
        }
    }

    /// Puts this f16 into every field of that kind.
    static void fillHalves(WeightFormat format, byte[] blocks, int half) {
        int size = (int) Packing.blockRowBytes(format, format.columnMultiple());
        for (int at = 0; at < blocks.length; at += size) {
            for (int field : halves(format)) {
                buffer(blocks).putShort(at + field, (short) half);
            }
        }
    }

    /// Element `e` of the block that begins at byte `at`.
    static float value(WeightFormat format, byte[] blocks, int at, int e) {
        int i = e % 16;
        int pairShift = e < 16 ? 0 : 4; // for blocks of 32
        int half = e / 128;
        int l = e % 32;
        int k = e / 32 % 4;
        int run = e / 32;
        return switch (format) {
            case Q8_0 -> half(blocks, at) * blocks[at + 2 + e];
            case Q4_0 -> half(blocks, at) * (bits(blocks, at + 2 + i, pairShift, 4) - 8);
            case Q4_1 ->
                    half(blocks, at) * bits(blocks, at + 4 + i, pairShift, 4)
                            + half(blocks, at + 2);
            case Q5_0 -> {
                int n = bits(blocks, at + 6 + i, pairShift, 4);
                int high = bits(blocks, at + 2 + e / 8, e % 8, 1);
                yield half(blocks, at) * (n + 16 * high - 16);
            }
            case Q5_1 -> {
                int n = bits(blocks, at + 8 + i, pairShift, 4);
                int high = bits(blocks, at + 4 + e / 8, e % 8, 1);
                yield half(blocks, at) * (n + 16 * high) + half(blocks, at + 2);
            }
            case IQ4_NL -> half(blocks, at) * IQ4[bits(blocks, at + 2 + i, pairShift, 4)];
            case MXFP4 -> {
                int n = bits(blocks, at + 1 + i, pairShift, 4);
                double level = n < 8 ? E2M1[n] : -E2M1[n - 8];
                yield (float) (Math.pow(2, (blocks[at] & 255) - 128) * level);
            }
            case Q2_K -> {
                int q = bits(blocks, at + 16 + 32 * half + l, 2 * k, 2);
                int scale = bits(blocks, at + e / 16, 0, 4);
                int minimum = bits(blocks, at + e / 16, 4, 4);
                yield half(blocks, at + 80) * scale * q - half(blocks, at + 82) * minimum;
            }
            case Q3_K -> {
                int low = bits(blocks, at + 32 + 32 * half + l, 2 * k, 2);
                int kept = bits(blocks, at + l, 4 * half + k, 1);
                int r = e / 16;
                int scale =
                        bits(blocks, at + 96 + r % 8, r < 8 ? 0 : 4, 4)
                                + 16 * bits(blocks, at + 104 + r % 4, 2 * (r / 4), 2);
                yield half(blocks, at + 108) * (scale - 32) * (low - (kept == 1 ? 0 : 4));
            }
            case Q4_K -> {
                int n = bits(blocks, at + 16 + 32 * (run / 2) + l, 4 * (run % 2), 4);
                yield kQuant(blocks, at, run, n);
            }
            case Q5_K -> {
                int n = bits(blocks, at + 48 + 32 * (run / 2) + l, 4 * (run % 2), 4);
                yield kQuant(blocks, at, run, n + 16 * bits(blocks, at + 16 + l, run, 1));
            }
            case Q6_K -> {
                int low = bits(blocks, at + 64 * half + 32 * (k % 2) + l, k < 2 ? 0 : 4, 4);
                int high = bits(blocks, at + 128 + 32 * half + l, 2 * k, 2);
                int scale = blocks[at + 192 + e / 16];
                yield half(blocks, at + 208) * scale * (low + 16 * high - 32);
            }
            case IQ4_XS -> {
                int low = bits(blocks, at + 4 + run / 2, 4 * (run % 2), 4);
                int high = bits(blocks, at + 2 + run / 4, 2 * (run % 4), 2);
                int n = bits(blocks, at + 8 + 16 * run + i, l < 16 ? 0 : 4, 4);
                yield half(blocks, at) * (low + 16 * high - 32) * IQ4[n];
            }
            default -> throw new IllegalArgumentException(format + " has no blocks");
        };
    }

    private static float kQuant(byte[] blocks, int at, int run, int n) {
        int s = at + 4;
        int scale;
        int minimum;
        if (run < 4) {
            scale = bits(blocks, s + run, 0, 6);
            minimum = bits(blocks, s + run + 4, 0, 6);
        } else {
            scale = bits(blocks, s + run + 4, 0, 4) + 16 * bits(blocks, s + run - 4, 6, 2);
            minimum = bits(blocks, s + run + 4, 4, 4) + 16 * bits(blocks, s + run, 6, 2);
        }
        return half(blocks, at) * scale * n - half(blocks, at + 2) * minimum;
    }

    private static int bits(byte[] blocks, int at, int shift, int count) {
        return ((blocks[at] & 255) >> shift) & ((1 << count) - 1);
    }

    private static float half(byte[] blocks, int at) {
        return Float.float16ToFloat(buffer(blocks).getShort(at));
    }

    private static ByteBuffer buffer(byte[] bytes) {
        return ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
    }
}
