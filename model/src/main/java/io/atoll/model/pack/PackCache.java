package io.atoll.model.pack;

import io.atoll.kernels.ComputePool;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.channels.OverlappingFileLockException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.FileTime;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.locks.LockSupport;
import java.util.function.Supplier;
import java.util.stream.Stream;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/// A directory of packs that make themselves when they are first wanted, and go, the longest unused first, when others need their
/// room.
///
/// Each pack `KEY` has a file `KEY.lock`, which stays when the pack goes. Whoever uses the pack holds it shared; whoever packs or
/// removes holds it alone. The system takes locks back when a process ends. The file's time is that of the last use.
public final class PackCache {
    private static final Logger LOG = LoggerFactory.getLogger(PackCache.class);
    private static final String LOCK = ".lock";
    private static final long POLL_NANOS = 50_000_000;

    private final Path directory;
    private final long maxBytes;
    private final Supplier<Instant> clock;

    /// @param directory made when it is first needed
    /// @param maxBytes of all packs together
    public PackCache(Path directory, long maxBytes) {
        this(directory, maxBytes, Instant::now);
    }

    PackCache(Path directory, long maxBytes, Supplier<Instant> clock) {
        if (maxBytes <= 0) {
            throw new IllegalArgumentException("maxBytes must be positive: " + maxBytes);
        }
        this.directory = directory;
        this.maxBytes = maxBytes;
        this.clock = clock;
    }

    /// A pack in use: it is not removed before this is closed.
    public static final class Lease implements AutoCloseable {
        private final Path pack;
        private final Optional<FileChannel> lock;

        private Lease(Path pack, Optional<FileChannel> lock) {
            this.pack = pack;
            this.lock = lock;
        }

        /// The pack's directory.
        public Path pack() {
            return pack;
        }

        @Override
        public void close() {
            try {
                if (lock.isPresent()) {
                    lock.get().close();
                }
            } catch (IOException e) {
                throw new UncheckedIOException("a lock cannot be given back: " + pack, e);
            }
        }
    }

    /// Lends the pack of a part of a model, which keeps every value; packs it first if it is not there. If another process is
    /// packing the same, waits for that.
    ///
    /// @return empty if there is no room for it within the bound beside packs in use
    /// @throws PackException if the directory cannot be used or the disk is full
    /// @throws io.atoll.model.config.ModelFileException if the source is damaged
    public Optional<Lease> lease(
            PackSource source, PackSelection selection, ComputePool pool, PackProgress progress) {
        PackPlan plan = PackPlanner.plan(source, selection, DenseFormat.KEEP);
        Path pack = directory.resolve(plan.key());
        try {
            Files.createDirectories(directory);
            while (true) {
                Optional<Lease> ready = lend(pack);
                if (ready.isPresent()) {
                    return ready;
                }
                try (FileChannel channel = open(pack)) {
                    lock(channel, false, () -> false);
                    if (!isFinished(pack)) {
                        if (!makeRoom(pack, plan.manifest().weightBytes())) {
                            return Optional.empty();
                        }
                        Packer.pack(source, selection, DenseFormat.KEEP, pack, pool, progress);
                    }
                    touch(pack);
                }
                // Between the two locks somebody may remove it again; then it is packed again.
            }
        } catch (IOException e) {
            throw new PackException(directory, "cache", "cannot be used: " + e, e);
        }
    }

    /// The pack, if it is finished.
    private Optional<Lease> lend(Path pack) throws IOException {
        FileChannel channel = open(pack);
        try {
            boolean own = lock(channel, true, () -> isFinished(pack));
            if (isFinished(pack)) {
                touch(pack);
                if (!own) {
                    channel.close();
                }
                return Optional.of(new Lease(pack, own ? Optional.of(channel) : Optional.empty()));
            }
        } catch (IOException | RuntimeException e) {
            channel.close();
            throw e;
        }
        channel.close();
        return Optional.empty();
    }

    private static boolean isFinished(Path pack) {
        return Files.exists(pack.resolve(ManifestFile.NAME));
    }

    private static Path lockFile(Path pack) {
        return pack.resolveSibling(pack.getFileName() + LOCK);
    }

    private static FileChannel open(Path pack) throws IOException {
        return FileChannel.open(
                lockFile(pack),
                StandardOpenOption.CREATE,
                StandardOpenOption.READ,
                StandardOpenOption.WRITE);
    }

    private void touch(Path pack) throws IOException {
        Files.setLastModifiedTime(lockFile(pack), FileTime.from(clock.get()));
    }

    /// Waits for a lock. Within a process Java lends a file's lock only once, so a second user there goes without: what the first
    /// one maps stays readable even if it is removed.
    ///
    /// @param enough whether it does without a lock if another thread of this process has it
    /// @return whether the lock was taken
    private static boolean lock(FileChannel channel, boolean shared, Supplier<Boolean> enough)
            throws IOException {
        while (true) {
            try {
                FileLock taken = channel.tryLock(0, Long.MAX_VALUE, shared);
                if (taken != null) {
                    return true;
                }
            } catch (OverlappingFileLockException _) {
                if (enough.get()) {
                    return false;
                }
            }
            LockSupport.parkNanos(POLL_NANOS);
            if (Thread.interrupted()) {
                throw new java.io.InterruptedIOException("interrupted while waiting for a pack");
            }
        }
    }

    private record Cached(Path pack, long bytes, FileTime used) {}

    /// Removes packs that nobody uses, the longest unused first, until so many bytes fit.
    private boolean makeRoom(Path wanted, long bytes) throws IOException {
        if (bytes > maxBytes) {
            LOG.warn(
                    "{}: a pack of {} bytes does not fit into the bound of {}",
                    directory,
                    bytes,
                    maxBytes);
            return false;
        }
        List<Cached> others = new ArrayList<>();
        try (Stream<Path> files = Files.list(directory)) {
            for (Path pack : files.filter(Files::isDirectory).toList()) {
                if (!pack.equals(wanted) && Files.exists(lockFile(pack))) {
                    others.add(
                            new Cached(
                                    pack,
                                    bytesOf(pack),
                                    Files.getLastModifiedTime(lockFile(pack))));
                }
            }
        }
        others.sort(Comparator.comparing(Cached::used).thenComparing(Cached::pack));
        long taken = others.stream().mapToLong(Cached::bytes).sum();
        for (Cached oldest : others) {
            if (taken + bytes <= maxBytes) {
                break;
            }
            if (remove(oldest.pack)) {
                LOG.info("{}: removed {}, {} bytes", directory, oldest.pack, oldest.bytes);
                taken -= oldest.bytes;
            }
        }
        if (taken + bytes > maxBytes) {
            LOG.warn(
                    "{}: packs in use take {} bytes, {} more do not fit into the bound of {}",
                    directory,
                    taken,
                    bytes,
                    maxBytes);
            return false;
        }
        return true;
    }

    private static long bytesOf(Path pack) throws IOException {
        try (Stream<Path> files = Files.list(pack)) {
            long sum = 0;
            for (Path file : files.toList()) {
                sum += Files.size(file);
            }
            return sum;
        }
    }

    /// Removes a pack, unless somebody uses it. The manifest goes first: what is left of it is no pack then.
    private boolean remove(Path pack) throws IOException {
        try (FileChannel channel = open(pack)) {
            if (channel.tryLock() == null) {
                return false;
            }
            Files.delete(pack.resolve(ManifestFile.NAME));
            try (Stream<Path> files = Files.list(pack)) {
                for (Path file : files.toList()) {
                    Files.delete(file);
                }
            }
            Files.delete(pack);
            return true;
        } catch (OverlappingFileLockException _) {
            return false;
        }
    }
}
