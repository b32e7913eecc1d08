package io.atoll.model.gguf;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.AbstractList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.RandomAccess;

/// An array of a file's metadata: a vocabulary of a quarter million strings, or a flag for each layer.
///
/// Elements stay in the mapped file until they are asked for; for strings the first request builds an index of 8 bytes
/// each. Safe for use by several threads until the file is closed.
public final class GgufArray {
    private final Path file;
    private final String key;
    private final GgufValueType elementType;
    private final int size;
    private final MemorySegment data;
    private volatile long[] offsets = {};

    /// @param data the elements' bytes, whose lengths have been checked
    GgufArray(Path file, String key, GgufValueType elementType, int size, MemorySegment data) {
        this.file = file;
        this.key = key;
        this.elementType = elementType;
        this.size = size;
        this.data = data;
    }

    /// Type of every element.
    public GgufValueType elementType() {
        return elementType;
    }

    /// Number of elements.
    public int size() {
        return size;
    }

    /// An integer, or a BOOL as 0 or 1.
    ///
    /// @throws GgufException if elements are something else, or a UINT64 is beyond a long
    public long integer(int index) {
        Objects.checkIndex(index, size);
        if (!elementType.isInteger() && elementType != GgufValueType.BOOL) {
            throw wrongType("integers");
        }
        return GgufMetadata.integer(file, key, elementType, data, (long) index * bytes());
    }

    /// A flag.
    ///
    /// @throws GgufException if elements are something else
    public boolean flag(int index) {
        Objects.checkIndex(index, size);
        if (elementType != GgufValueType.BOOL) {
            throw wrongType("BOOL");
        }
        return data.get(ValueLayout.JAVA_BYTE, index) != 0;
    }

    /// A number of any kind, as a double.
    ///
    /// @throws GgufException if elements are no numbers
    public double number(int index) {
        Objects.checkIndex(index, size);
        return switch (elementType) {
            case FLOAT32 -> data.get(GgufMetadata.FLOAT, 4L * index);
            case FLOAT64 -> data.get(GgufMetadata.DOUBLE, 8L * index);
            default -> integer(index);
        };
    }

    /// A string, decoded at every call.
    ///
    /// @throws GgufException if elements are something else, or it is not UTF-8
    public String string(int index) {
        Objects.checkIndex(index, size);
        if (elementType != GgufValueType.STRING) {
            throw wrongType("strings");
        }
        long[] starts = offsets();
        long at = starts[index] + 8;
        int length = (int) (starts[index + 1] - at);
        return GgufCursor.text(file, data, at, length, key + "[" + index + "]");
    }

    /// A view of all strings, each decoded when it is asked for.
    public List<String> strings() {
        if (elementType != GgufValueType.STRING) {
            throw wrongType("strings");
        }
        return new Strings();
    }

    private final class Strings extends AbstractList<String> implements RandomAccess {
        @Override
        public String get(int index) {
            return string(index);
        }

        @Override
        public int size() {
            return size;
        }
    }

    /// Where each string begins, with one entry more for the end.
    private long[] offsets() {
        long[] known = offsets;
        if (known.length == 0) {
            known = new long[size + 1];
            long at = 0;
            for (int i = 0; i < size; i++) {
                known[i] = at;
                at += 8 + data.get(LENGTH, at);
            }
            known[size] = at;
            offsets = known; // two threads may both build it, which does no harm
        }
        return known;
    }

    private static final ValueLayout.OfLong LENGTH =
            ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

    private int bytes() {
        return elementType.bytes();
    }

    private GgufException wrongType(String wanted) {
        return new GgufException(
                file, key, "expected an array of " + wanted + ", found one of " + elementType);
    }

    @Override
    public String toString() {
        String head =
                elementType == GgufValueType.STRING || elementType == GgufValueType.ARRAY
                        ? ""
                        : " " + Arrays.toString(head());
        return size + " x " + elementType + head;
    }

    private double[] head() {
        double[] values = new double[Math.min(size, 8)];
        Arrays.setAll(values, this::number);
        return values;
    }
}
