package io.atoll.model.quant;

import io.atoll.model.checkpoint.DType;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;

/// Decoders of GGML's block formats. Each is the formula of its format in f32, in the order of operations given, so that the
/// values equal those of other decoders bit by bit.
///
/// In the formulas `d` is a block's scale and `m` its minimum, both IEEE halves; `q` is the stored integer of an element.
/// All fields are little-endian, and nothing is aligned. Callers have checked that source and target are long enough.
final class GgmlBlocks {
    private static final ValueLayout.OfByte BYTE = ValueLayout.JAVA_BYTE;
    private static final ValueLayout.OfShort SHORT =
            ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfInt INT =
            ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfFloat FLOAT =
            ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

    /// The sixteen levels of IQ4_NL and IQ4_XS, denser around zero.
    private static final float[] IQ4_LEVELS = {
        -127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113
    };

    private GgmlBlocks() {}

    static void f32(MemorySegment s, long at, float[] out, int to, int blocks) {
        MemorySegment.copy(s, FLOAT, at, out, to, blocks);
    }

    static void f16(MemorySegment s, long at, float[] out, int to, int blocks) {
        for (int i = 0; i < blocks; i++) {
            out[to + i] = half(s, at + 2L * i);
        }
    }

    static void bf16(MemorySegment s, long at, float[] out, int to, int blocks) {
        for (int i = 0; i < blocks; i++) {
            out[to + i] = DType.bf16ToFloat(s.get(SHORT, at + 2L * i));
        }
    }

    /// `d (q - 8)`. d, then 16 bytes: elements 0 to 15 in the low nibbles, 16 to 31 in the high ones.
    static void q40(MemorySegment s, long at, float[] out, int to, int blocks) {
        for (int block = 0; block < blocks; block++, at += 18, to += 32) {
            float d = half(s, at);
            for (int i = 0; i < 16; i++) {
                int pair = s.get(BYTE, at + 2 + i);
                out[to + i] = d * ((pair & 15) - 8);
                out[to + 16 + i] = d * (((pair >> 4) & 15) - 8);
            }
        }
    }

    /// `d q + m`. d, m, then nibbles as in Q4_0.
    static void q41(MemorySegment s, long at, float[] out, int to, int blocks) {
        for (int block = 0; block < blocks; block++, at += 20, to += 32) {
            float d = half(s, at);
            float m = half(s, at + 2);
            for (int i = 0; i < 16; i++) {
                int pair = s.get(BYTE, at + 4 + i);
                out[to + i] = d * (pair & 15) + m;
                out[to + 16 + i] = d * ((pair >> 4) & 15) + m;
            }
        }
    }

    /// `d (q - 16)`. d, 32 bits that hold the fifth bit of each element, then nibbles as in Q4_0.
    static void q50(MemorySegment s, long at, float[] out, int to, int blocks) {
        for (int block = 0; block < blocks; block++, at += 22, to += 32) {
            float d = half(s, at);
            int high = s.get(INT, at + 2);
            for (int i = 0; i < 16; i++) {
                int pair = s.get(BYTE, at + 6 + i);
                out[to + i] = d * (((pair & 15) | fifthBit(high, i)) - 16);
                out[to + 16 + i] = d * ((((pair >> 4) & 15) | fifthBit(high, i + 16)) - 16);
            }
        }
    }

    /// `d q + m`. d, m, the fifth bits, then nibbles as in Q4_0.
    static void q51(MemorySegment s, long at, float[] out, int to, int blocks) {
        for (int block = 0; block < blocks; block++, at += 24, to += 32) {
            float d = half(s, at);
            float m = half(s, at + 2);
            int high = s.get(INT, at + 4);
            for (int i = 0; i < 16; i++) {
                int pair = s.get(BYTE, at + 8 + i);
                out[to + i] = d * ((pair & 15) | fifthBit(high, i)) + m;
                out[to + 16 + i] = d * (((pair >> 4) & 15) | fifthBit(high, i + 16)) + m;
            }
        }
    }

    /// `d q`. d, then 32 signed bytes.
    static void q80(MemorySegment s, long at, float[] out, int to, int blocks) {
        for (int block = 0; block < blocks; block++, at += 34, to += 32) {
            float d = half(s, at);
            for (int i = 0; i < 32; i++) {
                out[to + i] = d * s.get(BYTE, at + 2 + i);
            }
        }
    }

    /// `(d scale) q - (dmin minimum)`. 16 bytes of (scale, minimum) nibbles, one for each 16 elements; 64 bytes of 2-bit
    /// values; d; dmin.
    static void q2k(MemorySegment s, long at, float[] out, int to, int blocks) {
        for (int block = 0; block < blocks; block++, at += 84, to += 256) {
            float d = half(s, at + 80);
            float dmin = half(s, at + 82);
            for (int group = 0; group < 16; group++) {
                int scales = s.get(BYTE, at + group);
                float scale = d * (scales & 15);
                float minimum = dmin * ((scales >> 4) & 15);
                long quants = at + 16 + twoBitBytes(group);
                int shift = twoBitShift(group);
                for (int i = 0; i < 16; i++) {
                    int q = (s.get(BYTE, quants + i) >> shift) & 3;
                    out[to + 16 * group + i] = scale * q - minimum;
                }
            }
        }
    }

    /// `(d (scale - 32)) (q - 4 or 0)`. 32 bytes of third bits (set: nothing is subtracted), 64 bytes of 2-bit values, 12
    /// bytes of 6-bit scales, d.
    static void q3k(MemorySegment s, long at, float[] out, int to, int blocks) {
        for (int block = 0; block < blocks; block++, at += 110, to += 256) {
            float d = half(s, at + 108);
            for (int group = 0; group < 16; group++) {
                int low = (s.get(BYTE, at + 96 + (group & 7)) >> (group < 8 ? 0 : 4)) & 15;
                int high = (s.get(BYTE, at + 104 + (group & 3)) >> (2 * (group >> 2))) & 3;
                float scale = d * ((low | high << 4) - 32);
                long quants = at + 32 + twoBitBytes(group);
                int shift = twoBitShift(group);
                long masks = at + 16L * (group & 1);
                int maskBit = group >> 1;
                for (int i = 0; i < 16; i++) {
                    int third = (s.get(BYTE, masks + i) >> maskBit) & 1;
                    int q = ((s.get(BYTE, quants + i) >> shift) & 3) - 4 + 4 * third;
                    out[to + 16 * group + i] = scale * q;
                }
            }
        }
    }

    /// `(d scale) q - (dmin minimum)`. d, dmin, 12 bytes of 6-bit scales and minima of the eight runs of 32 elements, then
    /// 128 bytes: two runs share 32 bytes, the even one in the low nibbles.
    static void q4k(MemorySegment s, long at, float[] out, int to, int blocks) {
        for (int block = 0; block < blocks; block++, at += 144, to += 256) {
            float d = half(s, at);
            float dmin = half(s, at + 2);
            for (int run = 0; run < 8; run++) {
                float scale = d * scaleOf(s, at + 4, run);
                float minimum = dmin * minimumOf(s, at + 4, run);
                long quants = at + 16 + 32L * (run >> 1);
                int shift = 4 * (run & 1);
                for (int i = 0; i < 32; i++) {
                    int q = (s.get(BYTE, quants + i) >> shift) & 15;
                    out[to + 32 * run + i] = scale * q - minimum;
                }
            }
        }
    }

    /// As Q4_K, with a fifth bit: 32 bytes between scales and nibbles hold bit `run` of each position in a run.
    static void q5k(MemorySegment s, long at, float[] out, int to, int blocks) {
        for (int block = 0; block < blocks; block++, at += 176, to += 256) {
            float d = half(s, at);
            float dmin = half(s, at + 2);
            for (int run = 0; run < 8; run++) {
                float scale = d * scaleOf(s, at + 4, run);
                float minimum = dmin * minimumOf(s, at + 4, run);
                long quants = at + 48 + 32L * (run >> 1);
                int shift = 4 * (run & 1);
                for (int i = 0; i < 32; i++) {
                    int fifth = (s.get(BYTE, at + 16 + i) >> run) & 1;
                    int q = ((s.get(BYTE, quants + i) >> shift) & 15) | fifth << 4;
                    out[to + 32 * run + i] = scale * q - minimum;
                }
            }
        }
    }

    /// `(d scale) (q - 32)`. 128 bytes of low nibbles, 64 bytes of high bit pairs, 16 signed byte scales of 16 elements each,
    /// d. Each half of 128 elements is four runs of 32.
    static void q6k(MemorySegment s, long at, float[] out, int to, int blocks) {
        for (int block = 0; block < blocks; block++, at += 210, to += 256) {
            float d = half(s, at + 208);
            for (int group = 0; group < 16; group++) {
                float scale = d * s.get(BYTE, at + 192 + group);
                int run = (group >> 1) & 3;
                int within = 16 * (group & 1);
                long low = at + 64L * (group >> 3) + 32L * (run & 1) + within;
                int lowShift = 4 * (run >> 1);
                long high = at + 128 + 32L * (group >> 3) + within;
                int highShift = 2 * run;
                for (int i = 0; i < 16; i++) {
                    int q =
                            ((s.get(BYTE, low + i) >> lowShift) & 15)
                                    | ((s.get(BYTE, high + i) >> highShift) & 3) << 4;
                    out[to + 16 * group + i] = scale * (q - 32);
                }
            }
        }
    }

    /// `d level(q)`. d, then nibbles as in Q4_0.
    static void iq4nl(MemorySegment s, long at, float[] out, int to, int blocks) {
        for (int block = 0; block < blocks; block++, at += 18, to += 32) {
            levels(s, at + 2, half(s, at), out, to);
        }
    }

    /// `(d (scale - 32)) level(q)`. d, 16 bits with the upper two bits of the eight scales, 4 bytes with their lower four,
    /// then eight runs of 16 bytes with nibbles as in Q4_0.
    static void iq4xs(MemorySegment s, long at, float[] out, int to, int blocks) {
        for (int block = 0; block < blocks; block++, at += 136, to += 256) {
            float d = half(s, at);
            int high = s.get(SHORT, at + 2);
            for (int run = 0; run < 8; run++) {
                int low = (s.get(BYTE, at + 4 + (run >> 1)) >> (4 * (run & 1))) & 15;
                int scale = low | ((high >> (2 * run)) & 3) << 4;
                levels(s, at + 8 + 16L * run, d * (scale - 32), out, to + 32 * run);
            }
        }
    }

    /// `2^(e - 127) e2m1(q)`. A byte e, then nibbles as in Q4_0. The smallest powers are subnormal, so the product is taken
    /// as half the power times twice the value: both exact.
    static void mxfp4(MemorySegment s, long at, float[] out, int to, int blocks) {
        for (int block = 0; block < blocks; block++, at += 17, to += 32) {
            float scale = MiniFloats.e8m0Half(s.get(BYTE, at));
            for (int i = 0; i < 16; i++) {
                int pair = s.get(BYTE, at + 1 + i);
                out[to + i] = scale * (2 * MiniFloats.e2m1(pair));
                out[to + 16 + i] = scale * (2 * MiniFloats.e2m1(pair >> 4));
            }
        }
    }

    /// `ue4m3(scale) e2m1(q)`. Four scale bytes, then for each a run of 8 bytes: elements 0 to 7 in the low nibbles, 8 to 15
    /// in the high ones. The tensor's own scale, where a file has one, is not applied here.
    static void nvfp4(MemorySegment s, long at, float[] out, int to, int blocks) {
        for (int block = 0; block < blocks; block++, at += 36, to += 64) {
            for (int group = 0; group < 4; group++) {
                float scale = MiniFloats.ue4m3(s.get(BYTE, at + group));
                for (int i = 0; i < 8; i++) {
                    int pair = s.get(BYTE, at + 4 + 8L * group + i);
                    out[to + 16 * group + i] = scale * MiniFloats.e2m1(pair);
                    out[to + 16 * group + 8 + i] = scale * MiniFloats.e2m1(pair >> 4);
                }
            }
        }
    }

    private static void levels(MemorySegment s, long at, float scale, float[] out, int to) {
        for (int i = 0; i < 16; i++) {
            int pair = s.get(BYTE, at + i);
            out[to + i] = scale * IQ4_LEVELS[pair & 15];
            out[to + 16 + i] = scale * IQ4_LEVELS[(pair >> 4) & 15];
        }
    }

    private static float half(MemorySegment s, long at) {
        return Float.float16ToFloat(s.get(SHORT, at));
    }

    private static int fifthBit(int high, int element) {
        return ((high >>> element) & 1) << 4;
    }

    /// Where the 2-bit values of 16 elements are: 128 elements share 32 bytes, and each run of 32 has two bits of them.
    private static int twoBitBytes(int group) {
        return 32 * (group >> 3) + 16 * (group & 1);
    }

    private static int twoBitShift(int group) {
        return 2 * ((group >> 1) & 3);
    }

    // Eight scales and eight minima of six bits in twelve bytes: the first four of each lie in the
    // low
    // bits of bytes 0 to 7, whose upper two bits complete the low nibbles (scales) and high nibbles
    // (minima) of bytes 8 to 11.

    private static int scaleOf(MemorySegment s, long packed, int run) {
        return run < 4
                ? s.get(BYTE, packed + run) & 63
                : (s.get(BYTE, packed + run + 4) & 15)
                        | ((s.get(BYTE, packed + run - 4) >> 6) & 3) << 4;
    }

    private static int minimumOf(MemorySegment s, long packed, int run) {
        return run < 4
                ? s.get(BYTE, packed + run + 4) & 63
                : ((s.get(BYTE, packed + run + 4) >> 4) & 15)
                        | ((s.get(BYTE, packed + run) >> 6) & 3) << 4;
    }
}
