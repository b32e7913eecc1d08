package io.atoll.model.pack;

import java.io.Closeable;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;

/// Everything a packer does to a disk, so that tests can let it fail, or stop, at any of these.
interface PackDisk {
    /// A file that is being written.
    interface OutputFile extends Closeable {
        /// Writes all bytes from a place on. Safe for several threads.
        void write(long at, MemorySegment bytes) throws IOException;

        /// Returns when everything that was written is on the disk.
        void force() throws IOException;
    }

    /// Opens an empty file, whatever was there before.
    OutputFile create(Path file) throws IOException;

    /// Opens a file to write behind its end.
    OutputFile append(Path file) throws IOException;

    /// Gives a file its name at once, in place of what had it; on the disk when it returns.
    void rename(Path from, Path to) throws IOException;

    void delete(Path file) throws IOException;

    /// Bytes that can still be written there.
    long usableBytes(Path directory) throws IOException;

    /// The machine's file system.
    PackDisk REAL =
            new PackDisk() {
                @Override
                public OutputFile create(Path file) throws IOException {
                    return open(
                            file,
                            StandardOpenOption.CREATE,
                            StandardOpenOption.WRITE,
                            StandardOpenOption.TRUNCATE_EXISTING);
                }

                @Override
                public OutputFile append(Path file) throws IOException {
                    return open(file, StandardOpenOption.WRITE);
                }

                private OutputFile open(Path file, StandardOpenOption... options)
                        throws IOException {
                    FileChannel channel = FileChannel.open(file, options);
                    return new OutputFile() {
                        @Override
                        public void write(long at, MemorySegment bytes) throws IOException {
                            ByteBuffer left = bytes.asByteBuffer();
                            while (left.hasRemaining()) {
                                channel.write(left, at + left.position());
                            }
                        }

                        @Override
                        public void force() throws IOException {
                            channel.force(true);
                        }

                        @Override
                        public void close() throws IOException {
                            channel.close();
                        }
                    };
                }

                @Override
                public void rename(Path from, Path to) throws IOException {
                    Files.move(
                            from,
                            to,
                            StandardCopyOption.ATOMIC_MOVE,
                            StandardCopyOption.REPLACE_EXISTING);
                    Path directory = to.toAbsolutePath().getParent();
                    if (directory != null) {
                        try (FileChannel names = FileChannel.open(directory)) {
                            names.force(true);
                        }
                    }
                }

                @Override
                public void delete(Path file) throws IOException {
                    Files.deleteIfExists(file);
                }

                @Override
                public long usableBytes(Path directory) throws IOException {
                    return Files.getFileStore(directory).getUsableSpace();
                }
            };
}
