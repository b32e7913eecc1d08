package io.atoll.model.checkpoint;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.CharsetDecoder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/// The key-value part at the start of a GGUF file, version 2 or 3, little-endian. Tensors are not looked at.
///
/// Every length is checked against the bytes that are left and against a limit before anything is allocated, so a
/// damaged file costs an error and no more memory than a sound one of its size.
public final class GgufMetadata {
    private static final int MAGIC = 0x46554747; // "GGUF"
    private static final int MAX_KEY_BYTES = 65_535; // the format's own limit
    private static final int MAX_STRING_BYTES = 64 << 20;
    private static final int MAX_KEYS = 1 << 16;
    private static final int MAX_ELEMENTS = 1 << 23; // of all arrays; a vocabulary needs under 2^20
    private static final int MAX_DEPTH = 4;
    private static final int MIN_ENTRY_BYTES = 8 + 4 + 1; // an empty key, a type and a byte
    private static final int MIN_TENSOR_BYTES = 8 + 4 + 4 + 8; // empty name, rank 0, type, offset

    private static final ValueLayout.OfShort SHORT =
            ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfInt INT =
            ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfLong LONG =
            ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

    private final Path file;
    private final int version;
    private final long tensorCount;
    private final long endOffset;
    private final Map<String, GgufValue> values;

    private GgufMetadata(
            Path file,
            int version,
            long tensorCount,
            long endOffset,
            Map<String, GgufValue> values) {
        this.file = file;
        this.version = version;
        this.tensorCount = tensorCount;
        this.endOffset = endOffset;
        this.values = Collections.unmodifiableMap(values);
    }

    /// Reads the metadata of a file.
    ///
    /// @throws CheckpointException if the file is missing, is no GGUF file, or its metadata is damaged
    public static GgufMetadata read(Path file) {
        if (!Files.isRegularFile(file)) {
            throw new CheckpointException(file, "file", "is missing");
        }
        try (Arena arena = Arena.ofConfined();
                FileChannel channel = FileChannel.open(file, StandardOpenOption.READ)) {
            return parse(
                    file, channel.map(FileChannel.MapMode.READ_ONLY, 0, channel.size(), arena));
        } catch (IOException e) {
            throw new CheckpointException(file, "file", "cannot be read: " + e, e);
        }
    }

    /// As [#read], from the file's bytes.
    static GgufMetadata parse(Path file, MemorySegment bytes) {
        return new Reader(file, bytes).read();
    }

    public Path file() {
        return file;
    }

    /// Version of the format: 2 or 3.
    public int version() {
        return version;
    }

    /// Number of tensors the file says follow.
    public long tensorCount() {
        return tensorCount;
    }

    /// Byte at which the metadata ends and the tensors' descriptions begin.
    public long endOffset() {
        return endOffset;
    }

    /// All values by key, in the file's order.
    public Map<String, GgufValue> values() {
        return values;
    }

    /// The string under a key, if there is one.
    ///
    /// @throws CheckpointException if the key holds something else
    public Optional<String> text(String key) {
        return Optional.ofNullable(values.get(key))
                .map(
                        value -> {
                            if (value instanceof GgufValue.Text(String text)) {
                                return text;
                            }
                            throw wrong(key, "a string", value);
                        });
    }

    /// The integer under a key, if there is one.
    ///
    /// @throws CheckpointException if the key holds something else
    public Optional<Long> whole(String key) {
        return Optional.ofNullable(values.get(key))
                .map(
                        value -> {
                            if (value instanceof GgufValue.Whole(long number)) {
                                return number;
                            }
                            throw wrong(key, "an integer", value);
                        });
    }

    /// The strings under a key, which must be there.
    ///
    /// @throws CheckpointException if the key is missing or holds something else
    public List<String> texts(String key) {
        List<String> result = new ArrayList<>();
        for (GgufValue element : items(key)) {
            if (!(element instanceof GgufValue.Text(String text))) {
                throw wrong(key, "an array of strings", element);
            }
            result.add(text);
        }
        return result;
    }

    /// The integers under a key, which must be there.
    ///
    /// @throws CheckpointException if the key is missing or holds something else
    public List<Long> wholes(String key) {
        List<Long> result = new ArrayList<>();
        for (GgufValue element : items(key)) {
            if (!(element instanceof GgufValue.Whole(long number))) {
                throw wrong(key, "an array of integers", element);
            }
            result.add(number);
        }
        return result;
    }

    private List<GgufValue> items(String key) {
        GgufValue value = values.get(key);
        if (value == null) {
            throw new CheckpointException(file, key, "metadata key is missing");
        }
        if (value instanceof GgufValue.Items(List<GgufValue> items)) {
            return items;
        }
        throw wrong(key, "an array", value);
    }

    private CheckpointException wrong(String key, String wanted, GgufValue found) {
        String text = found.toString();
        return new CheckpointException(
                file,
                key,
                "must be " + wanted + ", found " + text.substring(0, Math.min(80, text.length())));
    }

    /// Reads forward through the file; `at` never passes its end.
    private static final class Reader {
        private final Path file;
        private final MemorySegment bytes;
        private final CharsetDecoder utf8 = StandardCharsets.UTF_8.newDecoder();
        private long at;
        private int elements;
        private String where = "header";

        Reader(Path file, MemorySegment bytes) {
            this.file = file;
            this.bytes = bytes;
        }

        GgufMetadata read() {
            int magic = int32();
            if (magic != MAGIC) {
                throw damaged("is not a GGUF file: it begins with 0x" + Integer.toHexString(magic));
            }
            int version = int32();
            if (version != 2 && version != 3) {
                throw damaged(
                        Integer.reverseBytes(version) == 2 || Integer.reverseBytes(version) == 3
                                ? "is big-endian, only little-endian files are supported"
                                : "version must be 2 or 3, found "
                                        + Integer.toUnsignedString(version));
            }
            long tensors = size("tensor count", bytes.byteSize() / MIN_TENSOR_BYTES);
            long keys = size("number of keys", Math.min(MAX_KEYS, left() / MIN_ENTRY_BYTES));
            Map<String, GgufValue> values = new LinkedHashMap<>();
            for (long i = 0; i < keys; i++) {
                where = "metadata entry " + i;
                String key = string(MAX_KEY_BYTES);
                where = key.length() > 200 ? key.substring(0, 200) + "…" : key;
                if (values.putIfAbsent(key, value(int32(), 0)) != null) {
                    throw damaged("key appears twice");
                }
            }
            return new GgufMetadata(file, version, tensors, at, values);
        }

        private GgufValue value(int type, int depth) {
            return switch (type) {
                case 0 -> new GgufValue.Whole(int8() & 0xFF);
                case 1 -> new GgufValue.Whole(int8());
                case 2 -> new GgufValue.Whole(int16() & 0xFFFF);
                case 3 -> new GgufValue.Whole(int16());
                case 4 -> new GgufValue.Whole(Integer.toUnsignedLong(int32()));
                case 5 -> new GgufValue.Whole(int32());
                case 6 -> new GgufValue.Real(Float.intBitsToFloat(int32()));
                case 7 -> new GgufValue.Flag(flag());
                case 8 -> new GgufValue.Text(string(MAX_STRING_BYTES));
                case 9 -> items(depth);
                case 10 -> new GgufValue.Whole(size("unsigned value", Long.MAX_VALUE));
                case 11 -> new GgufValue.Whole(int64());
                case 12 -> new GgufValue.Real(Double.longBitsToDouble(int64()));
                default ->
                        throw damaged(
                                "has the unknown value type " + Integer.toUnsignedString(type));
            };
        }

        private GgufValue items(int depth) {
            if (depth == MAX_DEPTH) {
                throw damaged("arrays nest deeper than " + MAX_DEPTH);
            }
            int type = int32();
            long most = Math.min(MAX_ELEMENTS - elements, left() / elementBytes(type));
            int count = (int) size("array length", most);
            elements += count;
            List<GgufValue> values = new ArrayList<>(count);
            for (int i = 0; i < count; i++) {
                values.add(value(type, depth + 1));
            }
            return new GgufValue.Items(values);
        }

        /// The least bytes an element of a type takes.
        private int elementBytes(int type) {
            return switch (type) {
                case 0, 1, 7 -> 1;
                case 2, 3 -> 2;
                case 4, 5, 6 -> 4;
                case 8, 10, 11, 12 -> 8;
                case 9 -> 12;
                default ->
                        throw damaged(
                                "has the unknown element type " + Integer.toUnsignedString(type));
            };
        }

        private String string(int most) {
            int length = (int) size("string length", Math.min(most, Math.max(0, left() - 8)));
            ByteBuffer text = bytes.asSlice(take(length), length).asByteBuffer();
            try {
                return utf8.decode(text).toString();
            } catch (CharacterCodingException e) {
                throw new CheckpointException(
                        file, where, "holds a string that is not UTF-8 at byte " + at, e);
            }
        }

        private boolean flag() {
            byte value = int8();
            if (value != 0 && value != 1) {
                throw damaged("a boolean must be 0 or 1, found " + value);
            }
            return value == 1;
        }

        /// An unsigned 64-bit count of at most `most`.
        private long size(String what, long most) {
            long value = int64();
            if (value < 0 || value > most) {
                throw damaged(
                        what
                                + " must be at most "
                                + most
                                + " here, found "
                                + Long.toUnsignedString(value));
            }
            return value;
        }

        private byte int8() {
            return bytes.get(ValueLayout.JAVA_BYTE, take(1));
        }

        private short int16() {
            return bytes.get(SHORT, take(2));
        }

        private int int32() {
            return bytes.get(INT, take(4));
        }

        private long int64() {
            return bytes.get(LONG, take(8));
        }

        private long take(int count) {
            if (count > left()) {
                throw damaged(
                        "the file ends at byte "
                                + bytes.byteSize()
                                + ", "
                                + count
                                + " more wanted at "
                                + at);
            }
            long start = at;
            at += count;
            return start;
        }

        private long left() {
            return bytes.byteSize() - at;
        }

        private CheckpointException damaged(String message) {
            return new CheckpointException(file, where, message);
        }
    }
}
