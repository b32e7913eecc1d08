package io.atoll.cli;

import java.nio.file.Path;

/// Where this installation lies: the launcher says it in the system property `atoll.home`.
public final class AtollHome {
    private AtollHome() {}

    /// The repository's root, or the working directory if nobody said.
    public static Path directory() {
        return Path.of(System.getProperty("atoll.home", "."));
    }

    /// The trained demo model that comes with Atoll.
    public static Path demoModel() {
        return directory().resolve("demo-model");
    }
}
