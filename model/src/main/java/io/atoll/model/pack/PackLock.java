package io.atoll.model.pack;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.channels.OverlappingFileLockException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;

/// Keeps a second packer out of a directory. The system takes the lock back when the process ends, however it ends.
final class PackLock implements AutoCloseable {
    static final String NAME = "atoll-pack.lock";

    private final FileChannel channel;

    private PackLock(FileChannel channel) {
        this.channel = channel;
    }

    /// @throws PackException if somebody has it, or the directory cannot be written to
    static PackLock take(Path directory) {
        Path file = directory.resolve(NAME);
        try {
            FileChannel channel =
                    FileChannel.open(file, StandardOpenOption.CREATE, StandardOpenOption.WRITE);
            try {
                FileLock lock = channel.tryLock();
                if (lock != null) {
                    return new PackLock(channel);
                }
            } catch (OverlappingFileLockException _) {
                // Another thread of this process has it.
            } catch (IOException e) {
                channel.close();
                throw e;
            }
            channel.close();
        } catch (IOException e) {
            throw new PackException(file, "lock", "cannot be taken: " + e, e);
        }
        throw new PackException(
                file, "lock", "is held: somebody else is packing into " + directory);
    }

    @Override
    public void close() {
        try {
            channel.close();
        } catch (IOException e) {
            throw new java.io.UncheckedIOException("a lock cannot be given back", e);
        }
    }
}
