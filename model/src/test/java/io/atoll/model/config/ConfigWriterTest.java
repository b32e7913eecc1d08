package io.atoll.model.config;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.atoll.model.DemoModel;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.OptionalDouble;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ConfigWriterTest {
    @TempDir private Path directory;

    private void assertComesBack(TextConfig config) throws IOException {
        Path file = Files.write(directory.resolve("config.json"), ConfigWriter.config(config));
        assertEquals(config, ModelConfig.read(file).text());
    }

    @Test
    void whatIsWrittenIsReadAsTheSame() throws IOException {
        TextConfig demo = ModelConfig.read(DemoModel.path().resolve("config.json")).text();
        assertComesBack(demo);
        assertComesBack(demo.withRope(demo.rope().withYarn(4)));
        RopeParameters rope = demo.rope();
        assertComesBack(
                demo.withRope(
                        new RopeParameters(
                                RopeParameters.Type.YARN,
                                12_345.678,
                                rope.partialRotaryFactor(),
                                rope.mropeSection(),
                                true,
                                3.3,
                                777,
                                31,
                                1.5,
                                OptionalDouble.of(1.25))));
    }

    @Test
    void generationConfigComesBack() throws IOException {
        TextConfig demo = ModelConfig.read(DemoModel.path().resolve("config.json")).text();
        for (GenerationConfig each :
                List.of(
                        new GenerationConfig(Set.of(7, 3), 0.6, 0.95, 20, true),
                        new GenerationConfig(Set.of(1), 0, 1, 0, false))) {
            Path file =
                    Files.write(
                            directory.resolve("generation_config.json"),
                            ConfigWriter.generation(each));
            assertEquals(each, GenerationConfig.read(file, demo));
        }
    }
}
