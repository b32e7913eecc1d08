package io.atoll.attention.state;

import java.io.EOFException;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.Arrays;
import java.util.List;
import java.util.function.BooleanSupplier;
import java.util.zip.CRC32C;

/// One checkpoint in a file, little-endian:
///
/// | bytes | what |
/// | --- | --- |
/// | 8 | `ATOLLCKP` |
/// | 4 | version of this layout |
/// | 4 | tokens |
/// | 32 | what the bytes depend on ([CheckpointFiles]) |
/// | 8 | bytes of the state |
/// | 4 a token | the tokens |
/// | 4 | CRC-32C of all before |
/// | … | the state, as it lies in memory |
/// | 4 | CRC-32C of the state |
///
/// A file is written under another name and renamed when it is complete.
final class CheckpointFile {
    private static final byte[] MAGIC = {'A', 'T', 'O', 'L', 'L', 'C', 'K', 'P'};
    private static final int VERSION = 1;
    private static final int IDENTITY_BYTES = 32;
    private static final int FIXED_BYTES = MAGIC.length + 4 + 4 + IDENTITY_BYTES + 8;
    private static final int CHUNK_BYTES = 1 << 20;

    private CheckpointFile() {}

    /// Bytes of the file of a checkpoint.
    static long bytes(int tokens, long stateBytes) {
        return headerBytes(tokens) + stateBytes + Integer.BYTES;
    }

    private static long headerBytes(int tokens) {
        return FIXED_BYTES + (long) tokens * Integer.BYTES + Integer.BYTES;
    }

    /// Writes a checkpoint, unless it is called off.
    ///
    /// @param identity 32 bytes
    /// @param state the parts of the state, in order
    /// @param isCalledOff asked between two pieces, and after the last: what was read from `state` by then is thrown away
    /// @return whether the file is there
    /// @throws IOException if it can't be written; then nothing is left of it
    static boolean write(
            Path file,
            byte[] identity,
            int[] tokens,
            List<MemorySegment> state,
            BooleanSupplier isCalledOff)
            throws IOException {
        Path unfinished = file.resolveSibling(file.getFileName() + CheckpointFiles.UNFINISHED);
        try (FileChannel channel =
                FileChannel.open(
                        unfinished,
                        StandardOpenOption.CREATE,
                        StandardOpenOption.TRUNCATE_EXISTING,
                        StandardOpenOption.WRITE)) {
            writeAll(channel, header(identity, tokens, totalBytes(state)));
            CRC32C checksum = new CRC32C();
            ByteBuffer copy = ByteBuffer.allocateDirect(CHUNK_BYTES);
            for (MemorySegment part : state) {
                for (long at = 0; at < part.byteSize(); at += CHUNK_BYTES) {
                    if (isCalledOff.getAsBoolean()) {
                        return false;
                    }
                    // Summed and written are the same bytes, whatever becomes of the memory
                    // meanwhile.
                    int length = (int) Math.min(CHUNK_BYTES, part.byteSize() - at);
                    copy.clear().limit(length);
                    MemorySegment.ofBuffer(copy).copyFrom(part.asSlice(at, length));
                    checksum.update(copy.duplicate());
                    writeAll(channel, copy);
                }
            }
            writeAll(channel, checksum(checksum));
            if (isCalledOff.getAsBoolean()) {
                return false;
            }
            Files.move(unfinished, file, StandardCopyOption.ATOMIC_MOVE);
            return true;
        } finally {
            Files.deleteIfExists(unfinished);
        }
    }

    /// Reads a checkpoint's state.
    ///
    /// @param state the parts of the state, in order; undefined unless this returns true
    /// @param isCalledOff asked between two pieces
    /// @return whether the state is there; false if it was called off
    /// @throws IOException if the file can't be read, is not that of these tokens, or is damaged
    static boolean read(
            Path file,
            byte[] identity,
            int[] tokens,
            List<MemorySegment> state,
            BooleanSupplier isCalledOff)
            throws IOException {
        try (FileChannel channel = FileChannel.open(file, StandardOpenOption.READ)) {
            long stateBytes = totalBytes(state);
            ByteBuffer header = ByteBuffer.allocate((int) headerBytes(tokens.length));
            readAll(channel, header, file);
            if (!header.flip().equals(header(identity, tokens, stateBytes))) {
                throw new IOException(file + " is the checkpoint of something else");
            }
            CRC32C checksum = new CRC32C();
            for (MemorySegment part : state) {
                for (long at = 0; at < part.byteSize(); at += CHUNK_BYTES) {
                    if (isCalledOff.getAsBoolean()) {
                        return false;
                    }
                    long length = Math.min(CHUNK_BYTES, part.byteSize() - at);
                    ByteBuffer chunk = part.asSlice(at, length).asByteBuffer();
                    readAll(channel, chunk, file);
                    checksum.update(chunk.flip());
                }
            }
            ByteBuffer stored = ByteBuffer.allocate(Integer.BYTES);
            readAll(channel, stored, file);
            if (!stored.flip().equals(checksum(checksum))) {
                throw new IOException(file + " is damaged: the checksum of its state is wrong");
            }
            return true;
        }
    }

    /// What the beginning of a file says.
    ///
    /// @param stateBytes bytes of the state
    record Header(byte[] identity, int[] tokens, long stateBytes) {}

    /// Reads the beginning of a file, and looks whether the rest is there.
    ///
    /// @throws IOException if the file can't be read, or is damaged
    static Header readHeader(Path file) throws IOException {
        try (FileChannel channel = FileChannel.open(file, StandardOpenOption.READ)) {
            ByteBuffer fixed = ByteBuffer.allocate(FIXED_BYTES).order(ByteOrder.LITTLE_ENDIAN);
            readAll(channel, fixed, file);
            fixed.flip();
            byte[] magic = new byte[MAGIC.length];
            fixed.get(magic);
            int version = fixed.getInt();
            if (!Arrays.equals(magic, MAGIC) || version != VERSION) {
                throw new IOException(file + " is no checkpoint of version " + VERSION);
            }
            int count = fixed.getInt();
            byte[] identity = new byte[IDENTITY_BYTES];
            fixed.get(identity);
            long stateBytes = fixed.getLong();
            long size = channel.size();
            if (count <= 0 || stateBytes < 0 || headerBytes(count) > size) {
                throw new IOException(
                        file + " is damaged: tokens=" + count + " state bytes=" + stateBytes);
            }
            if (size != bytes(count, stateBytes)) {
                throw new IOException(
                        file + " is torn: bytes=" + size + " expected=" + bytes(count, stateBytes));
            }
            ByteBuffer rest =
                    ByteBuffer.allocate((count + 1) * Integer.BYTES).order(ByteOrder.LITTLE_ENDIAN);
            readAll(channel, rest, file);
            int[] tokens = new int[count];
            rest.flip().asIntBuffer().get(tokens);
            int checksum = rest.getInt(count * Integer.BYTES);
            ByteBuffer expected = header(identity, tokens, stateBytes);
            if (checksum != expected.getInt(expected.limit() - Integer.BYTES)) {
                throw new IOException(file + " is damaged: the checksum of its header is wrong");
            }
            return new Header(identity, tokens, stateBytes);
        }
    }

    private static ByteBuffer header(byte[] identity, int[] tokens, long stateBytes) {
        ByteBuffer header =
                ByteBuffer.allocate((int) headerBytes(tokens.length))
                        .order(ByteOrder.LITTLE_ENDIAN)
                        .put(MAGIC)
                        .putInt(VERSION)
                        .putInt(tokens.length)
                        .put(identity)
                        .putLong(stateBytes);
        for (int token : tokens) {
            header.putInt(token);
        }
        CRC32C checksum = new CRC32C();
        checksum.update(header.duplicate().flip());
        return header.putInt((int) checksum.getValue()).flip();
    }

    private static ByteBuffer checksum(CRC32C of) {
        return ByteBuffer.allocate(Integer.BYTES)
                .order(ByteOrder.LITTLE_ENDIAN)
                .putInt((int) of.getValue())
                .flip();
    }

    private static long totalBytes(List<MemorySegment> state) {
        return state.stream().mapToLong(MemorySegment::byteSize).sum();
    }

    private static void writeAll(FileChannel channel, ByteBuffer bytes) throws IOException {
        while (bytes.hasRemaining()) {
            channel.write(bytes);
        }
    }

    private static void readAll(FileChannel channel, ByteBuffer into, Path file)
            throws IOException {
        while (into.hasRemaining()) {
            if (channel.read(into) < 0) {
                throw new EOFException(file + " ends at byte " + channel.position());
            }
        }
    }
}
