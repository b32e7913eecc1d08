package io.atoll.model.gguf;

import io.atoll.model.quant.GgmlType;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.function.LongConsumer;

/// Collects metadata and declares tensors, then writes one GGUF file (version 3) in the order they were added.
///
/// The header is built in memory; tensors are asked for their blocks while the file is written, some megabytes at a time, so a
/// file may be much larger than memory.
public final class GgufWriter {
    private static final int MAGIC = 0x46554747; // "GGUF"
    private static final int VERSION = 3;
    private static final int ALIGNMENT = 32;
    private static final int CHUNK_BYTES = 4 << 20;

    private final Bytes entries = new Bytes();
    private final Set<String> keys = new HashSet<>();
    private final List<Declared> tensors = new ArrayList<>();
    private final Set<String> names = new HashSet<>();
    private long dataBytes;

    /// Where a tensor's blocks come from.
    @FunctionalInterface
    public interface Contents {
        /// Writes the next `bytes` bytes of the tensor, whole blocks, to the beginning of `target`. Calls go through the tensor
        /// from its first block to its last.
        void next(byte[] target, int bytes);
    }

    /// @param sizes as in the file: fastest first
    /// @param offset of its first byte behind the header
    private record Declared(
            String name, GgmlType type, long[] sizes, long offset, long bytes, Contents contents) {}

    /// Little-endian output in memory.
    private static final class Bytes extends ByteArrayOutputStream {
        void number(long value, int bytes) {
            for (int i = 0; i < bytes; i++) {
                write((int) (value >>> (8 * i)));
            }
        }

        void text(String text) {
            byte[] utf8 = text.getBytes(StandardCharsets.UTF_8);
            number(utf8.length, 8);
            writeBytes(utf8);
        }
    }

    public GgufWriter string(String key, String value) {
        key(key, GgufValueType.STRING).text(value);
        return this;
    }

    public GgufWriter u32(String key, int value) {
        key(key, GgufValueType.UINT32).number(value, 4);
        return this;
    }

    public GgufWriter f32(String key, float value) {
        key(key, GgufValueType.FLOAT32).number(Float.floatToRawIntBits(value), 4);
        return this;
    }

    public GgufWriter bool(String key, boolean value) {
        key(key, GgufValueType.BOOL).number(value ? 1 : 0, 1);
        return this;
    }

    public GgufWriter strings(String key, List<String> values) {
        Bytes out = array(key, GgufValueType.STRING, values.size());
        values.forEach(out::text);
        return this;
    }

    public GgufWriter integers(String key, int... values) {
        Bytes out = array(key, GgufValueType.INT32, values.length);
        for (int value : values) {
            out.number(value, 4);
        }
        return this;
    }

    public GgufWriter bools(String key, boolean... values) {
        Bytes out = array(key, GgufValueType.BOOL, values.length);
        for (boolean value : values) {
            out.number(value ? 1 : 0, 1);
        }
        return this;
    }

    private Bytes array(String key, GgufValueType of, int size) {
        Bytes out = key(key, GgufValueType.ARRAY);
        out.number(of.id(), 4);
        out.number(size, 8);
        return out;
    }

    private Bytes key(String key, GgufValueType type) {
        if (!keys.add(key)) {
            throw new IllegalArgumentException("key is taken: " + key);
        }
        entries.text(key);
        entries.number(type.id(), 4);
        return entries;
    }

    /// Declares a tensor.
    ///
    /// @param shape slowest first, as [GgufTensor#shape()] has it; its last size is whole blocks of the type
    public GgufWriter tensor(String name, GgmlType type, Contents contents, long... shape) {
        if (shape.length == 0 || shape[shape.length - 1] % type.blockElements() != 0) {
            throw new IllegalArgumentException(
                    name
                            + ": rows of "
                            + type
                            + " are multiples of "
                            + type.blockElements()
                            + ", not "
                            + Arrays.toString(shape));
        }
        if (!names.add(name)) {
            throw new IllegalArgumentException("name is taken: " + name);
        }
        long[] sizes = new long[shape.length];
        long elements = 1;
        for (int i = 0; i < sizes.length; i++) {
            sizes[i] = shape[shape.length - 1 - i];
            elements = Math.multiplyExact(elements, sizes[i]);
        }
        long bytes = type.bytes(elements);
        tensors.add(new Declared(name, type, sizes, dataBytes, bytes, contents));
        dataBytes = aligned(Math.addExact(dataBytes, bytes));
        return this;
    }

    /// Bytes of the file.
    public long fileBytes() {
        return header().length + dataBytes;
    }

    /// Writes the file, which may exist and is then replaced.
    ///
    /// @param written is told the bytes written so far, every few megabytes
    public void write(Path file, LongConsumer written) throws IOException {
        try (FileChannel channel =
                FileChannel.open(
                        file,
                        StandardOpenOption.CREATE,
                        StandardOpenOption.WRITE,
                        StandardOpenOption.TRUNCATE_EXISTING)) {
            writeFully(channel, ByteBuffer.wrap(header()));
            ByteBuffer padding = ByteBuffer.allocate(ALIGNMENT);
            for (Declared tensor : tensors) {
                writeTensor(channel, tensor, written);
                int missing = (int) (aligned(tensor.bytes) - tensor.bytes);
                writeFully(channel, padding.clear().limit(missing));
            }
            written.accept(channel.position());
        }
    }

    private static void writeTensor(FileChannel channel, Declared tensor, LongConsumer written)
            throws IOException {
        int block = tensor.type.blockBytes();
        byte[] chunk = new byte[(int) Math.min(CHUNK_BYTES - CHUNK_BYTES % block, tensor.bytes)];
        for (long at = 0; at < tensor.bytes; at += chunk.length) {
            int count = (int) Math.min(chunk.length, tensor.bytes - at);
            tensor.contents.next(chunk, count);
            writeFully(channel, ByteBuffer.wrap(chunk, 0, count));
            written.accept(channel.position());
        }
    }

    private byte[] header() {
        Bytes header = new Bytes();
        header.number(MAGIC, 4);
        header.number(VERSION, 4);
        header.number(tensors.size(), 8);
        header.number(keys.size(), 8);
        header.writeBytes(entries.toByteArray());
        for (Declared tensor : tensors) {
            header.text(tensor.name);
            header.number(tensor.sizes.length, 4);
            for (long size : tensor.sizes) {
                header.number(size, 8);
            }
            header.number(tensor.type.id(), 4);
            header.number(tensor.offset, 8);
        }
        byte[] bytes = header.toByteArray();
        return Arrays.copyOf(bytes, Math.toIntExact(aligned(bytes.length)));
    }

    private static long aligned(long offset) {
        return (offset + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    }

    private static void writeFully(FileChannel channel, ByteBuffer bytes) throws IOException {
        while (bytes.hasRemaining()) {
            channel.write(bytes);
        }
    }
}
