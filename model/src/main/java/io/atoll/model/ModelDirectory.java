package io.atoll.model;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import io.atoll.model.checkpoint.Checkpoint;
import io.atoll.model.checkpoint.TextWeights;
import io.atoll.model.config.GenerationConfig;
import io.atoll.model.config.ModelConfig;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;

/// A model in the layout of a release: a directory with `config.json`, weights, tokenizer and chat template.
///
/// Opening it reads only the configuration, so that a coordinator needs no weights on its disk and an expert worker
/// no tokenizer; whatever is missing is reported when it is asked for. Owns the checkpoint: `close()` unmaps it.
public final class ModelDirectory implements AutoCloseable {
    private static final long MAX_TEXT_BYTES = 16L << 20;

    private final Path path;
    private final ModelConfig config;
    private final GenerationConfig generationConfig;
    private Checkpoint checkpoint; // opened when first asked for
    private boolean closed;

    private ModelDirectory(Path path, ModelConfig config, GenerationConfig generationConfig) {
        this.path = path;
        this.config = config;
        this.generationConfig = generationConfig;
    }

    /// Opens a directory and reads its configuration.
    ///
    /// @throws ModelDirectoryException if it is no directory
    /// @throws io.atoll.model.config.ConfigException if the configuration is missing, damaged or of another architecture
    public static ModelDirectory open(Path path) {
        if (!Files.isDirectory(path)) {
            throw new ModelDirectoryException(
                    path, "directory", Files.exists(path) ? "is not a directory" : "is missing");
        }
        ModelConfig config = ModelConfig.read(path.resolve("config.json"));
        return new ModelDirectory(
                path,
                config,
                GenerationConfig.read(path.resolve("generation_config.json"), config.text()));
    }

    public Path path() {
        return path;
    }

    /// The directory's own name, by which the model is served unless told otherwise.
    public String name() {
        Path last = path.toAbsolutePath().normalize().getFileName();
        return last == null ? "model" : last.toString();
    }

    public ModelConfig config() {
        return config;
    }

    public GenerationConfig generationConfig() {
        return generationConfig;
    }

    /// The weights; the same object at every call.
    ///
    /// @throws io.atoll.model.checkpoint.CheckpointException if there are none, or their index is damaged
    public synchronized Checkpoint checkpoint() {
        if (closed) {
            throw new IllegalStateException("model directory is closed: " + path);
        }
        if (checkpoint == null) {
            checkpoint = Checkpoint.open(path);
        }
        return checkpoint;
    }

    /// The text model's weights, checked against the configuration as they are asked for.
    public TextWeights textWeights() {
        return new TextWeights(checkpoint(), config.text());
    }

    /// Path of `tokenizer.json`.
    ///
    /// @throws ModelDirectoryException if it is missing
    public Path tokenizerFile() {
        Path file = path.resolve("tokenizer.json");
        if (!Files.isRegularFile(file)) {
            throw new ModelDirectoryException(path, "tokenizer.json", "is missing");
        }
        return file;
    }

    /// Text of the chat template: `chat_template.jinja`, else what `tokenizer_config.json` holds.
    ///
    /// @throws ModelDirectoryException if there is neither
    public String chatTemplate() {
        Path file = path.resolve("chat_template.jinja");
        if (Files.exists(file)) {
            return readText(file);
        }
        Path tokenizerConfig = path.resolve("tokenizer_config.json");
        if (Files.exists(tokenizerConfig)) {
            JsonNode template;
            try {
                template =
                        new JsonMapper().readTree(readText(tokenizerConfig)).path("chat_template");
            } catch (IOException e) {
                throw new ModelDirectoryException(
                        path, "tokenizer_config.json", "is not valid JSON", e);
            }
            if (template.isTextual()) {
                return template.textValue();
            }
            if (!template.isMissingNode() && !template.isNull()) {
                throw new ModelDirectoryException(
                        path,
                        "tokenizer_config.json",
                        "chat_template must be a string, found " + template.getNodeType());
            }
        }
        throw new ModelDirectoryException(
                path,
                "chat_template.jinja",
                "is missing, and tokenizer_config.json has no chat_template");
    }

    /// Identifies the text model, so that nodes can refuse to work with one that holds another: SHA-256, in hex,
    /// over the text configuration and, for every text tensor in the order of names, its name, type, shape and
    /// three samples of its bytes.
    ///
    /// It does not depend on how tensors are spread over files, and it reads a few pages of each tensor only, so it
    /// is cheap on a model of any size. For the same reason it authenticates nothing: whoever can write the files
    /// can change weights without changing the digest.
    ///
    /// @throws io.atoll.model.checkpoint.CheckpointException if a weight file is missing or damaged
    public String modelDigest() {
        return ModelDigest.of(checkpoint(), config.text());
    }

    @Override
    public synchronized void close() {
        closed = true;
        if (checkpoint != null) {
            checkpoint.close();
        }
    }

    private String readText(Path file) {
        String name = String.valueOf(file.getFileName());
        try {
            long bytes = Files.size(file);
            if (bytes > MAX_TEXT_BYTES) {
                throw new ModelDirectoryException(
                        path, name, "is too large: " + bytes + " bytes, at most " + MAX_TEXT_BYTES);
            }
            return Files.readString(file, StandardCharsets.UTF_8);
        } catch (IOException e) {
            throw new ModelDirectoryException(path, name, "cannot be read: " + e, e);
        }
    }
}
