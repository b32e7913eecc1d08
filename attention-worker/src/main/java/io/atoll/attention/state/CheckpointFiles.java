package io.atoll.attention.state;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.channels.OverlappingFileLockException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayDeque;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.Queue;
import java.util.UUID;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/// Checkpoints on disk: those that memory is about to give up, found again by their tokens, also after a restart.
///
/// A checkpoint's bytes are those of memory, so they are good only for the same model, the same arithmetic and the same layout.
/// All that is in the identity, a hash; files of another identity stay until their room is needed.
///
/// The thread that owns the sequences calls everything here, and never waits for the disk: one thread writes, and another reads
/// straight into the memory of the sequence that wants it. What they have done is taken note of at a later call.
final class CheckpointFiles implements AutoCloseable {
    /// What follows the name of a file that is being written.
    static final String UNFINISHED = ".unfinished";

    /// Fewer tokens are computed about as fast as they are read.
    static final int MIN_TOKENS = 64;

    private static final Logger LOG = LoggerFactory.getLogger(CheckpointFiles.class);
    private static final String SUFFIX = ".checkpoint";

    /// After a write that failed, the disk is left alone for a while.
    private static final long RETRY_NANOS = TimeUnit.SECONDS.toNanos(60);

    private static final long CALL_OFF_MILLIS = 100;

    private final Path directory;
    private final long maxBytes;
    private final byte[] identity;
    private final FileChannel lockChannel;
    private final PrefixCache<StoredCheckpoint> index = new PrefixCache<>(StoredCheckpoint::bytes);
    private final Queue<Foreign> foreign = new ArrayDeque<>();
    private final ExecutorService writer = thread("checkpoint-writer");
    private final ExecutorService reader = thread("checkpoint-reader");
    private final Queue<Written> written = new ConcurrentLinkedQueue<>();
    private long bytes; // of all files, and of the one being written
    private boolean writing;
    private long leftAloneUntilNanos = System.nanoTime();
    private volatile boolean closed;

    /// A file of another identity.
    private record Foreign(Path file, long bytes) {}

    /// The end of a write.
    private record Written(int[] tokens, StoredCheckpoint checkpoint, Result result) {
        enum Result {
            STORED,
            CALLED_OFF,
            FAILED
        }
    }

    /// @param identity everything that the bytes of a state depend on
    /// @throws IOException if the directory can't be used, or another process uses it
    CheckpointFiles(CheckpointDisk disk, String identity) throws IOException {
        directory = disk.directory();
        maxBytes = disk.maxBytes();
        this.identity = sha256(identity);
        Files.createDirectories(directory);
        lockChannel =
                FileChannel.open(
                        directory.resolve("lock"),
                        StandardOpenOption.CREATE,
                        StandardOpenOption.WRITE);
        try {
            lock();
            readDirectory();
        } catch (IOException | RuntimeException e) {
            close();
            throw e;
        }
    }

    private static ExecutorService thread(String name) {
        return Executors.newSingleThreadExecutor(Thread.ofPlatform().daemon().name(name).factory());
    }

    private static byte[] sha256(String text) {
        try {
            return MessageDigest.getInstance("SHA-256")
                    .digest(text.getBytes(StandardCharsets.UTF_8));
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException(e);
        }
    }

    /// The lock goes with the channel, or with the process.
    private void lock() throws IOException {
        FileLock lock;
        try {
            lock = lockChannel.tryLock();
        } catch (OverlappingFileLockException _) { // of this process
            lock = null;
        }
        if (lock == null) {
            throw new IOException(
                    "another attention worker keeps its checkpoints in "
                            + directory
                            + ": each needs a directory of its own");
        }
    }

    private void readDirectory() throws IOException {
        List<Path> files;
        try (Stream<Path> entries = Files.list(directory)) {
            files = entries.sorted().toList();
        }
        for (Path file : files) {
            if (file.toString().endsWith(SUFFIX + UNFINISHED)) {
                Files.delete(file); // of a process that was killed
            } else if (file.toString().endsWith(SUFFIX)) {
                takeIn(file);
            }
        }
        makeRoomFor(0);
        LOG.info(
                "checkpoints on disk: directory={} checkpoints={} bytes={} maxBytes={}",
                directory,
                index.size(),
                bytes,
                maxBytes);
    }

    private void takeIn(Path file) throws IOException {
        CheckpointFile.Header header;
        try {
            header = CheckpointFile.readHeader(file);
        } catch (IOException e) {
            LOG.warn("a checkpoint is deleted: {}", e.getMessage());
            Files.delete(file);
            return;
        }
        int[] tokens = header.tokens();
        long size = CheckpointFile.bytes(tokens.length, header.stateBytes());
        if (!Arrays.equals(header.identity(), identity)) {
            foreign.add(new Foreign(file, size));
        } else if (!contains(tokens)) {
            index.put(tokens, new StoredCheckpoint(file, tokens.length, size));
        } else {
            Files.delete(file);
            return;
        }
        bytes += size;
    }

    /// Checkpoints that can be read.
    int size() {
        return index.size();
    }

    /// The deepest checkpoint on the way of `tokens`, at most `limit` tokens deep. It counts as used.
    Optional<StoredCheckpoint> find(int[] tokens, int limit) {
        settle();
        return index.find(tokens, limit);
    }

    /// Whether there is a checkpoint after exactly these tokens.
    boolean contains(int[] tokens) {
        return index.contains(tokens, tokens.length);
    }

    /// Whether a checkpoint can be handed over now: the last one is written, and the disk has not failed of late.
    boolean isReady() {
        settle();
        return !writing && System.nanoTime() - leftAloneUntilNanos >= 0;
    }

    /// Begins to write a checkpoint. [Checkpoint#release] calls it off. Does nothing if it is larger than all files may be.
    ///
    /// @param tokens all that it has seen; there is no file of these yet
    /// @param state its parts, in order
    void write(int[] tokens, Checkpoint checkpoint, List<MemorySegment> state) {
        long stateBytes = state.stream().mapToLong(MemorySegment::byteSize).sum();
        long size = CheckpointFile.bytes(tokens.length, stateBytes);
        if (size > maxBytes) {
            return;
        }
        makeRoomFor(size);
        bytes += size;
        writing = true;
        Path file = directory.resolve(UUID.randomUUID() + SUFFIX);
        StoredCheckpoint stored = new StoredCheckpoint(file, tokens.length, size);
        writer.execute(
                () ->
                        written.add(
                                new Written(
                                        tokens, stored, write(file, tokens, checkpoint, state))));
    }

    private Written.Result write(
            Path file, int[] tokens, Checkpoint checkpoint, List<MemorySegment> state) {
        try {
            boolean isThere =
                    CheckpointFile.write(
                            file, identity, tokens, state, () -> closed || checkpoint.isReleased());
            return isThere ? Written.Result.STORED : Written.Result.CALLED_OFF;
        } catch (IOException e) {
            LOG.warn("a checkpoint of {} tokens was not written: {}", tokens.length, e.toString());
            return Written.Result.FAILED;
        }
    }

    /// Takes note of what was written.
    private void settle() {
        for (Written end = written.poll(); end != null; end = written.poll()) {
            writing = false;
            if (end.result() == Written.Result.STORED) {
                index.put(end.tokens(), end.checkpoint());
                continue;
            }
            bytes -= end.checkpoint().bytes();
            if (end.result() == Written.Result.FAILED) {
                leftAloneUntilNanos = System.nanoTime() + RETRY_NANOS;
            }
        }
    }

    private void makeRoomFor(long size) {
        while (bytes + size > maxBytes) {
            Foreign other = foreign.poll();
            if (other != null) {
                delete(other.file(), other.bytes());
                continue;
            }
            Optional<StoredCheckpoint> victim = index.evict(Optional.empty());
            if (victim.isEmpty()) {
                return;
            }
            delete(victim.get().file(), victim.get().bytes());
        }
    }

    /// A file that can't be deleted is lost to the index, and found again at the next start.
    private void delete(Path file, long size) {
        bytes -= size;
        try {
            Files.deleteIfExists(file);
        } catch (IOException e) {
            LOG.warn("a checkpoint was not deleted: {}", e.toString());
        }
    }

    /// Begins to read a checkpoint.
    ///
    /// @param tokens begins with those that it has seen
    /// @param state where it goes, in order
    Load read(StoredCheckpoint checkpoint, int[] tokens, List<MemorySegment> state) {
        Load load = new Load(checkpoint, Arrays.copyOf(tokens, checkpoint.tokens()));
        reader.execute(() -> load.run(state));
        return load;
    }

    /// A checkpoint on its way into memory.
    final class Load {
        private final StoredCheckpoint checkpoint;
        private final int[] tokens;
        private volatile boolean calledOff;
        private final CountDownLatch over = new CountDownLatch(1);
        private boolean complete; // read when it is over

        private Load(StoredCheckpoint checkpoint, int[] tokens) {
            this.checkpoint = checkpoint;
            this.tokens = tokens;
        }

        private void run(List<MemorySegment> state) {
            try {
                complete =
                        CheckpointFile.read(
                                checkpoint.file(),
                                identity,
                                tokens,
                                state,
                                () -> closed || calledOff);
            } catch (IOException e) {
                LOG.warn("a checkpoint was not read, its prompt is computed: {}", e.toString());
            } finally {
                over.countDown();
            }
        }

        /// Tokens that the checkpoint has seen.
        int tokens() {
            return tokens.length;
        }

        /// Whether nobody writes to the memory any more.
        boolean isOver() {
            return over.getCount() == 0;
        }

        /// Ends it. Waits a moment, which is enough unless the disk hangs.
        void callOff() {
            calledOff = true;
            try {
                boolean _ = over.await(CALL_OFF_MILLIS, TimeUnit.MILLISECONDS);
            } catch (InterruptedException _) {
                Thread.currentThread().interrupt();
            }
        }

        /// Whether the state is there. Comes after its end. A file that failed is forgotten.
        boolean isComplete() {
            if (!complete && !calledOff) {
                index.remove(tokens, checkpoint).ifPresent(bad -> delete(bad.file(), bad.bytes()));
            }
            return complete;
        }
    }

    /// Waits for both threads to leave the memory of the states, a piece of a file at most, and gives up the directory.
    /// Waits until nothing is being written. Any thread may.
    void awaitWritten() throws InterruptedException {
        try {
            writer.submit(() -> {}).get();
        } catch (ExecutionException e) {
            throw new IllegalStateException(e.getCause()); // there is nothing in it that could fail
        }
    }

    @Override
    public void close() {
        closed = true;
        writer.shutdown();
        reader.shutdown();
        try {
            for (ExecutorService thread : List.of(writer, reader)) {
                if (!thread.awaitTermination(30, TimeUnit.SECONDS)) {
                    throw new IllegalStateException(
                            "the disk does not answer, checkpoints are in " + directory);
                }
            }
        } catch (InterruptedException _) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException("interrupted while checkpoints were on their way");
        }
        try {
            lockChannel.close();
        } catch (IOException e) {
            LOG.warn("the lock of {} was not given up", directory, e);
        }
    }
}
