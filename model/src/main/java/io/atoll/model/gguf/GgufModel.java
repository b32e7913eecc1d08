package io.atoll.model.gguf;

import io.atoll.model.config.GenerationConfig;
import io.atoll.model.config.TextConfig;
import java.nio.file.Path;
import java.util.Optional;

/// A text model in a GGUF file of architecture `qwen35moe`: its configuration, its weights under the names of a release,
/// and the metadata that holds its vocabulary and chat template.
///
/// Owns the mapped files: `close()` unmaps them.
public final class GgufModel implements AutoCloseable {
    /// What the metadata calls the architecture.
    static final String ARCHITECTURE = "qwen35moe";

    /// What the metadata of a vision projector (`mmproj-*.gguf`) calls its architecture.
    static final String PROJECTOR = "clip";

    private static final String ARCHITECTURE_KEY = "general.architecture";

    private final GgufFile file;
    private final TextConfig config;
    private final GenerationConfig generationConfig;
    private final GgufWeights weights;

    private GgufModel(GgufFile file) {
        this.file = file;
        this.config = GgufConfig.text(file);
        this.generationConfig = GgufConfig.generation(file.metadata(), config);
        this.weights = new GgufWeights(file, config);
    }

    /// Opens a model, given its file or any part of a split one.
    ///
    /// @throws GgufException if a file is missing or damaged, or holds no model of this architecture
    public static GgufModel open(Path path) {
        GgufFile file = GgufFile.open(path);
        try {
            checkArchitecture(file.metadata());
            return new GgufModel(file);
        } catch (RuntimeException e) {
            file.close();
            throw e;
        }
    }

    /// Whether a file is a vision projector ([GgufProjector]), which belongs beside a model and is none itself.
    public static boolean isProjector(GgufFile file) {
        return file.metadata().findString(ARCHITECTURE_KEY).equals(Optional.of(PROJECTOR));
    }

    /// The file.
    public GgufFile file() {
        return file;
    }

    /// Its name in the metadata, else that of the file.
    public String name() {
        Path last = file.path().getFileName();
        return file.metadata()
                .findString("general.name")
                .orElse(last == null ? "model" : last.toString());
    }

    /// The text model's sizes.
    public TextConfig config() {
        return config;
    }

    /// Where generation stops, and how to sample when a request does not say.
    public GenerationConfig generationConfig() {
        return generationConfig;
    }

    /// The weights, under the names and in the order of a release.
    public GgufWeights weights() {
        return weights;
    }

    /// The chat template, if the file has one.
    public Optional<String> chatTemplate() {
        return file.metadata().findString("tokenizer.chat_template");
    }

    @Override
    public void close() {
        file.close();
    }

    private static void checkArchitecture(GgufMetadata metadata) {
        String architecture = metadata.string(ARCHITECTURE_KEY);
        if (architecture.equals(PROJECTOR)) {
            throw new GgufException(
                    metadata.file(),
                    ARCHITECTURE_KEY,
                    "is " + PROJECTOR + ": this is a vision projector, open the model beside it");
        }
        if (!architecture.equals(ARCHITECTURE)) {
            throw new GgufException(
                    metadata.file(),
                    ARCHITECTURE_KEY,
                    "only "
                            + ARCHITECTURE
                            + " is supported, found \""
                            + GgufMetadata.shorten(architecture)
                            + "\"");
        }
    }
}
