package io.atoll.model;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import io.atoll.model.checkpoint.Checkpoint;
import io.atoll.model.config.GenerationConfig;
import io.atoll.model.config.ModelConfig;
import io.atoll.model.config.QuantizationConfig;
import io.atoll.model.quant.CheckpointWeights;
import io.atoll.model.quant.WeightStore;
import io.atoll.model.tokenizer.Tokenizer;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;

/// The layout of a release: a directory with `config.json`, safetensors files, tokenizer and chat template.
final class ReleaseFiles implements ModelFiles {
    /// Where a chat template can be, in the order of preference.
    static final List<String> TEMPLATES = List.of("chat_template.jinja", "tokenizer_config.json");

    private static final long MAX_TEXT_BYTES = 16L << 20;
    private static final long MAX_TOKENIZER_BYTES = 256L << 20;
    private static final List<String> TEXTS =
            List.of(
                    "config.json",
                    "generation_config.json",
                    "tokenizer.json",
                    "tokenizer_config.json",
                    "chat_template.jinja",
                    "preprocessor_config.json",
                    "video_preprocessor_config.json");

    private final Path path;
    private final ModelConfig config;
    private final GenerationConfig generationConfig;
    private final Optional<QuantizationConfig> quantization;
    private Checkpoint checkpoint; // opened when first asked for
    private boolean closed;

    ReleaseFiles(Path path) {
        this.path = path;
        this.config = ModelConfig.read(path.resolve("config.json"));
        this.generationConfig =
                GenerationConfig.read(path.resolve("generation_config.json"), config.text());
        this.quantization = QuantizationConfig.read(path);
    }

    @Override
    public String name() {
        Path last = path.toAbsolutePath().normalize().getFileName();
        return last == null ? "model" : last.toString();
    }

    @Override
    public ModelConfig config() {
        return config;
    }

    @Override
    public GenerationConfig generationConfig() {
        return generationConfig;
    }

    synchronized Checkpoint checkpoint() {
        if (closed) {
            throw new IllegalStateException("model directory is closed: " + path);
        }
        if (checkpoint == null) {
            checkpoint = Checkpoint.open(path);
        }
        return checkpoint;
    }

    @Override
    public WeightStore weights() {
        return new CheckpointWeights(checkpoint(), quantization);
    }

    Path tokenizerFile() {
        Path file = path.resolve("tokenizer.json");
        if (!Files.isRegularFile(file)) {
            throw new ModelDirectoryException(path, "tokenizer.json", "is missing");
        }
        return file;
    }

    @Override
    public Tokenizer tokenizer() {
        return Tokenizer.load(tokenizerFile());
    }

    /// `chat_template.jinja`, else what `tokenizer_config.json` holds.
    @Override
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

    @Override
    public String digest() {
        return ModelDigest.of(config.text(), quantization, checkpoint());
    }

    /// Those that are there.
    @Override
    public Map<String, byte[]> texts() {
        Map<String, byte[]> texts = new TreeMap<>();
        for (String name : TEXTS) {
            Path file = path.resolve(name);
            if (Files.isRegularFile(file)) {
                try {
                    if (Files.size(file) > MAX_TOKENIZER_BYTES) {
                        throw new ModelDirectoryException(
                                path,
                                name,
                                "is too large: "
                                        + Files.size(file)
                                        + " bytes, at most "
                                        + MAX_TOKENIZER_BYTES);
                    }
                    texts.put(name, Files.readAllBytes(file));
                } catch (IOException e) {
                    throw new ModelDirectoryException(path, name, "cannot be read: " + e, e);
                }
            }
        }
        return texts;
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
