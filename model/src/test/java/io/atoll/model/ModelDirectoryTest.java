package io.atoll.model;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.atoll.model.checkpoint.Checkpoint;
import io.atoll.model.checkpoint.CheckpointException;
import io.atoll.model.checkpoint.SafetensorsWriter;
import io.atoll.model.checkpoint.Tensor;
import io.atoll.model.config.ConfigException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ModelDirectoryTest {
    @TempDir Path directory;

    @Test
    void demoModelOpens() {
        try (ModelDirectory model = ModelDirectory.open(DemoModel.path())) {
            assertEquals("demo-model", model.name());
            assertEquals(256, model.config().text().hiddenSize());
            assertEquals(20, model.generationConfig().topK());
            assertSame(model.checkpoint(), model.checkpoint());
            assertEquals(256, model.textWeights().finalNorm().elements());
            assertTrue(model.chatTemplate().contains("im_start"));
            assertTrue(Files.exists(model.tokenizerFile()));
            assertTrue(model.modelDigest().matches("[0-9a-f]{64}"), model.modelDigest());
        }
    }

    @Test
    void whatIsMissingIsNamedWhenItIsAskedFor() {
        DemoModel.copy(directory, "config.json");
        try (ModelDirectory model = ModelDirectory.open(directory)) {
            assertThrows(CheckpointException.class, model::checkpoint);
            ModelDirectoryException tokenizer =
                    assertThrows(ModelDirectoryException.class, model::tokenizerFile);
            assertEquals(directory + ": tokenizer.json: is missing", tokenizer.getMessage());
            ModelDirectoryException template =
                    assertThrows(ModelDirectoryException.class, model::chatTemplate);
            assertEquals("chat_template.jinja", template.where());
        }
    }

    @Test
    void directoryWithoutConfigIsRefused() {
        ConfigException refusal =
                assertThrows(ConfigException.class, () -> ModelDirectory.open(directory));
        assertEquals(directory.resolve("config.json"), refusal.file());
        Path absent = directory.resolve("absent");
        assertThrows(ModelDirectoryException.class, () -> ModelDirectory.open(absent));
    }

    @Test
    void chatTemplateMayStandInTheTokenizerConfig() throws IOException {
        DemoModel.copy(directory, "config.json");
        Path file = directory.resolve("tokenizer_config.json");
        try (ModelDirectory model = ModelDirectory.open(directory)) {
            Files.writeString(file, "{\"chat_template\": \"{{ messages }}\"}");
            assertEquals("{{ messages }}", model.chatTemplate());
            Files.writeString(file, "{\"chat_template\": [1]}");
            assertThrows(ModelDirectoryException.class, model::chatTemplate);
            Files.writeString(file, "{\"chat_template\"");
            assertThrows(ModelDirectoryException.class, model::chatTemplate);
            Files.writeString(directory.resolve("chat_template.jinja"), "its own file wins");
            assertEquals("its own file wins", model.chatTemplate());
        }
    }

    @Test
    void digestIsTheSameHoweverTensorsAreSpreadOverFiles() throws IOException {
        try (ModelDirectory demo = ModelDirectory.open(DemoModel.path())) {
            DemoModel.copy(directory, "config.json");
            writeOneFile(demo.checkpoint(), "", "");
            assertEquals(demo.modelDigest(), digest(directory));
        }
    }

    @Test
    void digestIgnoresTheVisionTower() throws IOException {
        try (ModelDirectory demo = ModelDirectory.open(DemoModel.path())) {
            DemoModel.copy(directory, "config.json");
            writeOneFile(demo.checkpoint(), "", "model.visual.");
            assertEquals(demo.modelDigest(), digest(directory));
        }
    }

    @Test
    void digestChangesWithAWeightItsNameOrTheConfiguration() throws IOException {
        try (ModelDirectory demo = ModelDirectory.open(DemoModel.path())) {
            String original = demo.modelDigest();
            DemoModel.copy(directory, "config.json");
            writeOneFile(demo.checkpoint(), "model.language_model.norm.weight", "");
            assertNotEquals(original, digest(directory));
            writeOneFile(demo.checkpoint(), "", "mtp.norm.weight");
            assertNotEquals(original, digest(directory));

            writeOneFile(demo.checkpoint(), "", "");
            Path config = directory.resolve("config.json");
            Files.writeString(
                    config,
                    Files.readString(config)
                            .replace("\"rms_norm_eps\": 1e-06", "\"rms_norm_eps\": 1e-05"));
            assertNotEquals(original, digest(directory));
        }
    }

    @Test
    void closedDirectoryOpensNoWeights() {
        ModelDirectory model = ModelDirectory.open(DemoModel.path());
        model.close();
        model.close();
        assertThrows(IllegalStateException.class, model::checkpoint);
    }

    private static String digest(Path path) {
        try (ModelDirectory model = ModelDirectory.open(path)) {
            return model.modelDigest();
        }
    }

    /// Writes all tensors as one file, one of them zeroed, those with a prefix left out; empty strings mean none.
    private void writeOneFile(Checkpoint source, String zeroed, String leftOut) throws IOException {
        SafetensorsWriter writer = new SafetensorsWriter();
        for (String name : source.names().reversed()) {
            Tensor tensor = source.require(name);
            if (!leftOut.isEmpty() && name.startsWith(leftOut)) {
                continue;
            }
            if (name.equals(zeroed)) {
                writer.addBf16(name, tensor.shape(), new float[(int) tensor.elements()]);
            } else {
                writer.add(name, tensor.dtype(), tensor.shape(), tensor.data());
            }
        }
        writer.write(directory.resolve("model.safetensors"));
    }
}
