package io.atoll.model;

import io.atoll.model.config.GenerationConfig;
import io.atoll.model.config.ModelConfig;
import io.atoll.model.pack.PackWeights;
import io.atoll.model.tokenizer.Tokenizer;
import java.nio.file.Path;
import java.util.Map;

/// A pack: the small files of a release beside weights in the kernels' layout. Every file is checked before it is read.
final class PackFiles implements ModelFiles {
    private static final String GENERATION = "generation_config.json";

    private final PackWeights pack;
    private final ReleaseFiles texts;

    PackFiles(Path path) {
        pack = PackWeights.open(path);
        try {
            pack.text("config.json");
            if (pack.hasText(GENERATION)) {
                pack.text(GENERATION);
            }
            texts = new ReleaseFiles(path);
        } catch (RuntimeException e) {
            pack.close();
            throw e;
        }
    }

    @Override
    public String name() {
        return texts.name();
    }

    @Override
    public ModelConfig config() {
        return texts.config();
    }

    @Override
    public GenerationConfig generationConfig() {
        return texts.generationConfig();
    }

    @Override
    public PackWeights weights() {
        return pack;
    }

    @Override
    public Tokenizer tokenizer() {
        return Tokenizer.load(pack.text("tokenizer.json"));
    }

    @Override
    public String chatTemplate() {
        for (String name : ReleaseFiles.TEMPLATES) {
            if (pack.hasText(name)) {
                pack.text(name);
            }
        }
        return texts.chatTemplate();
    }

    /// That of the model that was packed, so that nodes with the one work with nodes that have the other.
    @Override
    public String digest() {
        return pack.modelDigest();
    }

    @Override
    public Map<String, byte[]> texts() {
        return texts.texts();
    }

    @Override
    public void close() {
        texts.close();
        pack.close();
    }
}
