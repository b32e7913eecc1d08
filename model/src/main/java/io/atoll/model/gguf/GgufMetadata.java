package io.atoll.model.gguf;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.Predicate;

/// The metadata of a GGUF file: typed values under dotted keys.
///
/// Every value's extent and type were checked when the file was opened; what it says is decoded when it is asked for. An
/// integer may be of any width and sign in the file. Asking for another kind than the file has throws [GgufException] with
/// the key and both types.
public final class GgufMetadata {
    static final ValueLayout.OfShort SHORT =
            ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    static final ValueLayout.OfInt INT =
            ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    static final ValueLayout.OfLong LONG =
            ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    static final ValueLayout.OfFloat FLOAT =
            ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    static final ValueLayout.OfDouble DOUBLE =
            ValueLayout.JAVA_DOUBLE_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

    private static final int MAX_ENTRIES = 1 << 16;
    private static final int MAX_KEY_BYTES = (1 << 16) - 1;
    private static final int MAX_ARRAY = 1 << 27;
    private static final int MAX_NESTING = 4;

    /// A value as it stands in the file.
    ///
    /// @param elementType of an array; the type itself for all else
    /// @param size elements of an array; 1 for all else
    /// @param data the value's bytes, without an array's type and count and with a string's length
    private record Value(
            GgufValueType type, GgufValueType elementType, int size, MemorySegment data) {}

    private final Path file;
    private final Map<String, Value> values;

    private GgufMetadata(Path file, Map<String, Value> values) {
        this.file = file;
        this.values = values;
    }

    /// Reads `count` entries from the cursor on.
    static GgufMetadata read(Path file, MemorySegment bytes, GgufCursor cursor, long count) {
        Map<String, Value> values = new LinkedHashMap<>();
        for (long i = 0; i < count; i++) {
            String key = cursor.readString("metadata key " + i, MAX_KEY_BYTES);
            String where = shorten(key);
            if (key.isEmpty()) {
                throw new GgufException(file, "metadata key " + i, "is empty");
            }
            GgufValueType type = cursor.readType(where);
            Value value;
            if (type == GgufValueType.ARRAY) {
                GgufValueType elementType = cursor.readType(where);
                int size = arraySize(cursor, where, elementType);
                long start = cursor.position();
                skipElements(cursor, where, elementType, size, 1);
                value =
                        new Value(
                                type,
                                elementType,
                                size,
                                bytes.asSlice(start, cursor.position() - start));
            } else {
                long start = cursor.position();
                skipElements(cursor, where, type, 1, 0);
                value = new Value(type, type, 1, bytes.asSlice(start, cursor.position() - start));
                checkFlag(file, where, value);
            }
            if (values.put(key, value) != null) {
                throw new GgufException(file, where, "key stands twice in the metadata");
            }
        }
        return new GgufMetadata(file, values);
    }

    /// A number of metadata entries, checked against what the file can hold.
    static long readCount(GgufCursor cursor) {
        int leastBytes = 8 + 4 + 1; // an empty key, a type, a byte
        return cursor.readCount("header", "metadata entries", leastBytes, MAX_ENTRIES);
    }

    /// The file, for messages.
    public Path file() {
        return file;
    }

    /// All keys, in the file's order.
    public Set<String> keys() {
        return Collections.unmodifiableSet(values.keySet());
    }

    public boolean contains(String key) {
        return values.containsKey(key);
    }

    /// The type of a value, if the key is there.
    public Optional<GgufValueType> type(String key) {
        return Optional.ofNullable(values.get(key)).map(Value::type);
    }

    /// An integer of any width, if the key is there.
    public Optional<Long> findInteger(String key) {
        return find(key, "an integer", GgufValueType::isInteger)
                .map(value -> integer(file, key, value.type, value.data, 0));
    }

    /// A finite number, integer or not, if the key is there.
    public Optional<Double> findNumber(String key) {
        return find(key, "a number", GgufMetadata::isNumber)
                .map(
                        value -> {
                            double number =
                                    switch (value.type) {
                                        case FLOAT32 -> value.data.get(FLOAT, 0);
                                        case FLOAT64 -> value.data.get(DOUBLE, 0);
                                        default -> integer(file, key, value.type, value.data, 0);
                                    };
                            if (!Double.isFinite(number)) {
                                throw new GgufException(
                                        file, key, "must be finite, found " + number);
                            }
                            return number;
                        });
    }

    /// A flag, if the key is there.
    public Optional<Boolean> findFlag(String key) {
        return find(key, "BOOL", type -> type == GgufValueType.BOOL)
                .map(value -> value.data.get(ValueLayout.JAVA_BYTE, 0) != 0);
    }

    /// A string, if the key is there.
    public Optional<String> findString(String key) {
        return find(key, "STRING", type -> type == GgufValueType.STRING)
                .map(
                        value ->
                                GgufCursor.text(
                                        file, value.data, 8, (int) value.data.get(LONG, 0), key));
    }

    /// An array, if the key is there.
    public Optional<GgufArray> findArray(String key) {
        return find(key, "ARRAY", type -> type == GgufValueType.ARRAY)
                .map(value -> new GgufArray(file, key, value.elementType, value.size, value.data));
    }

    /// An integer in `[min, max]`, which must be there.
    public int integer(String key, int min, int max) {
        long value = findInteger(key).orElseThrow(() -> missing(key));
        if (value < min || value > max) {
            throw new GgufException(
                    file, key, "must be in [" + min + ", " + max + "], found " + value);
        }
        return (int) value;
    }

    /// As the other, with a value for an absent key.
    public int integer(String key, int min, int max, int absent) {
        return contains(key) ? integer(key, min, max) : absent;
    }

    /// A number in `[min, max]`, which must be there.
    public double number(String key, double min, double max) {
        double value = findNumber(key).orElseThrow(() -> missing(key));
        if (!(value >= min && value <= max)) {
            throw new GgufException(
                    file, key, "must be in [" + min + ", " + max + "], found " + value);
        }
        return value;
    }

    /// As the other, with a value for an absent key.
    public double number(String key, double min, double max, double absent) {
        return contains(key) ? number(key, min, max) : absent;
    }

    /// A string, which must be there.
    public String string(String key) {
        return findString(key).orElseThrow(() -> missing(key));
    }

    /// An array, which must be there.
    public GgufArray array(String key) {
        return findArray(key).orElseThrow(() -> missing(key));
    }

    GgufException missing(String key) {
        return new GgufException(file, key, "is missing from the metadata");
    }

    /// The integer at `at`; a UINT64 beyond a long is refused.
    static long integer(Path file, String key, GgufValueType type, MemorySegment data, long at) {
        return switch (type) {
            case UINT8, BOOL -> data.get(ValueLayout.JAVA_BYTE, at) & 0xFFL;
            case INT8 -> data.get(ValueLayout.JAVA_BYTE, at);
            case UINT16 -> data.get(SHORT, at) & 0xFFFFL;
            case INT16 -> data.get(SHORT, at);
            case UINT32 -> data.get(INT, at) & 0xFFFF_FFFFL;
            case INT32 -> data.get(INT, at);
            case INT64 -> data.get(LONG, at);
            case UINT64 -> {
                long value = data.get(LONG, at);
                if (value < 0) {
                    throw new GgufException(
                            file, key, "is too large: " + Long.toUnsignedString(value));
                }
                yield value;
            }
            case FLOAT32, FLOAT64, STRING, ARRAY ->
                    throw new GgufException(file, key, "expected an integer, found " + type);
        };
    }

    /// A piece of untrusted text for a message.
    static String shorten(String text) {
        return text.length() > 100 ? text.substring(0, 100) + "…" : text;
    }

    private Optional<Value> find(String key, String wanted, Predicate<GgufValueType> accepts) {
        Value value = values.get(key);
        if (value != null && !accepts.test(value.type)) {
            throw new GgufException(file, key, "expected " + wanted + ", found " + value.type);
        }
        return Optional.ofNullable(value);
    }

    private static boolean isNumber(GgufValueType type) {
        return type.isInteger() || type == GgufValueType.FLOAT32 || type == GgufValueType.FLOAT64;
    }

    private static int arraySize(GgufCursor cursor, String where, GgufValueType elementType) {
        int leastBytes =
                switch (elementType) {
                    case STRING -> 8;
                    case ARRAY -> 12;
                    default -> elementType.bytes();
                };
        return (int) cursor.readCount(where, "array elements", leastBytes, MAX_ARRAY);
    }

    /// Steps over values, so that their extent is known and inside the file.
    private static void skipElements(
            GgufCursor cursor, String where, GgufValueType type, int count, int depth) {
        switch (type) {
            case STRING -> {
                for (int i = 0; i < count; i++) {
                    cursor.skipString(where);
                }
            }
            case ARRAY -> {
                if (depth >= MAX_NESTING) {
                    throw new GgufException(
                            cursor.file(), where, "nests arrays deeper than " + MAX_NESTING);
                }
                for (int i = 0; i < count; i++) {
                    GgufValueType inner = cursor.readType(where);
                    skipElements(cursor, where, inner, arraySize(cursor, where, inner), depth + 1);
                }
            }
            default -> cursor.skip((long) count * type.bytes(), where);
        }
    }

    private static void checkFlag(Path file, String where, Value value) {
        if (value.type == GgufValueType.BOOL) {
            int stored = value.data.get(ValueLayout.JAVA_BYTE, 0) & 0xFF;
            if (stored > 1) {
                throw new GgufException(file, where, "a BOOL must be 0 or 1, found " + stored);
            }
        }
    }
}
