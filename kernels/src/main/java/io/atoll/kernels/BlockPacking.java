package io.atoll.kernels;

import static io.atoll.kernels.WeightFormat.BLOCK;
import static io.atoll.kernels.WeightFormat.GROUP;
import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT_UNALIGNED;
import static java.lang.foreign.ValueLayout.JAVA_SHORT;
import static java.lang.foreign.ValueLayout.JAVA_SHORT_UNALIGNED;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;

/// Takes GGML blocks apart (model spec C.6) and puts codes and scales where [BlockLayout] says. Nothing is rounded: codes
/// are copied, scales are copied or widened.
final class BlockPacking {
    private static final ValueLayout.OfShort U16 =
            JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfInt U32 =
            JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

    private final PackedMatrix packed;
    private final BlockLayout layout;
    private final int sourceBytes;
    private final int[] codes;

    BlockPacking(PackedMatrix packed) {
        this.packed = packed;
        layout = packed.format().layout();
        sourceBytes = sourceBytes(packed.format());
        codes = new int[layout.columns()];
    }

    /// Bytes of one GGML block, which has as many columns as a record.
    ///
    /// @throws IllegalArgumentException if the format keeps no GGML type
    static int sourceBytes(WeightFormat format) {
        return switch (format) {
            case MXFP4 -> 17;
            case Q4_0, IQ4_NL -> 18;
            case Q4_1 -> 20;
            case Q5_0 -> 22;
            case Q5_1 -> 24;
            case Q8_0 -> 34;
            case Q2_K -> 84;
            case Q3_K -> 110;
            case IQ4_XS -> 136;
            case Q4_K -> 144;
            case Q5_K -> 176;
            case Q6_K -> 210;
            default ->
                    throw new IllegalArgumentException(format + " does not come in GGML blocks");
        };
    }

    /// Packs the blocks of one row, which begins at byte `at` of the source.
    void packRow(MemorySegment source, long at, int output) {
        for (int column = 0; column < packed.cols(); column += layout.columns()) {
            long record = layout.record(packed.cols(), output, column);
            packBlock(source, at, record, output % GROUP);
            long block = record + layout.headerBytes();
            for (int i = 0; i < layout.columns(); i += BLOCK) {
                layout.putCodes(packed.data(), block, output, codes, i);
                block += layout.blockBytes();
            }
            at += sourceBytes;
        }
    }

    /// Writes the scales and leaves the codes in `codes`.
    private void packBlock(MemorySegment s, long at, long record, int lane) {
        switch (packed.format()) {
            case Q8_0 -> {
                copyHalf(s, at, record + 2L * lane);
                for (int i = 0; i < BLOCK; i++) {
                    codes[i] = s.get(JAVA_BYTE, at + 2 + i) + layout.offset();
                }
            }
            case Q4_0, IQ4_NL -> {
                copyHalf(s, at, record + 2L * lane);
                nibbles(s, at + 2, 0);
            }
            case Q4_1 -> {
                copyHalf(s, at, record + 2L * lane);
                copyHalf(s, at + 2, record + 32 + 2L * lane);
                nibbles(s, at + 4, 0);
            }
            case Q5_0 -> {
                copyHalf(s, at, record + 2L * lane);
                nibbles(s, at + 6, 0);
                fifthBits(s.get(U32, at + 2));
            }
            case Q5_1 -> {
                copyHalf(s, at, record + 2L * lane);
                copyHalf(s, at + 2, record + 32 + 2L * lane);
                nibbles(s, at + 8, 0);
                fifthBits(s.get(U32, at + 4));
            }
            case MXFP4 -> {
                packed.data().set(JAVA_SHORT, record + 2L * lane, halfPower(unsigned(s, at)));
                nibbles(s, at + 1, 0);
            }
            case Q2_K -> {
                copyHalf(s, at + 80, record + 2L * lane);
                copyHalf(s, at + 82, record + 32 + 2L * lane);
                for (int run = 0; run < 16; run++) {
                    putByte(record + 64, run, lane, unsigned(s, at + run));
                }
                twoBits(s, at + 16);
            }
            case Q3_K -> {
                widenHalf(s, at + 108, record + 4L * lane);
                for (int run = 0; run < 16; run++) {
                    int low = (unsigned(s, at + 96 + (run & 7)) >> (4 * (run >> 3))) & 15;
                    int high = (unsigned(s, at + 104 + (run & 3)) >> (2 * (run >> 2))) & 3;
                    putByte(record + 64, run, lane, (low | high << 4) - 32);
                }
                twoBits(s, at + 32);
                for (int i = 0; i < 256; i++) {
                    codes[i] |= ((unsigned(s, at + i % 32) >> (i / 32)) & 1) << 2;
                }
            }
            case Q4_K -> {
                packKScales(s, at, record, lane);
                pairedNibbles(s, at + 16);
            }
            case Q5_K -> {
                packKScales(s, at, record, lane);
                pairedNibbles(s, at + 48);
                for (int i = 0; i < 256; i++) {
                    codes[i] |= ((unsigned(s, at + 16 + i % 32) >> (i / 32)) & 1) << 4;
                }
            }
            case Q6_K -> {
                widenHalf(s, at + 208, record + 4L * lane);
                for (int run = 0; run < 16; run++) {
                    putByte(record + 64, run, lane, s.get(JAVA_BYTE, at + 192 + run));
                }
                sixBits(s, at);
            }
            case IQ4_XS -> {
                widenHalf(s, at, record + 4L * lane);
                int high = s.get(U16, at + 2);
                for (int run = 0; run < 8; run++) {
                    int low = (unsigned(s, at + 4 + (run >> 1)) >> (4 * (run & 1))) & 15;
                    putByte(record + 64, run, lane, (low | ((high >> (2 * run)) & 3) << 4) - 32);
                    nibbles(s, at + 8 + 16L * run, 32 * run);
                }
            }
            default -> throw new IllegalStateException("no blocks: " + packed.format());
        }
    }

    /// Sixteen bytes: elements 0 to 15 in the low nibbles, 16 to 31 in the high ones.
    private void nibbles(MemorySegment s, long at, int to) {
        for (int i = 0; i < 16; i++) {
            int pair = s.get(JAVA_BYTE, at + i);
            codes[to + i] = pair & 15;
            codes[to + 16 + i] = (pair >> 4) & 15;
        }
    }

    private void fifthBits(int bits) {
        for (int i = 0; i < BLOCK; i++) {
            codes[i] |= ((bits >>> i) & 1) << 4;
        }
    }

    /// Runs of 32 elements, two of which share 32 bytes: the even one in the low nibbles.
    private void pairedNibbles(MemorySegment s, long at) {
        for (int pair = 0; pair < 4; pair++) {
            for (int i = 0; i < 32; i++) {
                int stored = s.get(JAVA_BYTE, at + 32L * pair + i);
                codes[64 * pair + i] = stored & 15;
                codes[64 * pair + 32 + i] = (stored >> 4) & 15;
            }
        }
    }

    /// Halves of 128 elements, each four runs of 32 that share 32 bytes.
    private void twoBits(MemorySegment s, long at) {
        for (int i = 0; i < 256; i++) {
            codes[i] = (s.get(JAVA_BYTE, at + i / 128 * 32L + i % 32) >> (i / 32 % 4 * 2)) & 3;
        }
    }

    /// 128 bytes of low nibbles and 64 of high bit pairs, for two halves of four runs of 32.
    private void sixBits(MemorySegment s, long at) {
        for (int i = 0; i < 256; i++) {
            int half = i / 128;
            int run = i / 32 % 4;
            int low =
                    s.get(JAVA_BYTE, at + 64L * half + 32L * (run & 1) + i % 32)
                            >> (4 * (run >> 1));
            int high = s.get(JAVA_BYTE, at + 128 + 32L * half + i % 32) >> (2 * run);
            codes[i] = (low & 15) | (high & 3) << 4;
        }
    }

    /// d, dmin and twelve bytes with eight scales and minima of six bits: the first four of each lie in the low bits of bytes
    /// 0 to 7, whose upper two bits complete the low nibbles (scales) and high nibbles (minima) of bytes 8 to 11.
    private void packKScales(MemorySegment s, long at, long record, int lane) {
        copyHalf(s, at, record + 2L * lane);
        copyHalf(s, at + 2, record + 32 + 2L * lane);
        for (int run = 0; run < 4; run++) {
            int scale = unsigned(s, at + 4 + run);
            int minimum = unsigned(s, at + 8 + run);
            int both = unsigned(s, at + 12 + run);
            putByte(record + 64, 2 * run, lane, scale & 63);
            putByte(record + 64, 2 * run + 8, lane, (both & 15) | (scale >> 6) << 4);
            putByte(record + 80, 2 * run, lane, minimum & 63);
            putByte(record + 80, 2 * run + 8, lane, both >> 4 | (minimum >> 6) << 4);
        }
    }

    private void putByte(long array, int run, int lane, int value) {
        packed.data().set(JAVA_BYTE, array + 16L * run + lane, (byte) value);
    }

    private void copyHalf(MemorySegment s, long at, long to) {
        packed.data().set(JAVA_SHORT, to, s.get(U16, at));
    }

    private void widenHalf(MemorySegment s, long at, long to) {
        packed.data().set(JAVA_FLOAT, to, Float.float16ToFloat(s.get(U16, at)));
    }

    /// The BF16 number `2^(exponent - 128)`; the first two are subnormal.
    private static short halfPower(int exponent) {
        return (short) (exponent < 2 ? 0x20 << exponent : (exponent - 1) << 7);
    }

    private static int unsigned(MemorySegment s, long at) {
        return Byte.toUnsignedInt(s.get(JAVA_BYTE, at));
    }
}
