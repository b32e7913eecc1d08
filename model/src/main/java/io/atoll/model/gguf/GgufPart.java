package io.atoll.model.gguf;

import io.atoll.model.quant.GgmlType;
import io.atoll.model.quant.UnsupportedTypeException;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.HashSet;
import java.util.List;
import java.util.Set;

/// One file of a GGUF model, mapped, with its header read and checked: magic and version, metadata, tensor table, and the
/// tensors' bytes from the next multiple of the alignment on.
///
/// @param version 2 or 3, which have the same layout
/// @param tensors in the table's order
/// @param bytes of the whole file
record GgufPart(int version, GgufMetadata metadata, List<GgufTensor> tensors, MemorySegment bytes) {
    private static final int MAGIC = 0x46554747; // "GGUF"
    private static final String ALIGNMENT_KEY = "general.alignment";
    private static final int DEFAULT_ALIGNMENT = 32;
    private static final int MAX_ALIGNMENT = 1 << 20;
    private static final int MAX_TENSORS = 1 << 18;
    private static final int MAX_NAME_BYTES = 255;
    private static final int MAX_RANK = 4;

    /// What the table says of a tensor, before its bytes are looked for.
    private record Entry(String name, GgmlType type, long[] shape, long offset, long bytes) {}

    /// Maps a file into `arena` and reads its header. Tensor bytes are not touched.
    static GgufPart open(Path file, Arena arena) {
        if (!Files.isRegularFile(file)) {
            throw new GgufException(file, "file", "is missing");
        }
        try (FileChannel channel = FileChannel.open(file, StandardOpenOption.READ)) {
            return read(file, channel.map(FileChannel.MapMode.READ_ONLY, 0, channel.size(), arena));
        } catch (IOException e) {
            throw new GgufException(file, "file", "cannot be mapped: " + e, e);
        }
    }

    /// Reads the bytes of a whole file.
    static GgufPart read(Path file, MemorySegment bytes) {
        GgufCursor cursor = new GgufCursor(file, bytes);
        if (cursor.readInt("magic") != MAGIC) {
            throw new GgufException(file, "magic", "is not that of a GGUF file");
        }
        int version = cursor.readInt("version");
        if (version != 2 && version != 3) {
            throw new GgufException(file, "version", unsupportedVersion(version));
        }
        // The least a tensor takes in the table: name, rank, one dimension, type, offset.
        long tensorCount = cursor.readCount("header", "tensors", 8 + 4 + 8 + 4 + 8, MAX_TENSORS);
        long entryCount = GgufMetadata.readCount(cursor);
        GgufMetadata metadata = GgufMetadata.read(file, bytes, cursor, entryCount);
        int alignment = metadata.integer(ALIGNMENT_KEY, 1, MAX_ALIGNMENT, DEFAULT_ALIGNMENT);
        if (Integer.bitCount(alignment) != 1) {
            throw new GgufException(
                    file, ALIGNMENT_KEY, "must be a power of two, found " + alignment);
        }
        List<Entry> table = readTable(file, cursor, (int) tensorCount, alignment);
        return new GgufPart(
                version, metadata, locate(file, bytes, table, cursor.position(), alignment), bytes);
    }

    private static List<Entry> readTable(Path file, GgufCursor cursor, int count, int alignment) {
        List<Entry> table = new ArrayList<>(count);
        Set<String> names = HashSet.newHashSet(count);
        for (int i = 0; i < count; i++) {
            String name = cursor.readString("tensor " + i, MAX_NAME_BYTES);
            String where = name.isEmpty() ? "tensor " + i : name;
            if (!names.add(name)) {
                throw new GgufException(file, where, "tensor stands twice in the table");
            }
            long[] shape = readShape(file, cursor, where);
            GgmlType type = readType(file, cursor, where);
            long offset = cursor.readLong(where);
            if (offset < 0 || offset % alignment != 0) {
                throw new GgufException(
                        file,
                        where,
                        "offset "
                                + Long.toUnsignedString(offset)
                                + " is not a multiple of the alignment "
                                + alignment);
            }
            table.add(new Entry(name, type, shape, offset, bytes(file, where, type, shape)));
        }
        return table;
    }

    /// Sizes, slowest first; the file has the fastest first.
    private static long[] readShape(Path file, GgufCursor cursor, String where) {
        int rank = cursor.readInt(where);
        if (rank < 1 || rank > MAX_RANK) {
            throw new GgufException(
                    file,
                    where,
                    "must have 1 to "
                            + MAX_RANK
                            + " dimensions, found "
                            + Integer.toUnsignedString(rank));
        }
        long[] shape = new long[rank];
        for (int i = rank - 1; i >= 0; i--) {
            shape[i] = cursor.readLong(where);
            if (shape[i] <= 0) {
                throw new GgufException(
                        file, where, "has a dimension of size " + Long.toUnsignedString(shape[i]));
            }
        }
        return shape;
    }

    private static GgmlType readType(Path file, GgufCursor cursor, String where) {
        try {
            return GgmlType.of(cursor.readInt(where));
        } catch (UnsupportedTypeException e) {
            throw new GgufException(file, where, e.getMessage(), e);
        }
    }

    private static long bytes(Path file, String where, GgmlType type, long[] shape) {
        long row = shape[shape.length - 1];
        if (row % type.blockElements() != 0) {
            throw new GgufException(
                    file,
                    where,
                    "rows of "
                            + row
                            + " elements are no whole blocks of "
                            + type
                            + " ("
                            + type.blockElements()
                            + ")");
        }
        try {
            long elements = 1;
            for (long size : shape) {
                elements = Math.multiplyExact(elements, size);
            }
            return type.bytes(elements);
        } catch (ArithmeticException e) {
            throw new GgufException(
                    file, where, "shape " + Arrays.toString(shape) + " overflows 64 bits", e);
        }
    }

    /// Finds every tensor's bytes: inside the file, and no byte in two tensors. Gaps are allowed, as padding makes them.
    private static List<GgufTensor> locate(
            Path file, MemorySegment bytes, List<Entry> table, long headerEnd, int alignment) {
        long dataStart = Math.ceilDiv(headerEnd, (long) alignment) * alignment;
        long dataBytes = Math.max(0, bytes.byteSize() - dataStart);
        List<Entry> ordered = new ArrayList<>(table);
        ordered.sort(Comparator.comparingLong(Entry::offset));
        long end = 0;
        for (Entry entry : ordered) {
            if (entry.offset > dataBytes || entry.bytes > dataBytes - entry.offset) {
                throw new GgufException(
                        file,
                        entry.name,
                        entry.bytes
                                + " bytes at "
                                + entry.offset
                                + " are not inside the file's "
                                + dataBytes
                                + " bytes of data: the file is cut off or damaged");
            }
            if (entry.offset < end) {
                throw new GgufException(
                        file,
                        entry.name,
                        "overlaps another tensor: begins at "
                                + entry.offset
                                + ", the previous one ends at "
                                + end);
            }
            end = entry.offset + entry.bytes;
        }
        return table.stream()
                .map(
                        entry ->
                                new GgufTensor(
                                        entry.name,
                                        entry.type,
                                        entry.shape,
                                        bytes.asSlice(dataStart + entry.offset, entry.bytes),
                                        file))
                .toList();
    }

    private static String unsupportedVersion(int version) {
        if (version == 1) {
            return "1 is no longer in use; convert the file again";
        }
        return (version & 0xFFFF) == 0 && version != 0
                ? "shows a big-endian file, which is not supported"
                : Integer.toUnsignedString(version) + " is not supported; 2 and 3 are";
    }
}
