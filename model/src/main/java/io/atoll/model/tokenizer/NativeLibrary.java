package io.atoll.model.tokenizer;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.List;
import java.util.stream.Stream;

/// Settings of DJL, whose tokenizer is a native library that it unpacks from its jar at first use.
///
/// The directory it is unpacked to is, in this order: what `ENGINE_CACHE_DIR` or `DJL_CACHE_DIR` say (DJL's own
/// settings), the system property `atoll.cache.dir`, `$XDG_CACHE_HOME/atoll`, `~/.cache/atoll`, and, where none of
/// these can be written, a private temporary directory that is removed at exit. DJL is told to stay offline: it
/// then looks for no library built for the machine's GPU and reports no use of itself.
final class NativeLibrary {
    private static final String CACHE_PROPERTY = "atoll.cache.dir";

    private static boolean prepared;

    private NativeLibrary() {}

    /// Must be called before the first use of a DJL class.
    static synchronized void prepare() {
        if (prepared) {
            return;
        }
        prepared = true;
        System.setProperty("ai.djl.offline", "true");
        for (String setting : List.of("ENGINE_CACHE_DIR", "DJL_CACHE_DIR")) {
            if (System.getenv(setting) != null || System.getProperty(setting) != null) {
                return;
            }
        }
        Path directory =
                cacheDirectory(
                        System.getProperty(CACHE_PROPERTY, ""),
                        System.getenv().getOrDefault("XDG_CACHE_HOME", ""),
                        Path.of(System.getProperty("user.home")));
        System.setProperty("ENGINE_CACHE_DIR", directory.toString());
    }

    /// The first of the candidates that can be written.
    ///
    /// @param property value of `atoll.cache.dir`, or empty
    /// @param xdg value of `XDG_CACHE_HOME`, or empty
    /// @param home the user's home directory
    static Path cacheDirectory(String property, String xdg, Path home) {
        Stream<Path> candidates =
                Stream.of(
                                property.isEmpty()
                                        ? Stream.<Path>empty()
                                        : Stream.of(Path.of(property)),
                                xdg.isEmpty()
                                        ? Stream.<Path>empty()
                                        : Stream.of(Path.of(xdg, "atoll")),
                                Stream.of(home.resolve(".cache").resolve("atoll")))
                        .flatMap(candidate -> candidate);
        return candidates
                .map(Path::toAbsolutePath)
                .filter(NativeLibrary::canWrite)
                .findFirst()
                .orElseGet(NativeLibrary::temporaryDirectory);
    }

    private static boolean canWrite(Path directory) {
        try {
            return Files.isWritable(Files.createDirectories(directory));
        } catch (IOException e) {
            return false; // a read-only home, for example
        }
    }

    private static Path temporaryDirectory() {
        try {
            // Readable by its owner only, so nobody can put another library there.
            Path directory = Files.createTempDirectory("atoll-native-");
            Runtime.getRuntime()
                    .addShutdownHook(Thread.ofPlatform().unstarted(() -> delete(directory)));
            return directory;
        } catch (IOException e) {
            throw new UncheckedIOException(
                    "no directory for the tokenizer's native library, set " + CACHE_PROPERTY, e);
        }
    }

    private static void delete(Path directory) {
        try (Stream<Path> paths = Files.walk(directory)) {
            for (Path path : paths.sorted(Comparator.reverseOrder()).toList()) {
                Files.deleteIfExists(path);
            }
        } catch (IOException e) {
            // Loggers may be gone at exit.
            System.err.println("could not remove " + directory + ": " + e);
        }
    }
}
