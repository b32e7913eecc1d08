package io.atoll.model.checkpoint;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import java.io.IOException;
import java.io.StringWriter;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/// Collects tensors and writes them as one safetensors file, in the order they were added.
///
/// The header is padded with spaces so that the data begins at a multiple of 64 bytes.
public final class SafetensorsWriter {
    private static final int ALIGNMENT = 64;
    private static final long WRITE_BYTES = 64L << 20;

    private record Pending(DType dtype, List<Long> shape, MemorySegment data) {}

    private final Map<String, Pending> tensors = new LinkedHashMap<>();

    /// Adds a tensor whose bytes (little-endian, row-major) the caller keeps valid until [#write].
    public SafetensorsWriter add(String name, DType dtype, long[] shape, MemorySegment data) {
        long bytes = dtype.bytes();
        for (long size : shape) {
            bytes = Math.multiplyExact(bytes, size);
        }
        if (bytes != data.byteSize()) {
            throw new IllegalArgumentException(
                    name
                            + " "
                            + dtype
                            + Arrays.toString(shape)
                            + " takes "
                            + bytes
                            + " bytes, not "
                            + data.byteSize());
        }
        if (name.equals("__metadata__")
                || tensors.putIfAbsent(
                                name,
                                new Pending(dtype, Arrays.stream(shape).boxed().toList(), data))
                        != null) {
            throw new IllegalArgumentException("name is taken: " + name);
        }
        return this;
    }

    /// Adds an F32 tensor.
    public SafetensorsWriter addF32(String name, long[] shape, float[] values) {
        MemorySegment data = MemorySegment.ofArray(new byte[Math.multiplyExact(4, values.length)]);
        ValueLayout.OfFloat layout =
                ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
        MemorySegment.copy(values, 0, data, layout, 0, values.length);
        return add(name, DType.F32, shape, data);
    }

    /// Adds a BF16 tensor of the nearest values.
    public SafetensorsWriter addBf16(String name, long[] shape, float[] values) {
        MemorySegment data = MemorySegment.ofArray(new byte[Math.multiplyExact(2, values.length)]);
        ValueLayout.OfShort layout =
                ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
        for (int i = 0; i < values.length; i++) {
            data.set(layout, 2L * i, DType.floatToBf16(values[i]));
        }
        return add(name, DType.BF16, shape, data);
    }

    /// Writes the file, replacing one that is there.
    public void write(Path file) throws IOException {
        byte[] header = header();
        try (FileChannel channel =
                FileChannel.open(
                        file,
                        StandardOpenOption.CREATE,
                        StandardOpenOption.WRITE,
                        StandardOpenOption.TRUNCATE_EXISTING)) {
            ByteBuffer start =
                    ByteBuffer.allocate(8 + header.length).order(ByteOrder.LITTLE_ENDIAN);
            writeFully(channel, start.putLong(header.length).put(header).flip());
            for (Pending tensor : tensors.values()) {
                for (long at = 0; at < tensor.data.byteSize(); at += WRITE_BYTES) {
                    long count = Math.min(WRITE_BYTES, tensor.data.byteSize() - at);
                    writeFully(channel, tensor.data.asSlice(at, count).asByteBuffer());
                }
            }
        }
    }

    private byte[] header() throws IOException {
        StringWriter text = new StringWriter();
        try (JsonGenerator json = new JsonFactory().createGenerator(text)) {
            json.writeStartObject();
            long at = 0;
            for (Map.Entry<String, Pending> entry : tensors.entrySet()) {
                Pending tensor = entry.getValue();
                json.writeObjectFieldStart(entry.getKey());
                json.writeStringField("dtype", tensor.dtype.name());
                json.writeFieldName("shape");
                json.writeArray(
                        tensor.shape.stream().mapToLong(Long::longValue).toArray(),
                        0,
                        tensor.shape.size());
                json.writeFieldName("data_offsets");
                json.writeArray(new long[] {at, at + tensor.data.byteSize()}, 0, 2);
                json.writeEndObject();
                at += tensor.data.byteSize();
            }
            json.writeEndObject();
        }
        byte[] bytes = text.toString().getBytes(StandardCharsets.UTF_8);
        int padded = (8 + bytes.length + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT - 8;
        byte[] header = Arrays.copyOf(bytes, padded);
        Arrays.fill(header, bytes.length, padded, (byte) ' ');
        return header;
    }

    private static void writeFully(FileChannel channel, ByteBuffer bytes) throws IOException {
        while (bytes.hasRemaining()) {
            channel.write(bytes);
        }
    }
}
