package io.atoll.model.config;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.atoll.model.DemoModel;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class GenerationConfigTest {
    private static final TextConfig TEXT =
            ModelConfig.read(DemoModel.path().resolve("config.json")).text();

    @TempDir Path directory;

    @Test
    void demoModelStopsAtBothItsEndTokens() {
        assertEquals(
                new GenerationConfig(Set.of(2018, 2016), 1.0, 0.95, 20, true),
                GenerationConfig.read(DemoModel.path().resolve("generation_config.json"), TEXT));
    }

    @Test
    void missingFileStopsAtTheIdOfTheModelConfigAndSamplesPlainly() {
        assertEquals(
                new GenerationConfig(Set.of(2016), 1, 1, 0, true),
                GenerationConfig.read(directory.resolve("generation_config.json"), TEXT));
    }

    @Test
    void absentFieldsAreNeutralAndAnEndTokenMayStandAlone() throws IOException {
        assertEquals(
                new GenerationConfig(Set.of(7), 1, 1, 0, true),
                read("{\"eos_token_id\": 7, \"top_k\": null}"));
        assertEquals(
                new GenerationConfig(Set.of(2016), 1, 1, 0, false), read("{\"do_sample\": false}"));
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "eos_token_id | 2048",
                "eos_token_id | [1, -1]",
                "eos_token_id | \"im_end\"",
                "temperature | -0.5",
                "temperature | \"warm\"",
                "top_p | 0",
                "top_p | 1.5",
                "top_k | -1",
                "top_k | 1.5",
                "do_sample | 1",
            })
    void badValueIsNamed(String field, String value) {
        ConfigException refusal =
                assertThrows(
                        ConfigException.class, () -> read("{\"" + field + "\": " + value + "}"));
        assertEquals(field, refusal.where());
        assertTrue(refusal.getMessage().contains("found "), refusal.getMessage());
    }

    private GenerationConfig read(String content) throws IOException {
        Path file = directory.resolve("generation_config.json");
        Files.writeString(file, content);
        return GenerationConfig.read(file, TEXT);
    }
}
