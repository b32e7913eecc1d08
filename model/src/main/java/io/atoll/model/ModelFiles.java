package io.atoll.model;

import io.atoll.model.config.GenerationConfig;
import io.atoll.model.config.ModelConfig;
import io.atoll.model.quant.WeightStore;
import io.atoll.model.tokenizer.Tokenizer;
import java.util.Map;

/// One layout of a model on disk: what [ModelDirectory] needs of it. Owns its mapped files.
interface ModelFiles extends AutoCloseable {
    /// The name people would give it, from its path.
    String name();

    ModelConfig config();

    GenerationConfig generationConfig();

    WeightStore weights();

    Tokenizer tokenizer();

    String chatTemplate();

    String digest();

    /// The small files of a release (configuration, tokenizer, template) by their names, or the same in that form.
    Map<String, byte[]> texts();

    @Override
    void close();
}
