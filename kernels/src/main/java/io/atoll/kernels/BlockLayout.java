package io.atoll.kernels;

import static io.atoll.kernels.WeightFormat.BLOCK;
import static io.atoll.kernels.WeightFormat.GROUP;
import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT_UNALIGNED;
import static java.lang.foreign.ValueLayout.JAVA_SHORT;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;
import java.util.List;

/// Where the numbers of a quantised [PackedMatrix] lie, and what they mean: one description for all quantised formats.
///
/// A group of 16 outputs is what the [Scales] say of whole outputs, then a sequence of **records** of [#columns] columns each:
/// first the [Scales] of the record, then the codes of its blocks of 32 columns. A **run** is columns of an output whose products
/// are added as integers; they share a scale. The weight of code `q` is `scale * level(q)`, plus a minimum where the format has
/// one, times (or divided by) a factor of the output where it has one.
///
/// Codes of a block are cut into a low field of [#lowBits] bits and a high field of [#highBits], which are stored in `lowBits`
/// and `highBits` vectors of 64 bytes. Byte `4 o + b` of a vector belongs to output `o` and columns `4 a + b`, where a field of `f` bits
/// puts `a = 8 / f * vector + k` at the bits from `f k` up. A kernel that takes a field of all bytes by one shift and one
/// mask thus has four neighbouring columns of each of the 16 outputs, which is how the byte dot products want them.
///
/// Vectors stand in the order in which ascending columns need them: each high vector comes right before the low vectors of its
/// columns. Memory is then read strictly forward, which is what its prefetchers follow.
///
/// @param columns of one record: 32, 64, 128 or 256
/// @param runColumns 16 or 32
/// @param lowBits 2, 4 or 8
/// @param highBits 0, 1 or 2
/// @param offset what a code is larger than its level, before a zero point is taken off; unused with a table
/// @param table the level of each code, or empty
/// @param scales how the scales are stored
public record BlockLayout(
        int columns,
        int runColumns,
        int lowBits,
        int highBits,
        int offset,
        List<Integer> table,
        Scales scales) {

    /// What stands before the codes of a record, or before the records of a group. Arrays have one element for each output.
    public enum Scales {
        /// `float scale[16]`
        F32_SCALE(0, 64, 0),
        /// `half scale[16]`
        F16_SCALE(0, 32, 0),
        /// `bf16 scale[16]`
        BF16_SCALE(0, 32, 0),
        /// `half scale[16], minimum[16]`
        F16_SCALE_AND_MINIMUM(0, 64, 0),
        /// `half scale[16]; int8 zero[16]`
        F16_SCALE_AND_ZERO(0, 48, 0),
        /// `bf16 scale[16]; int8 zero[16]`
        BF16_SCALE_AND_ZERO(0, 48, 0),
        /// `float scale[16]; int8 zero[16]`
        F32_SCALE_AND_ZERO(0, 80, 0),
        /// Before the records `float factor[16]; int8 zero[16]`: scales are 1, the factor multiplies.
        SCALE_AND_ZERO_OF_OUTPUT(80, 0, 0),
        /// Before the records `float factor[16]`, in a record `e4m3 s[runs][16]`: the scale is `s / 2`, the factor multiplies.
        E4M3_MULTIPLIED(64, 0, 16),
        /// The same, but the factor divides.
        E4M3_DIVIDED(64, 0, 16),
        /// `half d[16], dmin[16]; uint8 sm[runs][2][16]`, each `s`, then `m`: the scale is `d s`, the minimum `-(dmin m)`
        HALVES_TIMES_BYTES(0, 64, 32),
        /// `half d[16], dmin[16]; uint8 sm[runs][16]`: as before, `s` in the low and `m` in the high nibble
        HALVES_TIMES_NIBBLES(0, 64, 16),
        /// `float d[16]; int8 s[runs][16]`: the scale is `d s`
        F32_TIMES_SIGNED_BYTES(0, 64, 16);

        private final int groupBytes;
        private final int fixedBytes;
        private final int runBytes;

        Scales(int groupBytes, int fixedBytes, int runBytes) {
            this.groupBytes = groupBytes;
            this.fixedBytes = fixedBytes;
            this.runBytes = runBytes;
        }
    }

    private static final ValueLayout.OfInt WORD =
            JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final VarHandle FOUR_CODES =
            MethodHandles.byteArrayViewVarHandle(int[].class, ByteOrder.LITTLE_ENDIAN);

    private static final List<Integer> CODES = List.of();
    private static final List<Integer> IQ4_LEVELS =
            List.of(-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113);

    /// Levels of E2M1 codes: doubled, so that they are integers.
    public static final List<Integer> E2M1_DOUBLED =
            List.of(0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12);

    static final BlockLayout Q8 = new BlockLayout(32, 32, 8, 0, 128, CODES, Scales.F32_SCALE);
    static final BlockLayout Q8_0 = new BlockLayout(32, 32, 8, 0, 128, CODES, Scales.F16_SCALE);
    static final BlockLayout Q4_0 = new BlockLayout(32, 32, 4, 0, 8, CODES, Scales.F16_SCALE);
    static final BlockLayout Q4_1 =
            new BlockLayout(32, 32, 4, 0, 0, CODES, Scales.F16_SCALE_AND_MINIMUM);
    static final BlockLayout Q5_0 = new BlockLayout(32, 32, 4, 1, 16, CODES, Scales.F16_SCALE);
    static final BlockLayout Q5_1 =
            new BlockLayout(32, 32, 4, 1, 0, CODES, Scales.F16_SCALE_AND_MINIMUM);
    static final BlockLayout IQ4_NL =
            new BlockLayout(32, 32, 4, 0, 0, IQ4_LEVELS, Scales.F16_SCALE);
    static final BlockLayout MXFP4 =
            new BlockLayout(32, 32, 4, 0, 0, E2M1_DOUBLED, Scales.BF16_SCALE);
    static final BlockLayout Q2_K =
            new BlockLayout(256, 16, 2, 0, 0, CODES, Scales.HALVES_TIMES_NIBBLES);
    static final BlockLayout Q3_K =
            new BlockLayout(256, 16, 2, 1, 4, CODES, Scales.F32_TIMES_SIGNED_BYTES);
    static final BlockLayout Q4_K =
            new BlockLayout(256, 32, 4, 0, 0, CODES, Scales.HALVES_TIMES_BYTES);
    static final BlockLayout Q5_K =
            new BlockLayout(256, 32, 4, 1, 0, CODES, Scales.HALVES_TIMES_BYTES);
    static final BlockLayout Q6_K =
            new BlockLayout(256, 16, 4, 2, 32, CODES, Scales.F32_TIMES_SIGNED_BYTES);
    static final BlockLayout IQ4_XS =
            new BlockLayout(256, 32, 4, 0, 0, IQ4_LEVELS, Scales.F32_TIMES_SIGNED_BYTES);

    static final BlockLayout NVFP4 =
            new BlockLayout(32, 16, 4, 0, 0, E2M1_DOUBLED, Scales.E4M3_MULTIPLIED);
    static final BlockLayout NVFP4_DIVIDED =
            new BlockLayout(32, 16, 4, 0, 0, E2M1_DOUBLED, Scales.E4M3_DIVIDED);

    public BlockLayout {
        table = List.copyOf(table);
    }

    /// Integers of 4 or 8 bits. The products of 32 columns are added as integers, however many share the scale.
    static BlockLayout integers(int bits, int columns, Scales scales) {
        return new BlockLayout(columns, 32, bits, 0, 1 << (bits - 1), CODES, scales);
    }

    /// Bytes before the records of a group.
    public int groupHeaderBytes() {
        return scales.groupBytes;
    }

    /// Bytes of a group of 16 outputs.
    public long groupBytes(int cols) {
        return scales.groupBytes + cols / columns * recordBytes();
    }

    /// Bytes before the codes of a record.
    public int headerBytes() {
        return scales.fixedBytes + columns / runColumns * scales.runBytes;
    }

    /// Bytes of the codes of one block of 32 columns.
    public int blockBytes() {
        return 4 * GROUP * (lowBits + highBits);
    }

    /// Bytes of a record.
    public long recordBytes() {
        return headerBytes() + (long) (columns / BLOCK) * blockBytes();
    }

    /// Whether weights have a minimum.
    public boolean hasMinimum() {
        return switch (scales) {
            case F16_SCALE_AND_MINIMUM, HALVES_TIMES_BYTES, HALVES_TIMES_NIBBLES -> true;
            default -> false;
        };
    }

    /// Whether levels are counted from a zero point.
    public boolean hasZero() {
        return switch (scales) {
            case F16_SCALE_AND_ZERO,
                    BF16_SCALE_AND_ZERO,
                    F32_SCALE_AND_ZERO,
                    SCALE_AND_ZERO_OF_OUTPUT ->
                    true;
            default -> false;
        };
    }

    /// Whether outputs have a factor.
    public boolean hasFactor() {
        return scales.groupBytes > 0;
    }

    /// Offset of the group of an output.
    public long group(int cols, int output) {
        return output / GROUP * groupBytes(cols);
    }

    /// Offset of the record that holds a column.
    ///
    /// @param cols of the matrix
    public long record(int cols, int output, int column) {
        return group(cols, output) + scales.groupBytes + column / columns * recordBytes();
    }

    /// Offset of the codes of the block that holds a column.
    public long block(int cols, int output, int column) {
        return record(cols, output, column)
                + headerBytes()
                + (long) (column % columns / BLOCK) * blockBytes();
    }

    /// The integer that a weight's code stands for.
    public int level(MemorySegment data, int cols, int output, int column) {
        long block = block(cols, output, column);
        int lane = output % GROUP;
        int i = column % BLOCK;
        int code = field(data, block + lowVector(i / 4 * lowBits / 8), lowBits, lane, i);
        if (highBits > 0) {
            long high = block + highVector(i / 4 * highBits / 8);
            code |= field(data, high, highBits, lane, i) << lowBits;
        }
        return table.isEmpty() ? code - offset - zero(data, cols, output, column) : table.get(code);
    }

    /// The zero point of a weight, less the offset; 0 where the format has none.
    private int zero(MemorySegment data, int cols, int output, int column) {
        return hasZero() ? data.get(JAVA_BYTE, zeros(cols, output, column) + output % GROUP) : 0;
    }

    /// Offset of the zero points that serve a column.
    public long zeros(int cols, int output, int column) {
        return scales == Scales.SCALE_AND_ZERO_OF_OUTPUT
                ? group(cols, output) + 64
                : record(cols, output, column) + scales.fixedBytes - GROUP;
    }

    /// Offset in a block of a vector with low fields.
    public int lowVector(int vector) {
        return highBits == 0 ? 64 * vector : 64 * (vector + 1 + vector * highBits / lowBits);
    }

    /// Offset in a block of a vector with high fields.
    public int highVector(int vector) {
        return 64 * vector * (1 + lowBits / highBits);
    }

    private static int field(MemorySegment data, long vector, int bits, int lane, int i) {
        byte stored = data.get(JAVA_BYTE, vector + 4L * lane + i % 4);
        return (stored >> (bits * (i / 4 % (8 / bits)))) & ((1 << bits) - 1);
    }

    /// What a run's sum is multiplied by. Products of a `d` and a scale byte are exact in f32, and so are halves of an E4M3.
    public float scale(MemorySegment data, int cols, int output, int column) {
        long record = record(cols, output, column);
        int lane = output % GROUP;
        int run = column % columns / runColumns;
        return switch (scales) {
            case F32_SCALE, F32_SCALE_AND_ZERO -> data.get(JAVA_FLOAT, record + 4L * lane);
            case F16_SCALE, F16_SCALE_AND_MINIMUM, F16_SCALE_AND_ZERO ->
                    half(data, record + 2L * lane);
            case BF16_SCALE, BF16_SCALE_AND_ZERO ->
                    Float.intBitsToFloat(data.get(JAVA_SHORT, record + 2L * lane) << 16);
            case SCALE_AND_ZERO_OF_OUTPUT -> 1f;
            case E4M3_MULTIPLIED, E4M3_DIVIDED ->
                    Fp8Layout.toFloat(data.get(JAVA_BYTE, record + 16L * run + lane)) * 0.5f;
            case HALVES_TIMES_BYTES ->
                    half(data, record + 2L * lane) * unsigned(data, record + 64 + 32L * run + lane);
            case HALVES_TIMES_NIBBLES ->
                    half(data, record + 2L * lane)
                            * (unsigned(data, record + 64 + 16L * run + lane) & 15);
            case F32_TIMES_SIGNED_BYTES ->
                    data.get(JAVA_FLOAT, record + 4L * lane)
                            * data.get(JAVA_BYTE, record + 64 + 16L * run + lane);
        };
    }

    /// What is added to the product of scale and level; 0 where the format has no minimum.
    public float minimum(MemorySegment data, int cols, int output, int column) {
        long record = record(cols, output, column);
        int lane = output % GROUP;
        int run = column % columns / runColumns;
        return switch (scales) {
            case F16_SCALE_AND_MINIMUM -> half(data, record + 32 + 2L * lane);
            case HALVES_TIMES_BYTES ->
                    -(half(data, record + 32 + 2L * lane)
                            * unsigned(data, record + 80 + 32L * run + lane));
            case HALVES_TIMES_NIBBLES ->
                    -(half(data, record + 32 + 2L * lane)
                            * (unsigned(data, record + 64 + 16L * run + lane) >> 4));
            default -> 0f;
        };
    }

    /// An output's sum with its factor; the sum where the format has none.
    public float finish(MemorySegment data, int cols, int output, float sum) {
        return switch (scales) {
            case SCALE_AND_ZERO_OF_OUTPUT, E4M3_MULTIPLIED -> sum * factor(data, cols, output);
            case E4M3_DIVIDED -> sum / factor(data, cols, output);
            default -> sum;
        };
    }

    private float factor(MemorySegment data, int cols, int output) {
        return data.get(JAVA_FLOAT, group(cols, output) + 4L * (output % GROUP));
    }

    /// One weight, in the order of multiplications that its file means. (The sign of a zero is not kept.)
    float weight(MemorySegment data, int cols, int output, int column) {
        int level = level(data, cols, output, column);
        float scale = scale(data, cols, output, column);
        return switch (scales) {
            case SCALE_AND_ZERO_OF_OUTPUT -> level * factor(data, cols, output);
            case E4M3_MULTIPLIED -> level * scale * factor(data, cols, output);
            // The scale is divided before it meets the number of which the level is the double.
            case E4M3_DIVIDED -> level * 0.5f * (scale * 2 / factor(data, cols, output));
            default ->
                    hasMinimum()
                            ? scale * level + minimum(data, cols, output, column)
                            : scale * level;
        };
    }

    private static float half(MemorySegment data, long at) {
        return Float.float16ToFloat(data.get(JAVA_SHORT, at));
    }

    private static int unsigned(MemorySegment data, long at) {
        return Byte.toUnsignedInt(data.get(JAVA_BYTE, at));
    }

    /// Writes the codes of 32 columns of an output. Other outputs share no byte with them.
    ///
    /// @param block from [#block]
    /// @param codes from index `from` on, unsigned
    void putCodes(MemorySegment data, long block, int output, byte[] codes, int from) {
        long lane = 4L * (output % GROUP);
        for (int v = 0; v < lowBits; v++) {
            data.set(WORD, block + lowVector(v) + lane, fields(codes, from, lowBits, 0, v));
        }
        for (int v = 0; v < highBits; v++) {
            int word = fields(codes, from, highBits, lowBits, v);
            data.set(WORD, block + highVector(v) + lane, word);
        }
    }

    /// The four bytes of an output in a vector: the fields of `bits` bits from bit `shift` of the codes up, four codes at a time.
    private static int fields(byte[] codes, int from, int bits, int shift, int vector) {
        int perByte = 8 / bits;
        int mask = 0x0101_0101 * ((1 << bits) - 1);
        int word = 0;
        for (int k = 0; k < perByte; k++) {
            int four = (int) FOUR_CODES.get(codes, from + 4 * (vector * perByte + k));
            word |= (four >>> shift & mask) << (bits * k);
        }
        return word;
    }
}
