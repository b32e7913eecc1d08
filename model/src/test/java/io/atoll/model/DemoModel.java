package io.atoll.model;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;

/// The repository's demo model, and copies of it for a test to damage.
public final class DemoModel {
    private DemoModel() {}

    public static Path path() {
        return Path.of(System.getProperty("atoll.root"), "demo-model");
    }

    /// Copies the files with these names into a directory.
    public static void copy(Path directory, String... names) {
        for (String name : names) {
            try {
                Files.copy(path().resolve(name), directory.resolve(name));
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
        }
    }

    /// Copies all files into a directory.
    public static void copyAll(Path directory) {
        try (Stream<Path> files = Files.list(path())) {
            List<String> names = files.map(file -> String.valueOf(file.getFileName())).toList();
            copy(directory, names.toArray(String[]::new));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
