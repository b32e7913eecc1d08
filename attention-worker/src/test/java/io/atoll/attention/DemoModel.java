package io.atoll.attention;

import io.atoll.model.ModelDirectory;
import io.atoll.model.checkpoint.Checkpoint;
import java.net.URISyntaxException;
import java.net.URL;
import java.nio.file.Path;
import java.util.Objects;

/// The trained demo model of the repository, and the golden numbers for it in the test resources.
public final class DemoModel {
    /// The tokenizer's largest id + 1.
    public static final int VOCABULARY = 2036;

    private static final ModelDirectory MODEL =
            ModelDirectory.open(
                    Path.of(
                            Objects.requireNonNull(
                                    System.getProperty("atoll.root"),
                                    "tests need -Datoll.root=<repository>"),
                            "demo-model"));

    private static final InProcessExperts EXPERTS = new InProcessExperts(MODEL.textWeights());

    private DemoModel() {}

    /// Open for the whole test run.
    public static ModelDirectory directory() {
        return MODEL;
    }

    /// Shared by tests that do not have them fail; not for two workers at once.
    public static InProcessExperts experts() {
        return EXPERTS;
    }

    /// Path of a golden file.
    public static Path goldenFile(String name) {
        URL url =
                Objects.requireNonNull(
                        DemoModel.class.getResource("/golden/" + name), () -> "no golden " + name);
        try {
            return Path.of(url.toURI());
        } catch (URISyntaxException e) {
            throw new IllegalStateException(e);
        }
    }

    /// A golden file of tensors; the caller closes it.
    public static Checkpoint golden(String name) {
        return Checkpoint.open(goldenFile(name));
    }
}
