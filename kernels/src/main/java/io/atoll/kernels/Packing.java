package io.atoll.kernels;

import static io.atoll.kernels.WeightFormat.BLOCK;
import static io.atoll.kernels.WeightFormat.GROUP;
import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_SHORT;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SegmentAllocator;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.List;

/// Brings row-major weights into the interleaved layout of [PackedMatrix], and back.
///
/// [#pack], [#packBlocks], [#packCodes] and [#packQuantized] keep every value; [#quantize] does not, and is named so. Several sources are
/// laid below each other, so the gate and up projections of an expert become one matrix. Rows may also be computed on the way
/// ([RowReader]).
public final class Packing {
    private static final ValueLayout.OfFloat F32 =
            ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfShort U16 =
            ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final long ALIGNMENT = 64;

    /// Elements that a [RowReader] is asked for at a time, unless one row has more.
    private static final int SLICE_ELEMENTS = 1 << 16;

    private Packing() {}

    /// Packs without changing a value: any source into `F32`, and sources of 16 bits into the format of that name.
    ///
    /// @param sources the rows from top to bottom
    /// @param allocator owns the result
    public static PackedMatrix pack(
            WeightFormat format, List<RowSource> sources, int cols, SegmentAllocator allocator) {
        int rows = 0;
        for (RowSource source : sources) {
            source.checkHolds(cols);
            if (!keepsValues(source.type(), format)) {
                throw new IllegalArgumentException(
                        "packing " + source.type() + " as " + format + " would change values");
            }
            rows = Math.addExact(rows, source.rows());
        }
        PackedMatrix packed = allocate(format, rows, cols, allocator);
        int output = 0;
        for (RowSource source : sources) {
            for (int row = 0; row < source.rows(); row++, output++) {
                if (format != WeightFormat.F32) {
                    packHalfRow(source, row, packed, output);
                } else {
                    packF32Row(source, row, packed, output);
                }
            }
        }
        return packed;
    }

    /// Packs rows that are computed on the way, without changing a value. Besides the result this takes memory for some rows only.
    ///
    /// @param format `F32`, or `BF16` or `F16` if every value is one that this holds
    /// @param reader is asked for all rows, in order
    /// @param allocator owns the result
    /// @throws IllegalArgumentException if a value does not fit the format
    public static PackedMatrix pack(
            WeightFormat format, int rows, int cols, RowReader reader, SegmentAllocator allocator) {
        if (format.takesQuantizedRows() || format == WeightFormat.F8_E4M3) {
            throw new IllegalArgumentException(
                    "packing computed rows as " + format + " would change values");
        }
        PackedMatrix packed = allocate(format, rows, cols, allocator);
        readSlices(
                packed,
                reader,
                (source, row, output) -> {
                    if (format != WeightFormat.F32) {
                        narrowRow(source, row, packed, output);
                    } else {
                        packF32Row(source, row, packed, output);
                    }
                });
        return packed;
    }

    /// Whether [#pack] takes this pair.
    public static boolean keepsValues(SourceType source, WeightFormat format) {
        return switch (format) {
            case F32 -> true;
            case BF16 -> source == SourceType.BF16;
            case F16 -> source == SourceType.F16;
            default -> false;
        };
    }

    /// Packs int8 rows as `Q8` without changing a value.
    ///
    /// @param cols a multiple of 32
    public static PackedMatrix packQuantized(
            List<QuantizedRows> sources, int cols, SegmentAllocator allocator) {
        int rows = 0;
        for (QuantizedRows source : sources) {
            source.checkHolds(cols);
            rows = Math.addExact(rows, source.rows());
        }
        PackedMatrix packed = allocate(WeightFormat.Q8, rows, cols, allocator);
        int blocks = cols / BLOCK;
        byte[] codes = new byte[BLOCK];
        int output = 0;
        for (QuantizedRows source : sources) {
            for (long row = 0; row < source.rows(); row++, output++) {
                for (int b = 0; b < blocks; b++) {
                    for (int i = 0; i < BLOCK; i++) {
                        codes[i] =
                                source.quants().get(JAVA_BYTE, row * cols + (long) b * BLOCK + i);
                    }
                    float scale = source.scales().get(F32, 4 * (row * blocks + b));
                    putQ8(packed, output, b, scale, codes);
                }
            }
        }
        return packed;
    }

    /// Packs rows of GGML blocks without changing a value.
    ///
    /// @param format any quantised format but `Q8`: the one with the type's name
    /// @param sources whole rows from top to bottom, row-major; need not be aligned and may be mapped files. Borrowed while
    ///     packing
    /// @param cols a multiple of [WeightFormat#columnMultiple]
    /// @param allocator owns the result
    public static PackedMatrix packBlocks(
            WeightFormat format,
            List<MemorySegment> sources,
            int cols,
            SegmentAllocator allocator) {
        long rowBytes = blockRowBytes(format, cols);
        long rows = 0;
        for (MemorySegment source : sources) {
            if (source.byteSize() % rowBytes != 0) {
                throw new IllegalArgumentException(
                        "not whole rows of "
                                + format
                                + ": bytes="
                                + source.byteSize()
                                + " rowBytes="
                                + rowBytes);
            }
            rows += source.byteSize() / rowBytes;
        }
        PackedMatrix packed = allocate(format, Math.toIntExact(rows), cols, allocator);
        BlockPacking blocks = new BlockPacking(packed);
        int output = 0;
        for (MemorySegment source : sources) {
            for (long at = 0; at < source.byteSize(); at += rowBytes, output++) {
                blocks.packRow(source, at, output);
            }
        }
        return packed;
    }

    /// Packs rows of codes that are taken apart on the way, without changing a value. Besides the result this takes memory for
    /// some rows only.
    ///
    /// @param format `F8_E4M3`, `MXFP4`, or a format of quantised safetensors
    /// @param cols a multiple of [WeightFormat#columnMultiple]
    /// @param reader is asked for all rows, in order
    /// @param allocator owns the result
    /// @throws IllegalArgumentException if a scale is none that the format holds
    public static PackedMatrix packCodes(
            WeightFormat format,
            int rows,
            int cols,
            CodeReader reader,
            SegmentAllocator allocator) {
        PackedMatrix packed = allocate(format, rows, cols, allocator);
        CodePacking codes = new CodePacking(packed);
        int together = Math.clamp(SLICE_ELEMENTS / cols, 1, rows);
        CodedRows buffers = codes.buffers(together);
        for (int first = 0; first < rows; first += together) {
            int count = Math.min(together, rows - first);
            reader.read(first, count, buffers);
            for (int row = 0; row < count; row++) {
                codes.packRow(buffers, row, first + row);
            }
        }
        return packed;
    }

    /// Columns of an output that share a scale in [CodedRows]; all of them where a scale is the row's.
    ///
    /// @throws IllegalArgumentException if [#packCodes] does not take the format
    public static int groupColumns(WeightFormat format, int cols) {
        return CodePacking.groupColumns(format, cols);
    }

    /// Bytes of a row of GGML blocks, as [#packBlocks] takes them.
    ///
    /// @throws IllegalArgumentException if the format is none of GGML's, or the columns are not whole blocks
    public static long blockRowBytes(WeightFormat format, int cols) {
        long sourceBytes = BlockPacking.sourceBytes(format);
        if (cols <= 0 || cols % format.columnMultiple() != 0) {
            throw new IllegalArgumentException(
                    format
                            + " columns must be a multiple of "
                            + format.columnMultiple()
                            + ": "
                            + cols);
        }
        return cols / format.columnMultiple() * sourceBytes;
    }

    /// Rounds weights to `Q8`: for each block of 32 columns the scale is `max|w| / 127` and a weight becomes `rint(w * (1 / scale))`.
    /// **Changes values**, each by at most half a scale. Weights have to be finite.
    ///
    /// @param cols a multiple of 32
    public static PackedMatrix quantize(
            List<RowSource> sources, int cols, SegmentAllocator allocator) {
        int rows = 0;
        for (RowSource source : sources) {
            source.checkHolds(cols);
            rows = Math.addExact(rows, source.rows());
        }
        PackedMatrix packed = allocate(WeightFormat.Q8, rows, cols, allocator);
        byte[] codes = new byte[BLOCK];
        int output = 0;
        for (RowSource source : sources) {
            for (int row = 0; row < source.rows(); row++, output++) {
                for (int b = 0; b < cols / BLOCK; b++) {
                    quantizeBlock(source, row, packed, output, b, codes);
                }
            }
        }
        return packed;
    }

    /// As the other, of rows that are computed on the way. Besides the result this takes memory for some rows only.
    ///
    /// @param cols a multiple of 32
    /// @param reader is asked for all rows, in order
    public static PackedMatrix quantize(
            int rows, int cols, RowReader reader, SegmentAllocator allocator) {
        PackedMatrix packed = allocate(WeightFormat.Q8, rows, cols, allocator);
        byte[] codes = new byte[BLOCK];
        readSlices(
                packed,
                reader,
                (source, row, output) -> {
                    for (int b = 0; b < cols / BLOCK; b++) {
                        quantizeBlock(source, row, packed, output, b, codes);
                    }
                });
        return packed;
    }

    /// Takes one row of a source as an output of the packed matrix.
    private interface RowTaker {
        void take(RowSource source, int row, int output);
    }

    private static void readSlices(PackedMatrix packed, RowReader reader, RowTaker taker) {
        int cols = packed.cols();
        int rows = packed.rows();
        int together = Math.clamp(SLICE_ELEMENTS / cols, 1, rows);
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment slice = arena.allocate(4L * together * cols, ALIGNMENT);
            for (int first = 0; first < rows; first += together) {
                int count = Math.min(together, rows - first);
                reader.read(first, count, slice.asSlice(0, 4L * count * cols));
                RowSource source = new RowSource(slice, SourceType.F32, count);
                for (int row = 0; row < count; row++) {
                    taker.take(source, row, first + row);
                }
            }
        }
    }

    private static void quantizeBlock(
            RowSource source, int row, PackedMatrix packed, int output, int block, byte[] codes) {
        long first = (long) row * packed.cols() + (long) block * BLOCK;
        float max = 0f;
        for (int i = 0; i < BLOCK; i++) {
            float weight = value(source, first + i);
            if (!Float.isFinite(weight)) {
                throw new IllegalArgumentException(
                        "weight is not finite: output="
                                + output
                                + " column="
                                + (block * BLOCK + i)
                                + " value="
                                + weight);
            }
            max = Math.max(max, Math.abs(weight));
        }
        float scale = max / 127f;
        float inverse = scale >= Float.MIN_NORMAL ? 1f / scale : 0f;
        for (int i = 0; i < BLOCK; i++) {
            codes[i] = (byte) Math.rint(value(source, first + i) * inverse);
        }
        putQ8(packed, output, block, inverse == 0f ? 0f : scale, codes);
    }

    /// @param levels -128 to 127, overwritten
    private static void putQ8(
            PackedMatrix packed, int output, int block, float scale, byte[] levels) {
        BlockLayout layout = packed.format().layout();
        for (int i = 0; i < BLOCK; i++) {
            levels[i] += (byte) layout.offset();
        }
        long record = layout.record(packed.cols(), output, block * BLOCK);
        packed.data().set(JAVA_FLOAT, record + 4L * (output % GROUP), scale);
        layout.putCodes(packed.data(), record + layout.headerBytes(), output, levels, 0);
    }

    /// Writes the weights as row-major floats, dequantised, without the padding.
    ///
    /// @param out float `[rows, cols]`
    public static void unpack(PackedMatrix packed, MemorySegment out) {
        for (int o = 0; o < packed.rows(); o++) {
            for (int c = 0; c < packed.cols(); c++) {
                out.setAtIndex(JAVA_FLOAT, (long) o * packed.cols() + c, weight(packed, o, c));
            }
        }
    }

    /// One weight, dequantised.
    public static float weight(PackedMatrix packed, int output, int column) {
        MemorySegment data = packed.data();
        return switch (packed.format()) {
            case F32 -> data.getAtIndex(JAVA_FLOAT, element(packed, output, column));
            case BF16 -> bf16(data.getAtIndex(JAVA_SHORT, element(packed, output, column)));
            case F16 ->
                    Float.float16ToFloat(
                            data.getAtIndex(JAVA_SHORT, element(packed, output, column)));
            case F8_E4M3 -> Fp8Layout.weight(data, packed.cols(), output, column);
            default -> packed.format().layout().weight(data, packed.cols(), output, column);
        };
    }

    private static PackedMatrix allocate(
            WeightFormat format, int rows, int cols, SegmentAllocator allocator) {
        long bytes = PackedMatrix.bytes(format, rows, cols);
        PackedMatrix packed =
                new PackedMatrix(allocator.allocate(bytes, ALIGNMENT), format, rows, cols);
        clearPadding(packed);
        return packed;
    }

    /// An allocator need not zero its memory. Where weights have scales, zeros of those make zero weights.
    private static void clearPadding(PackedMatrix packed) {
        if (packed.rows() % GROUP != 0) {
            long groupBytes = packed.format().groupBytes(packed.cols());
            packed.data().asSlice((packed.groups() - 1) * groupBytes, groupBytes).fill((byte) 0);
            CodePacking.clearFactors(packed);
        }
    }

    private static void packF32Row(RowSource source, int row, PackedMatrix packed, int output) {
        long first = (long) row * packed.cols();
        for (int c = 0; c < packed.cols(); c++) {
            packed.data()
                    .setAtIndex(JAVA_FLOAT, element(packed, output, c), value(source, first + c));
        }
    }

    private static void packHalfRow(RowSource source, int row, PackedMatrix packed, int output) {
        long first = (long) row * packed.cols();
        for (int c = 0; c < packed.cols(); c++) {
            short bits = source.data().get(U16, 2 * (first + c));
            packed.data().setAtIndex(JAVA_SHORT, element(packed, output, c), bits);
        }
    }

    /// Keeps 16 bits of each float, which must be all of it.
    private static void narrowRow(RowSource source, int row, PackedMatrix packed, int output) {
        WeightFormat format = packed.format();
        long first = (long) row * packed.cols();
        for (int c = 0; c < packed.cols(); c++) {
            float value = value(source, first + c);
            short bits =
                    format == WeightFormat.F16
                            ? Float.floatToFloat16(value)
                            : (short) (Float.floatToRawIntBits(value) >>> 16);
            float kept = format == WeightFormat.F16 ? Float.float16ToFloat(bits) : bf16(bits);
            if (Float.compare(kept, value) != 0) {
                throw new IllegalArgumentException(
                        "weight is none that "
                                + format
                                + " holds: output="
                                + output
                                + " column="
                                + c
                                + " value="
                                + value);
            }
            packed.data().setAtIndex(JAVA_SHORT, element(packed, output, c), bits);
        }
    }

    private static float value(RowSource source, long index) {
        return switch (source.type()) {
            case F32 -> source.data().get(F32, 4 * index);
            case BF16 -> bf16(source.data().get(U16, 2 * index));
            case F16 -> Float.float16ToFloat(source.data().get(U16, 2 * index));
        };
    }

    private static float bf16(short bits) {
        return Float.intBitsToFloat(bits << 16);
    }

    /// Index of a weight in the layouts of plain floats.
    private static long element(PackedMatrix packed, int output, int column) {
        return ((long) (output / GROUP) * packed.cols() + column) * GROUP + output % GROUP;
    }
}
