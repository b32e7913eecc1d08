package io.atoll.model.pack;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicInteger;

/// The real disk, until a chosen operation: then it is full, or the machine loses its power, and what was not forced to the disk is
/// lost in part.
final class FailingDisk implements PackDisk {
    enum Failure {
        FULL,
        POWER
    }

    /// What ends a process without a word.
    static final class Killed extends Error {
        private static final long serialVersionUID = 1;

        Killed() {
            super("killed");
        }
    }

    private final int failing;
    private final Failure failure;
    private final AtomicInteger operations = new AtomicInteger();
    private final Map<Path, Boolean> unforced = new ConcurrentHashMap<>();

    /// @param failing which operation fails, from 0; all that follow fail, too
    FailingDisk(int failing, Failure failure) {
        this.failing = failing;
        this.failure = failure;
    }

    /// Never fails, counts only.
    FailingDisk() {
        this(Integer.MAX_VALUE, Failure.FULL);
    }

    int operations() {
        return operations.get();
    }

    private void next() throws IOException {
        if (operations.getAndIncrement() >= failing) {
            switch (failure) {
                case FULL -> throw new IOException("No space left on device");
                case POWER -> throw new Killed();
            }
        }
    }

    /// Cuts files off somewhere in what was not forced, and spoils some of the rest: what a disk may do to them.
    void losePower(Random random) throws IOException {
        for (Path file : unforced.keySet()) {
            if (Files.exists(file)) {
                try (RandomAccessFile damaged = new RandomAccessFile(file.toFile(), "rw")) {
                    long size = damaged.length();
                    damaged.setLength(random.nextLong(size + 1));
                    if (damaged.length() > 0) {
                        damaged.seek(random.nextLong(damaged.length()));
                        damaged.write(random.nextInt());
                    }
                }
            }
        }
    }

    @Override
    public OutputFile create(Path file) throws IOException {
        next();
        return counted(file, REAL.create(file));
    }

    @Override
    public OutputFile append(Path file) throws IOException {
        next();
        return counted(file, REAL.append(file));
    }

    private OutputFile counted(Path file, OutputFile real) {
        return new OutputFile() {
            @Override
            public void write(long at, MemorySegment bytes) throws IOException {
                unforced.put(file, true);
                if (operations.get() >= failing) {
                    real.write(at, bytes.asSlice(0, bytes.byteSize() / 2));
                }
                next();
                real.write(at, bytes);
            }

            // Nothing here depends on the machine's own disk.
            @Override
            public void force() throws IOException {
                next();
                unforced.remove(file);
            }

            @Override
            public void close() throws IOException {
                real.close();
            }
        };
    }

    @Override
    public void rename(Path from, Path to) throws IOException {
        next();
        Files.move(from, to, StandardCopyOption.ATOMIC_MOVE);
        if (unforced.remove(from) != null) {
            unforced.put(to, true);
        }
    }

    @Override
    public void delete(Path file) throws IOException {
        next();
        REAL.delete(file);
    }

    @Override
    public long usableBytes(Path directory) throws IOException {
        return REAL.usableBytes(directory);
    }
}
