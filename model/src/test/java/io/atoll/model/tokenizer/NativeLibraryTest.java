package io.atoll.model.tokenizer;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class NativeLibraryTest {
    @TempDir Path directory;

    @Test
    void propertyComesBeforeTheEnvironmentAndTheHome() {
        String given = directory.resolve("given").toString();
        String xdg = directory.resolve("xdg").toString();
        assertEquals(Path.of(given), NativeLibrary.cacheDirectory(given, xdg, directory));
        assertEquals(
                directory.resolve("xdg/atoll"), NativeLibrary.cacheDirectory("", xdg, directory));
        assertEquals(
                directory.resolve(".cache/atoll"), NativeLibrary.cacheDirectory("", "", directory));
        assertTrue(Files.isDirectory(directory.resolve(".cache/atoll")));
    }

    @Test
    void placesThatCannotBeWrittenArePassedOver() throws IOException {
        // A file where a directory is wanted stands for a read-only home: it stops root as well.
        Path file = Files.createFile(directory.resolve("file"));
        String xdg = directory.resolve("xdg").toString();
        assertEquals(
                directory.resolve("xdg/atoll"),
                NativeLibrary.cacheDirectory(file.toString(), xdg, directory));

        Path temporary = NativeLibrary.cacheDirectory("", "", file);
        assertEquals(
                "rwx------",
                PosixFilePermissions.toString(Files.getPosixFilePermissions(temporary)));
        assertTrue(temporary.getFileName().toString().startsWith("atoll-native-"));
    }
}
