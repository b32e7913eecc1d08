package io.atoll.model.gguf;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;

/// Reads a header front to back. Nothing is read past the end, and no length is believed before it is compared with what is
/// left of the file.
final class GgufCursor {
    private static final ValueLayout.OfInt INT =
            ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfLong LONG =
            ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

    private final Path file;
    private final MemorySegment bytes;
    private long at;

    GgufCursor(Path file, MemorySegment bytes) {
        this.file = file;
        this.bytes = bytes;
    }

    Path file() {
        return file;
    }

    long position() {
        return at;
    }

    long left() {
        return bytes.byteSize() - at;
    }

    int readInt(String where) {
        need(4, where);
        int value = bytes.get(INT, at);
        at += 4;
        return value;
    }

    long readLong(String where) {
        need(8, where);
        long value = bytes.get(LONG, at);
        at += 8;
        return value;
    }

    /// A count of things that take at least `leastBytes` each.
    long readCount(String where, String what, int leastBytes, long limit) {
        long count = readLong(where);
        if (count < 0 || count > limit || count > left() / leastBytes) {
            throw new GgufException(
                    file,
                    where,
                    Long.toUnsignedString(count)
                            + " "
                            + what
                            + " are out of range: at most "
                            + limit
                            + ", and the file has "
                            + left()
                            + " bytes left");
        }
        return count;
    }

    /// A string of at most `limit` bytes, which must be UTF-8.
    String readString(String where, int limit) {
        long length = readCount(where, "bytes of text", 1, limit);
        String text = text(file, bytes, at, (int) length, where);
        at += length;
        return text;
    }

    GgufValueType readType(String where) {
        int number = readInt(where);
        GgufValueType[] types = GgufValueType.values();
        if (number < 0 || number >= types.length) {
            throw new GgufException(
                    file, where, "has the unknown value type " + Integer.toUnsignedString(number));
        }
        return types[number];
    }

    /// Steps over `count` bytes.
    void skip(long count, String where) {
        need(count, where);
        at += count;
    }

    /// Steps over a string.
    void skipString(String where) {
        skip(readCount(where, "bytes of text", 1, Integer.MAX_VALUE), where);
    }

    private void need(long count, String where) {
        if (count > left()) {
            throw new GgufException(
                    file,
                    where,
                    "the file ends at byte "
                            + bytes.byteSize()
                            + ", inside "
                            + count
                            + " bytes at "
                            + at);
        }
    }

    /// Decodes UTF-8 strictly.
    static String text(Path file, MemorySegment bytes, long at, int length, String where) {
        ByteBuffer raw = bytes.asSlice(at, length).asByteBuffer();
        try {
            return StandardCharsets.UTF_8.newDecoder().decode(raw).toString();
        } catch (CharacterCodingException e) {
            throw new GgufException(file, where, "is not UTF-8", e);
        }
    }
}
