package io.atoll.model.pack;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.atoll.kernels.ComputePool;
import io.atoll.model.Seeds;
import io.atoll.model.quant.GgmlType;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/// Interrupted, crowded out and run twice.
class PackerTest {
    private static final RandomModel MODEL = RandomModel.of(1, GgmlType.Q4_K);

    @TempDir private Path temporary;

    private final AtomicInteger directories = new AtomicInteger();

    private Path directory() {
        return temporary.resolve("pack-" + directories.getAndIncrement());
    }

    private static Packer.Outcome pack(PackSource source, Path directory, PackDisk disk) {
        return pack(source, DenseFormat.KEEP, directory, disk, 2);
    }

    private static Packer.Outcome pack(
            PackSource source, DenseFormat format, Path directory, PackDisk disk, int threads) {
        try (ComputePool pool = new ComputePool(threads, 0)) {
            return Packer.pack(
                    source,
                    PackSelection.all(RandomModel.CONFIG),
                    format,
                    directory,
                    disk,
                    1, // as small as pieces get, so that matrices are cut
                    pool,
                    PackProgress.NONE);
        }
    }

    private static Map<String, byte[]> contents(Path directory) {
        Map<String, byte[]> contents = new TreeMap<>();
        try (Stream<Path> files = Files.list(directory)) {
            for (Path file : files.toList()) {
                contents.put(String.valueOf(file.getFileName()), Files.readAllBytes(file));
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        return contents;
    }

    private static void assertSame(Map<String, byte[]> expected, Path directory) {
        Map<String, byte[]> found = contents(directory);
        assertEquals(expected.keySet(), found.keySet());
        expected.forEach((name, bytes) -> assertArrayEquals(bytes, found.get(name), name));
    }

    @Test
    void threadsDoNotChangeAByte() {
        Path one = directory();
        Path three = directory();
        pack(MODEL.packSource(), DenseFormat.KEEP, one, new FailingDisk(), 1);
        pack(MODEL.packSource(), DenseFormat.KEEP, three, new FailingDisk(), 3);
        assertSame(contents(one), three);
    }

    @ParameterizedTest
    @EnumSource(FailingDisk.Failure.class)
    void stoppedAnywhereAndRunAgainItIsTheSamePack(FailingDisk.Failure failure) {
        Path fresh = directory();
        FailingDisk counting = new FailingDisk();
        pack(MODEL.packSource(), fresh, counting);
        Map<String, byte[]> expected = contents(fresh);
        int operations = counting.operations();
        Seeds.forAll(
                15,
                random -> {
                    Path directory = directory();
                    for (int stops = 1 + random.nextInt(3); stops > 0; stops--) {
                        stop(
                                directory,
                                new FailingDisk(random.nextInt(operations), failure),
                                random);
                        assertNoHalfPack(directory);
                    }
                    pack(MODEL.packSource(), directory, new FailingDisk());
                    assertSame(expected, directory);
                });
    }

    /// Packs until the disk fails. If an earlier run came further, it may be done before that.
    private static void stop(Path directory, FailingDisk disk, Random random) {
        try {
            pack(MODEL.packSource(), directory, disk);
        } catch (FailingDisk.Killed _) {
            try {
                disk.losePower(random);
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
        } catch (PackException e) {
            assertTrue(e.getMessage().contains("No space left on device"), e.getMessage());
            assertTrue(e.getMessage().startsWith(directory.toString()), e.getMessage());
        }
    }

    /// Either it says that it is not finished, or every byte of it is right.
    private static void assertNoHalfPack(Path directory) {
        if (Files.exists(directory.resolve(ManifestFile.NAME))) {
            try (PackWeights pack = PackWeights.open(directory);
                    ComputePool pool = new ComputePool(1)) {
                pack.verify(pool, PackProgress.NONE);
            }
        } else {
            PackException refused =
                    assertThrows(PackException.class, () -> PackWeights.open(directory));
            assertTrue(refused.getMessage().contains("is missing"), refused.getMessage());
        }
    }

    @Test
    void whatWasFinishedIsKeptAndASpoiledFileIsWrittenAgain() throws IOException {
        Path fresh = directory();
        FailingDisk counting = new FailingDisk();
        Packer.Outcome whole = pack(MODEL.packSource(), fresh, counting);
        Path directory = directory();
        int last = counting.operations() - 12; // the manifest and what comes after the last file
        assertThrows(
                FailingDisk.Killed.class,
                () ->
                        pack(
                                MODEL.packSource(),
                                directory,
                                new FailingDisk(last, FailingDisk.Failure.POWER)));
        Path spoiled = directory.resolve("layer-0000.experts");
        byte[] bytes = Files.readAllBytes(spoiled);
        bytes[bytes.length / 2] ^= 1;
        Files.write(spoiled, bytes);
        Packer.Outcome resumed = pack(MODEL.packSource(), directory, new FailingDisk());
        assertTrue(resumed.keptBytes() > 0, "nothing was kept");
        assertTrue(resumed.keptBytes() <= whole.bytes() - bytes.length, "a spoiled file was kept");
        assertSame(contents(fresh), directory);
    }

    @Test
    void finishedPackIsLeftAloneAndOtherOptionsAreRefused() {
        Path directory = directory();
        Packer.Outcome first = pack(MODEL.packSource(), directory, new FailingDisk());
        assertEquals(0, first.keptBytes());
        Map<String, byte[]> before = contents(directory);
        Packer.Outcome again = pack(MODEL.packSource(), directory, new FailingDisk());
        assertEquals(first.bytes(), again.keptBytes());
        PackException other =
                assertThrows(
                        PackException.class,
                        () ->
                                pack(
                                        RandomModel.of(1, GgmlType.Q6_K).packSource(),
                                        DenseFormat.KEEP,
                                        directory,
                                        new FailingDisk(),
                                        1));
        assertTrue(other.getMessage().contains("is not what is asked for"), other.getMessage());
        assertSame(before, directory);
    }

    @Test
    void anotherModelIsNotMixedIn() {
        Path directory = directory();
        assertThrows(
                FailingDisk.Killed.class,
                () ->
                        pack(
                                MODEL.packSource("before"),
                                directory,
                                new FailingDisk(40, FailingDisk.Failure.POWER)));
        PackException changed =
                assertThrows(
                        PackException.class,
                        () -> pack(MODEL.packSource("after"), directory, new FailingDisk()));
        assertEquals("modelDigest", changed.where());
        assertTrue(changed.getMessage().contains("before"), changed.getMessage());
        assertTrue(changed.getMessage().contains("after"), changed.getMessage());
    }

    @Test
    void sourceThatChangesMeanwhileGivesNoPack() {
        Path directory = directory();
        AtomicInteger asked = new AtomicInteger();
        PackSource source = MODEL.packSource();
        PackSource changing =
                new PackSource(
                        "random",
                        source.weights(),
                        () -> "digest " + asked.getAndIncrement(),
                        source.texts());
        PackException changed =
                assertThrows(
                        PackException.class, () -> pack(changing, directory, new FailingDisk()));
        assertTrue(changed.getMessage().contains("has changed while"), changed.getMessage());
        assertFalse(Files.exists(directory.resolve(ManifestFile.NAME)));
    }

    @Test
    void secondPackerIsRefused() throws IOException {
        Path directory = Files.createDirectories(directory());
        try (PackLock _ = PackLock.take(directory)) {
            PackException held =
                    assertThrows(
                            PackException.class,
                            () -> pack(MODEL.packSource(), directory, new FailingDisk()));
            assertTrue(held.getMessage().contains("is held"), held.getMessage());
        }
        pack(MODEL.packSource(), directory, new FailingDisk());
    }

    @Test
    void directoryOfSomebodyElseIsNotTouched() throws IOException {
        Path directory = Files.createDirectories(directory());
        Files.writeString(directory.resolve("thesis.tex"), "years of work");
        PackException refused =
                assertThrows(
                        PackException.class,
                        () -> pack(MODEL.packSource(), directory, new FailingDisk()));
        assertEquals("thesis.tex", refused.where());
        assertEquals("years of work", Files.readString(directory.resolve("thesis.tex")));
        assertFalse(Files.exists(directory.resolve("config.json")));
    }

    @Test
    void directoryThatCannotBeMadeIsNamed() throws IOException {
        Path file = Files.writeString(temporary.resolve("file"), "");
        PackException refused =
                assertThrows(
                        PackException.class,
                        () -> pack(MODEL.packSource(), file.resolve("pack"), new FailingDisk()));
        assertTrue(refused.getMessage().contains("cannot be made"), refused.getMessage());
    }

    @Test
    void diskThatIsTooSmallIsFoundBeforeAnythingIsWritten() {
        Path directory = directory();
        PackDisk small =
                new PackDisk() {
                    @Override
                    public OutputFile create(Path file) {
                        throw new AssertionError("written: " + file);
                    }

                    @Override
                    public OutputFile append(Path file) {
                        throw new AssertionError("written: " + file);
                    }

                    @Override
                    public void rename(Path from, Path to) {
                        throw new AssertionError("renamed: " + from);
                    }

                    @Override
                    public void delete(Path file) {
                        throw new AssertionError("deleted: " + file);
                    }

                    @Override
                    public long usableBytes(Path path) {
                        return 1234;
                    }
                };
        PackException full =
                assertThrows(PackException.class, () -> pack(MODEL.packSource(), directory, small));
        assertEquals("disk", full.where());
        assertTrue(full.getMessage().contains("has 1234 bytes left"), full.getMessage());
    }
}
