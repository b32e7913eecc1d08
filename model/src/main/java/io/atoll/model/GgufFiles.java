package io.atoll.model;

import io.atoll.model.config.ConfigWriter;
import io.atoll.model.config.GenerationConfig;
import io.atoll.model.config.ModelConfig;
import io.atoll.model.gguf.GgufModel;
import io.atoll.model.quant.WeightStore;
import io.atoll.model.tokenizer.GgufVocabulary;
import io.atoll.model.tokenizer.Tokenizer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Map;
import java.util.TreeMap;

/// A text model in a GGUF file, or in all parts of a split one, which hold configuration, vocabulary and template, too.
final class GgufFiles implements ModelFiles {
    private static final String TEMPLATE = "tokenizer.chat_template";

    private final Path path;
    private final GgufModel model;
    private final ModelConfig config;
    private boolean closed;

    GgufFiles(Path path) {
        this.path = path;
        this.model = GgufModel.open(path);
        this.config = ModelConfig.textOnly(model.config());
    }

    /// The file's name without its ending, and without the number of a part. What the metadata calls the model is often the
    /// same for files of different quantisation, so it would not tell them apart.
    @Override
    public String name() {
        Path last = path.toAbsolutePath().normalize().getFileName();
        String name = last == null ? "model" : last.toString();
        return name.replaceFirst("(-\\d{5}-of-\\d{5})?\\.gguf$", "");
    }

    @Override
    public ModelConfig config() {
        return config;
    }

    @Override
    public GenerationConfig generationConfig() {
        return model.generationConfig();
    }

    @Override
    public synchronized WeightStore weights() {
        checkOpen();
        return model.weights();
    }

    @Override
    public synchronized Tokenizer tokenizer() {
        checkOpen();
        return Tokenizer.fromGguf(model.file().metadata());
    }

    @Override
    public synchronized String chatTemplate() {
        checkOpen();
        return model.chatTemplate()
                .orElseThrow(
                        () ->
                                new ModelDirectoryException(
                                        path, TEMPLATE, "is missing from the metadata"));
    }

    @Override
    public synchronized String digest() {
        checkOpen();
        return ModelDigest.of(config.text(), model.file());
    }

    /// In the form of a release. A file without a vocabulary has no tokenizer here, either.
    @Override
    public synchronized Map<String, byte[]> texts() {
        checkOpen();
        Map<String, byte[]> texts = new TreeMap<>();
        texts.put("config.json", ConfigWriter.config(config.text()));
        texts.put("generation_config.json", ConfigWriter.generation(generationConfig()));
        if (model.file().metadata().contains("tokenizer.ggml.tokens")) {
            texts.put(
                    "tokenizer.json",
                    GgufVocabulary.of(model.file().metadata())
                            .tokenizerJson()
                            .getBytes(StandardCharsets.UTF_8));
        }
        model.chatTemplate()
                .ifPresent(
                        template ->
                                texts.put(
                                        "chat_template.jinja",
                                        template.getBytes(StandardCharsets.UTF_8)));
        return texts;
    }

    private void checkOpen() {
        if (closed) {
            throw new IllegalStateException("model is closed: " + path);
        }
    }

    @Override
    public synchronized void close() {
        if (!closed) {
            closed = true;
            model.close();
        }
    }
}
