package io.atoll.model.pack;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.atoll.kernels.ComputePool;
import io.atoll.model.quant.GgmlType;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class PackCacheTest {
    /// What the experts of a layer take here, about.
    private static final long ONE = 400_000;

    private static final RandomModel MODEL = RandomModel.of(1, GgmlType.Q4_K);

    @TempDir private Path directory;

    private final AtomicLong second = new AtomicLong();

    private PackCache cache(long maxBytes) {
        return new PackCache(
                directory, maxBytes, () -> Instant.ofEpochSecond(second.incrementAndGet()));
    }

    private static PackSelection layer(int layer) {
        return PackSelection.none(RandomModel.CONFIG).withExperts(layer, 0, 2);
    }

    private static Optional<PackCache.Lease> lease(
            PackCache cache, int layer, PackProgress progress) {
        try (ComputePool pool = new ComputePool(1)) {
            return cache.lease(MODEL.packSource(), layer(layer), pool, progress);
        }
    }

    private static Path use(PackCache cache, int layer) {
        try (PackCache.Lease lease = lease(cache, layer, PackProgress.NONE).orElseThrow()) {
            assertComplete(lease.pack());
            return lease.pack();
        }
    }

    private static void assertComplete(Path pack) {
        try (PackWeights weights = PackWeights.open(pack);
                ComputePool pool = new ComputePool(1)) {
            weights.verify(pool, PackProgress.NONE);
        }
    }

    @Test
    void sizesAreAsTheseTestsTakeThem() throws IOException {
        Path pack = use(cache(10 * ONE), 0);
        try (Stream<Path> files = Files.list(pack)) {
            long bytes = files.mapToLong(file -> file.toFile().length()).sum();
            assertTrue(bytes < ONE && bytes > ONE * 3 / 4, "bytes: " + bytes);
        }
    }

    @Test
    void secondUseFindsThePackOfTheFirst() {
        PackCache cache = cache(10 * ONE);
        Path first = use(cache, 0);
        PackProgress mayNotPack =
                new PackProgress() {
                    @Override
                    public void begin(String phase, long bytes) {
                        throw new AssertionError(phase);
                    }

                    @Override
                    public void done(long bytes) {
                        throw new AssertionError("packed again");
                    }
                };
        try (PackCache.Lease lease = lease(cache, 0, mayNotPack).orElseThrow()) {
            assertEquals(first, lease.pack());
        }
        assertNotEquals(first, use(cache, 1));
    }

    @Test
    void longestUnusedGoesFirst() {
        PackCache cache = cache(2 * ONE);
        Path zero = use(cache, 0);
        Path one = use(cache, 1);
        use(cache, 0);
        Path two = use(cache, 2);
        assertTrue(Files.exists(zero));
        assertFalse(Files.exists(one), "layer 0 was used after it");
        assertTrue(Files.exists(two));
    }

    @Test
    void packInUseStaysAndWhatHasNoRoomIsNotPacked() {
        PackCache cache = cache(ONE);
        try (PackCache.Lease inUse = lease(cache, 0, PackProgress.NONE).orElseThrow()) {
            assertTrue(lease(cache, 1, PackProgress.NONE).isEmpty());
            assertComplete(inUse.pack());
        }
        Path one = use(cache, 1);
        assertTrue(Files.exists(one));
    }

    @Test
    void boundBelowOnePackLeavesTheDiskAlone() throws IOException {
        assertTrue(lease(cache(ONE / 2), 0, PackProgress.NONE).isEmpty());
        try (Stream<Path> files = Files.list(directory)) {
            assertEquals(0, files.filter(Files::isDirectory).count());
        }
        assertThrows(IllegalArgumentException.class, () -> cache(0));
    }

    @Test
    void halfPackOfAKilledProcessIsContinued() throws IOException {
        PackCache cache = cache(10 * ONE);
        Path pack = use(cache, 0);
        Files.delete(pack.resolve(ManifestFile.NAME));
        Files.write(pack.resolve("layer-0000.experts.part"), new byte[10]);
        for (String name : List.of("config.json", "chat_template.jinja", "layer-0000.experts")) {
            Files.delete(pack.resolve(name));
        }
        assertEquals(pack, use(cache, 0));
    }

    @Test
    void usersAtOncePackOnce() throws Exception {
        AtomicInteger packed = new AtomicInteger();
        PackProgress counting =
                new PackProgress() {
                    @Override
                    public void begin(String phase, long bytes) {
                        packed.incrementAndGet();
                    }

                    @Override
                    public void done(long bytes) {
                        // Only phases count.
                    }
                };
        List<Future<Path>> users = new ArrayList<>();
        try (ExecutorService threads = Executors.newFixedThreadPool(4)) {
            for (int i = 0; i < 4; i++) {
                PackCache cache = cache(10 * ONE);
                users.add(
                        threads.submit(
                                () -> {
                                    try (PackCache.Lease lease =
                                            lease(cache, 0, counting).orElseThrow()) {
                                        assertComplete(lease.pack());
                                        return lease.pack();
                                    }
                                }));
            }
        }
        for (Future<Path> user : users) {
            assertEquals(users.getFirst().get(), user.get());
        }
        assertEquals(1, packed.get());
    }

    @Test
    void placeThatIsNoDirectoryIsNamed() throws IOException {
        Path file = Files.writeString(directory.resolve("file"), "");
        PackCache cache = new PackCache(file.resolve("cache"), ONE);
        PackException refused =
                assertThrows(PackException.class, () -> lease(cache, 0, PackProgress.NONE));
        assertTrue(refused.getMessage().contains(file.toString()), refused.getMessage());
    }
}
