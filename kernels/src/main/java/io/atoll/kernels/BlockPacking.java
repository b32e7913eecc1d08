package io.atoll.kernels;

import static io.atoll.kernels.WeightFormat.BLOCK;
import static io.atoll.kernels.WeightFormat.GROUP;
import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_SHORT;

import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;

/// Takes GGML blocks apart (model spec C.6) and puts codes and scales where [BlockLayout] says. Nothing is rounded: codes
/// are copied, scales are copied or widened.
final class BlockPacking {
    private static final VarHandle U16 = view(short[].class);
    private static final VarHandle U32 = view(int[].class);
    private static final VarHandle EIGHT = view(long[].class);
    private static final long EACH_OF_EIGHT = 0x0101_0101_0101_0101L;

    private final PackedMatrix packed;
    private final BlockLayout layout;
    private final int sourceBytes;

    /// A row of blocks: bytes are taken from an array, several at a time, because that is several times as fast as from a segment.
    private final byte[] s;

    private final byte[] codes;

    BlockPacking(PackedMatrix packed) {
        this.packed = packed;
        layout = packed.format().layout();
        sourceBytes = sourceBytes(packed.format());
        s = new byte[packed.cols() / layout.columns() * sourceBytes];
        codes = new byte[layout.columns()];
    }

    private static VarHandle view(Class<?> arrayType) {
        return MethodHandles.byteArrayViewVarHandle(arrayType, ByteOrder.LITTLE_ENDIAN);
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
            default -> throw new IllegalArgumentException(format + " does not come in GGML blocks");
        };
    }

    /// Packs the blocks of one row, which begins at byte `begin` of the source.
    void packRow(MemorySegment source, long begin, int output) {
        MemorySegment.copy(source, JAVA_BYTE, begin, s, 0, s.length);
        int at = 0;
        for (int column = 0; column < packed.cols(); column += layout.columns()) {
            long record = layout.record(packed.cols(), output, column);
            packBlock(at, record, output % GROUP);
            long block = record + layout.headerBytes();
            for (int i = 0; i < layout.columns(); i += BLOCK) {
                layout.putCodes(packed.data(), block, output, codes, i);
                block += layout.blockBytes();
            }
            at += sourceBytes;
        }
    }

    /// Writes the scales and leaves the codes in `codes`.
    private void packBlock(int at, long record, int lane) {
        switch (packed.format()) {
            case Q8_0 -> {
                copyHalf(at, record + 2L * lane);
                for (int i = 0; i < BLOCK; i++) {
                    codes[i] = (byte) (s[at + 2 + i] + layout.offset());
                }
            }
            case Q4_0, IQ4_NL -> {
                copyHalf(at, record + 2L * lane);
                nibbles(at + 2, 0);
            }
            case Q4_1 -> {
                copyHalf(at, record + 2L * lane);
                copyHalf(at + 2, record + 32 + 2L * lane);
                nibbles(at + 4, 0);
            }
            case Q5_0 -> {
                copyHalf(at, record + 2L * lane);
                nibbles(at + 6, 0);
                fifthBits((int) U32.get(s, at + 2));
            }
            case Q5_1 -> {
                copyHalf(at, record + 2L * lane);
                copyHalf(at + 2, record + 32 + 2L * lane);
                nibbles(at + 8, 0);
                fifthBits((int) U32.get(s, at + 4));
            }
            case MXFP4 -> {
                packed.data().set(JAVA_SHORT, record + 2L * lane, halfPower(unsigned(at)));
                nibbles(at + 1, 0);
            }
            case Q2_K -> {
                copyHalf(at + 80, record + 2L * lane);
                copyHalf(at + 82, record + 32 + 2L * lane);
                for (int run = 0; run < 16; run++) {
                    putByte(record + 64, run, lane, unsigned(at + run));
                }
                twoBits(at + 16);
            }
            case Q3_K -> {
                widenHalf(at + 108, record + 4L * lane);
                for (int run = 0; run < 16; run++) {
                    int low = (unsigned(at + 96 + (run & 7)) >> (4 * (run >> 3))) & 15;
                    int high = (unsigned(at + 104 + (run & 3)) >> (2 * (run >> 2))) & 3;
                    putByte(record + 64, run, lane, (low | high << 4) - 32);
                }
                twoBits(at + 32);
                for (int run = 0; run < 8; run++) {
                    addField(at, 32, run, 1, 32 * run, 2);
                }
            }
            case Q4_K -> {
                packKScales(at, record, lane);
                pairedNibbles(at + 16);
            }
            case Q5_K -> {
                packKScales(at, record, lane);
                pairedNibbles(at + 48);
                for (int run = 0; run < 8; run++) {
                    addField(at + 16, 32, run, 1, 32 * run, 4);
                }
            }
            case Q6_K -> {
                widenHalf(at + 208, record + 4L * lane);
                for (int run = 0; run < 16; run++) {
                    putByte(record + 64, run, lane, s[at + 192 + run]);
                }
                sixBits(at);
            }
            case IQ4_XS -> {
                widenHalf(at, record + 4L * lane);
                int high = (short) U16.get(s, at + 2);
                for (int run = 0; run < 8; run++) {
                    int low = (unsigned(at + 4 + (run >> 1)) >> (4 * (run & 1))) & 15;
                    putByte(record + 64, run, lane, (low | ((high >> (2 * run)) & 3) << 4) - 32);
                    nibbles(at + 8 + 16 * run, 32 * run);
                }
            }
            default -> throw new IllegalStateException("no blocks: " + packed.format());
        }
    }

    /// Sixteen bytes: elements 0 to 15 in the low nibbles, 16 to 31 in the high ones.
    private void nibbles(int at, int to) {
        setField(at, 16, 0, 15, to);
        setField(at, 16, 4, 15, to + 16);
    }

    private void fifthBits(int bits) {
        for (int i = 0; i < BLOCK; i++) {
            codes[i] |= (byte) (((bits >>> i) & 1) << 4);
        }
    }

    /// Runs of 32 elements, two of which share 32 bytes: the even one in the low nibbles.
    private void pairedNibbles(int at) {
        for (int pair = 0; pair < 4; pair++) {
            setField(at + 32 * pair, 32, 0, 15, 64 * pair);
            setField(at + 32 * pair, 32, 4, 15, 64 * pair + 32);
        }
    }

    /// Halves of 128 elements, each four runs of 32 that share 32 bytes.
    private void twoBits(int at) {
        for (int run = 0; run < 8; run++) {
            setField(at + run / 4 * 32, 32, run % 4 * 2, 3, 32 * run);
        }
    }

    /// 128 bytes of low nibbles and 64 of high bit pairs, for two halves of four runs of 32.
    private void sixBits(int at) {
        for (int run = 0; run < 8; run++) {
            int half = run / 4;
            int quarter = run % 4;
            setField(at + 64 * half + 32 * (quarter & 1), 32, 4 * (quarter >> 1), 15, 32 * run);
            addField(at + 128 + 32 * half, 32, 2 * quarter, 3, 32 * run, 4);
        }
    }

    /// The bits of `mask` from bit `shift` of each of some bytes become codes.
    ///
    /// @param count a multiple of 8
    private void setField(int at, int count, int shift, int mask, int to) {
        for (int i = 0; i < count; i += 8) {
            EIGHT.set(codes, to + i, field(at + i, shift, mask));
        }
    }

    /// The same, into codes that are there, from their bit `up` on.
    private void addField(int at, int count, int shift, int mask, int to, int up) {
        for (int i = 0; i < count; i += 8) {
            long there = (long) EIGHT.get(codes, to + i);
            EIGHT.set(codes, to + i, there | field(at + i, shift, mask) << up);
        }
    }

    private long field(int at, int shift, int mask) {
        return (long) EIGHT.get(s, at) >>> shift & mask * EACH_OF_EIGHT;
    }

    /// d, dmin and twelve bytes with eight scales and minima of six bits: the first four of each lie in the low bits of bytes
    /// 0 to 7, whose upper two bits complete the low nibbles (scales) and high nibbles (minima) of bytes 8 to 11.
    private void packKScales(int at, long record, int lane) {
        copyHalf(at, record + 2L * lane);
        copyHalf(at + 2, record + 32 + 2L * lane);
        for (int run = 0; run < 4; run++) {
            int scale = unsigned(at + 4 + run);
            int minimum = unsigned(at + 8 + run);
            int both = unsigned(at + 12 + run);
            putByte(record + 64, 2 * run, lane, scale & 63);
            putByte(record + 64, 2 * run + 8, lane, (both & 15) | (scale >> 6) << 4);
            putByte(record + 80, 2 * run, lane, minimum & 63);
            putByte(record + 80, 2 * run + 8, lane, both >> 4 | (minimum >> 6) << 4);
        }
    }

    private void putByte(long array, int run, int lane, int value) {
        packed.data().set(JAVA_BYTE, array + 16L * run + lane, (byte) value);
    }

    private void copyHalf(int at, long to) {
        packed.data().set(JAVA_SHORT, to, (short) U16.get(s, at));
    }

    private void widenHalf(int at, long to) {
        packed.data().set(JAVA_FLOAT, to, Float.float16ToFloat((short) U16.get(s, at)));
    }

    /// The BF16 number `2^(exponent - 128)`; the first two are subnormal.
    private static short halfPower(int exponent) {
        return (short) (exponent < 2 ? 0x20 << exponent : (exponent - 1) << 7);
    }

    private int unsigned(int at) {
        return Byte.toUnsignedInt(s[at]);
    }
}
