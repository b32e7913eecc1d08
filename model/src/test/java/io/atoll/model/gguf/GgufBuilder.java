package io.atoll.model.gguf;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/// Writes GGUF files for tests, good ones and, on request, bad ones.
public final class GgufBuilder {
    static final int U8 = 0;
    static final int I8 = 1;
    public static final int U16 = 2;
    static final int I16 = 3;
    static final int U32 = 4;
    public static final int I32 = 5;
    static final int F32 = 6;
    static final int BOOL = 7;
    static final int STRING = 8;
    static final int ARRAY = 9;
    static final int U64 = 10;
    static final int I64 = 11;
    static final int F64 = 12;

    private final Bytes entries = new Bytes();
    private final Bytes table = new Bytes();
    private final List<byte[]> data = new ArrayList<>();
    private int version = 3;
    private int alignment = 32;
    private long entryCount;
    private long tensorCount;
    private long dataBytes;

    /// Little-endian output.
    static final class Bytes {
        private final ByteArrayOutputStream out = new ByteArrayOutputStream();

        Bytes number(long value, int bytes) {
            for (int i = 0; i < bytes; i++) {
                out.write((int) (value >>> (8 * i)));
            }
            return this;
        }

        Bytes text(String text) {
            byte[] utf8 = text.getBytes(StandardCharsets.UTF_8);
            return number(utf8.length, 8).raw(utf8);
        }

        Bytes raw(byte[] bytes) {
            out.writeBytes(bytes);
            return this;
        }

        byte[] toArray() {
            return out.toByteArray();
        }
    }

    GgufBuilder version(int other) {
        version = other;
        return this;
    }

    GgufBuilder entryCount(long other) {
        entryCount = other;
        return this;
    }

    GgufBuilder tensorCount(long other) {
        tensorCount = other;
        return this;
    }

    /// Sets the alignment, and says so in the metadata.
    GgufBuilder alignment(int other) {
        alignment = other;
        return integer("general.alignment", U32, other);
    }

    GgufBuilder entry(String key, int type, byte[] value) {
        entryCount++;
        entries.text(key).number(type, 4).raw(value);
        return this;
    }

    public GgufBuilder integer(String key, int type, long value) {
        int bytes =
                switch (type) {
                    case U8, I8, BOOL -> 1;
                    case U16, I16 -> 2;
                    case U32, I32 -> 4;
                    default -> 8;
                };
        return entry(key, type, new Bytes().number(value, bytes).toArray());
    }

    public GgufBuilder u32(String key, long value) {
        return integer(key, U32, value);
    }

    public GgufBuilder f32(String key, float value) {
        return entry(key, F32, new Bytes().number(Float.floatToRawIntBits(value), 4).toArray());
    }

    public GgufBuilder string(String key, String value) {
        return entry(key, STRING, new Bytes().text(value).toArray());
    }

    public GgufBuilder strings(String key, String... values) {
        Bytes bytes = new Bytes().number(STRING, 4).number(values.length, 8);
        for (String value : values) {
            bytes.text(value);
        }
        return entry(key, ARRAY, bytes.toArray());
    }

    public GgufBuilder integers(String key, int type, int bytesEach, long... values) {
        Bytes bytes = new Bytes().number(type, 4).number(values.length, 8);
        for (long value : values) {
            bytes.number(value, bytesEach);
        }
        return entry(key, ARRAY, bytes.toArray());
    }

    /// Adds a tensor behind the others.
    ///
    /// @param sizes fastest first, as in the file
    public GgufBuilder tensor(String name, int type, byte[] blocks, long... sizes) {
        dataBytes = (dataBytes + alignment - 1) / alignment * alignment;
        tensorEntry(name, type, dataBytes, sizes);
        data.add(blocks);
        dataBytes += blocks.length;
        return this;
    }

    /// Adds a line to the table only.
    GgufBuilder tensorEntry(String name, int type, long offset, long... sizes) {
        tensorCount++;
        table.text(name).number(sizes.length, 4);
        for (long size : sizes) {
            table.number(size, 8);
        }
        table.number(type, 4).number(offset, 8);
        return this;
    }

    public GgufBuilder f32Tensor(String name, float[] values, long... sizes) {
        return tensor(name, 0, f32Bytes(values), sizes);
    }

    static byte[] f32Bytes(float... values) {
        ByteBuffer buffer = ByteBuffer.allocate(4 * values.length).order(ByteOrder.LITTLE_ENDIAN);
        buffer.asFloatBuffer().put(values);
        return buffer.array();
    }

    public byte[] toArray() {
        Bytes file =
                new Bytes()
                        .number(0x46554747, 4)
                        .number(version, 4)
                        .number(tensorCount, 8)
                        .number(entryCount, 8)
                        .raw(entries.toArray())
                        .raw(table.toArray());
        for (byte[] blocks : data) {
            pad(file);
            file.raw(blocks);
        }
        return file.toArray();
    }

    public Path write(Path file) throws IOException {
        return Files.write(file, toArray());
    }

    private void pad(Bytes file) {
        while (file.out.size() % alignment != 0) {
            file.number(0, 1);
        }
    }
}
