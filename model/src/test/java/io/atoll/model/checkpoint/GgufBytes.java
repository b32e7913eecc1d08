package io.atoll.model.checkpoint;

import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.List;

/// Writes the metadata of a GGUF file, for tests.
public final class GgufBytes {
    private final ByteArrayOutputStream entries = new ByteArrayOutputStream();
    private final int version;
    private long keys;

    public GgufBytes(int version) {
        this.version = version;
    }

    public GgufBytes text(String key, String value) {
        key(key, 8);
        string(value);
        return this;
    }

    public GgufBytes texts(String key, List<String> values) {
        key(key, 9);
        int32(8);
        int64(values.size());
        values.forEach(this::string);
        return this;
    }

    public GgufBytes int32s(String key, List<Integer> values) {
        key(key, 9);
        int32(5);
        int64(values.size());
        values.forEach(this::int32);
        return this;
    }

    /// A value whose bytes the caller gives.
    public GgufBytes raw(String key, int type, byte... value) {
        key(key, type);
        entries.writeBytes(value);
        return this;
    }

    public byte[] bytes() {
        byte[] body = entries.toByteArray();
        return ByteBuffer.allocate(24 + body.length)
                .order(ByteOrder.LITTLE_ENDIAN)
                .put("GGUF".getBytes(StandardCharsets.US_ASCII))
                .putInt(version)
                .putLong(0)
                .putLong(keys)
                .put(body)
                .array();
    }

    private void key(String key, int type) {
        string(key);
        int32(type);
        keys++;
    }

    private void string(String value) {
        byte[] bytes = value.getBytes(StandardCharsets.UTF_8);
        int64(bytes.length);
        entries.writeBytes(bytes);
    }

    private void int32(int value) {
        entries.writeBytes(
                ByteBuffer.allocate(4).order(ByteOrder.LITTLE_ENDIAN).putInt(value).array());
    }

    private void int64(long value) {
        entries.writeBytes(
                ByteBuffer.allocate(8).order(ByteOrder.LITTLE_ENDIAN).putLong(value).array());
    }
}
