package io.atoll.model.config;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.atoll.model.DemoModel;
import io.atoll.model.Seeds;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class ModelConfigTest {
    private static final JsonMapper MAPPER = new JsonMapper();

    @TempDir Path directory;
    private ObjectNode root;

    @BeforeEach
    void readDemoConfig() throws IOException {
        root = (ObjectNode) MAPPER.readTree(DemoModel.path().resolve("config.json").toFile());
    }

    @Test
    void demoModelIsReadAsReleased() {
        ModelConfig config = ModelConfig.read(DemoModel.path().resolve("config.json"));
        TextConfig text = config.text();
        assertEquals("Qwen3_5MoeForConditionalGeneration", config.architecture());
        assertEquals(2048, text.vocabSize());
        assertEquals(256, text.hiddenSize());
        assertEquals(8, text.layerCount());
        assertEquals(LayerType.LINEAR_ATTENTION, text.layers().get(2));
        assertEquals(LayerType.FULL_ATTENTION, text.layers().get(3));
        assertEquals(2, text.queryHeadsPerKeyValueHead());
        assertEquals(4, text.valueHeadsPerKeyHead());
        assertEquals(64, text.linearKeyDim());
        assertEquals(256, text.linearValueDim());
        assertEquals(384, text.convDim());
        assertEquals(16, text.rotaryDim());
        assertEquals(32, text.experts());
        assertEquals(4, text.expertsPerToken());
        assertEquals(1e-6f, text.rmsNormEps());
        assertEquals(8192, text.contextLength());
        assertEquals(1, text.mtpLayers());
        assertEquals(List.of(2016), text.eosTokenIds());
        assertFalse(config.tieWordEmbeddings());
        assertEquals(
                Optional.of(new VisionConfig(2, 64, 128, 4, 3, 16, 2, 2, 64, 256)),
                config.vision());
        assertEquals(Optional.of(new VisionTokens(2028, 2029, 2025, 2026)), config.visionTokens());
        assertEquals(8, config.vision().orElseThrow().positionGridSide());
        assertEquals(1536, config.vision().orElseThrow().patchValues());
    }

    @Test
    void textOnlyExportHasItsFieldsAtTheTop() throws IOException {
        ObjectNode text = text();
        text.putArray("architectures").add("Qwen3_5MoeForCausalLM");
        text.put("tie_word_embeddings", true);
        ModelConfig config = ModelConfig.read(write(text));
        assertEquals(256, config.text().hiddenSize());
        assertTrue(config.tieWordEmbeddings());
        assertEquals(Optional.empty(), config.vision());
    }

    @Test
    void modelWithoutVisionConfigIsTextOnly() throws IOException {
        root.remove("vision_config");
        assertEquals(Optional.empty(), ModelConfig.read(write(root)).visionTokens());
    }

    @Test
    void topLevelDecidesWhetherEmbeddingsAreTied() throws IOException {
        root.put("tie_word_embeddings", true);
        text().put("tie_word_embeddings", false);
        assertTrue(ModelConfig.read(write(root)).tieWordEmbeddings());
    }

    @Test
    void intervalPlacesFullAttentionWhereTypesAreNotListed() throws IOException {
        List<LayerType> listed = ModelConfig.read(write(root)).text().layers();
        text().remove("layer_types");
        assertEquals(listed, ModelConfig.read(write(root)).text().layers());
    }

    @Test
    void olderRopeFieldsMeanTheSame() throws IOException {
        RopeParameters nested = ModelConfig.read(write(root)).text().rope();
        ObjectNode rope = (ObjectNode) text().remove("rope_parameters");
        text().put("rope_theta", 1_000_000);
        text().set("mrope_section", rope.get("mrope_section"));
        assertEquals(nested, ModelConfig.read(write(root)).text().rope());

        ObjectNode scaling = text().putObject("rope_scaling");
        scaling.put("type", "yarn")
                .put("factor", 4.0)
                .set("mrope_section", rope.get("mrope_section"));
        assertEquals(nested.withYarn(4), ModelConfig.read(write(root)).text().rope());
        assertEquals(4 * 8192, ModelConfig.read(write(root)).text().contextLength());
    }

    @Test
    void absentNormTopkProbMeansTrue() throws IOException {
        text().put("norm_topk_prob", true);
        TextConfig present = ModelConfig.read(write(root)).text();
        text().remove("norm_topk_prob");
        assertEquals(present, ModelConfig.read(write(root)).text());
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "architectures | [\"Qwen3_5ForConditionalGeneration\"] |"
                        + " Qwen3_5ForConditionalGeneration",
                "architectures | \"Qwen3_5MoeForConditionalGeneration\" | list of strings",
                "model_type | \"qwen3_next\" | qwen3_next",
                "text_config | 3 | an object, found 3",
                "text_config.model_type | \"qwen3_moe\" | qwen3_moe",
                "text_config.hidden_act | \"gelu\" | gelu",
                "text_config.attention_bias | true | found true",
                "text_config.attn_output_gate | false | found false",
                "text_config.norm_topk_prob | false | found false",
                "text_config.mtp_use_dedicated_embeddings | true | found true",
                "text_config.mlp_only_layers | [0] | found [0]",
                "text_config.decoder_sparse_step | 2 | found 2",
                "text_config.hidden_size | 0 | found 0",
                "text_config.hidden_size | -256 | found -256",
                "text_config.hidden_size | 1000000000 | found 1000000000",
                "text_config.hidden_size | 99999999999999999999 | found 99999999999999999999",
                "text_config.hidden_size | 256.5 | found 256.5",
                "text_config.hidden_size | \"256\" | found \"256\"",
                "text_config.vocab_size | null | is missing",
                "text_config.num_hidden_layers | 9 | num_hidden_layers = 9",
                "text_config.layer_types | [\"linear_attention\", 1] | list of strings",
                "text_config.num_attention_heads | 5 | multiple of num_key_value_heads = 2, found"
                        + " 5",
                "text_config.linear_num_value_heads | 7 | multiple of linear_num_key_heads = 2,"
                        + " found 7",
                "text_config.num_experts_per_tok | 33 | found 33",
                "text_config.rms_norm_eps | 0 | found 0",
                "text_config.rms_norm_eps | \"tiny\" | found \"tiny\"",
                "text_config.eos_token_id | 2048 | found 2048",
                "text_config.rope_parameters.rope_type | \"longrope\" | longrope",
                "text_config.rope_parameters.rope_theta | 1 | found 1",
                "text_config.rope_parameters.partial_rotary_factor | 0.3 | found 0.3",
                "text_config.rope_parameters.mrope_section | [3, 3, 3] | add up to 8",
                "text_config.rope_parameters.mrope_section | [4, 4] | [4, 4]",
                "text_config.rope_parameters.mrope_interleaved | false | found false",
                "vision_config.hidden_act | \"silu\" | silu",
                "vision_config.num_heads | 5 | found 5",
                "vision_config.num_position_embeddings | 63 | found 63",
                "vision_config.out_hidden_size | 128 | found 128",
                "vision_config.deepstack_visual_indexes | [8] | found [8]",
                "image_token_id | 2048 | found 2048",
            })
    void refusalNamesFileFieldAndValue(String field, String value, String message)
            throws IOException {
        JsonNode parsed = MAPPER.readTree(value);
        int dot = field.lastIndexOf('.');
        ObjectNode parent =
                (ObjectNode)
                        (dot < 0 ? root : root.at("/" + field.substring(0, dot).replace('.', '/')));
        parent.set(field.substring(dot + 1), parsed);
        if (field.endsWith("num_hidden_layers")) {
            field = "text_config.layer_types"; // whose length then disagrees
        }
        Path file = write(root);
        ConfigException refusal = assertThrows(ConfigException.class, () -> ModelConfig.read(file));
        assertEquals(file, refusal.file());
        assertEquals(field, refusal.where());
        assertTrue(refusal.getMessage().contains(message), refusal.getMessage());
    }

    @ParameterizedTest
    @ValueSource(
            strings = {"", "[]", "null", "{\"a\": 1", "{\"a\": 1, \"a\": 2}", "{} {}", "\u0000"})
    void damagedFileIsRefused(String content) throws IOException {
        Path file = directory.resolve("config.json");
        Files.writeString(file, content);
        assertThrows(ConfigException.class, () -> ModelConfig.read(file));
    }

    @Test
    void missingFileIsNamed() {
        Path file = directory.resolve("config.json");
        ConfigException refusal = assertThrows(ConfigException.class, () -> ModelConfig.read(file));
        assertTrue(
                refusal.getMessage().contains(file + ": file: is missing"), refusal.getMessage());
    }

    @Test
    void randomDamageGivesOnlyTypedErrors() throws IOException {
        byte[] sound = Files.readAllBytes(DemoModel.path().resolve("config.json"));
        Path file = directory.resolve("config.json");
        Seeds.forAll(
                500,
                random -> {
                    byte[] damaged = sound.clone();
                    for (int i = random.nextInt(1, 4); i > 0; i--) {
                        byte[] bytes = "0123456789-e.,:[]{}\"tnx".getBytes(StandardCharsets.UTF_8);
                        damaged[random.nextInt(damaged.length)] =
                                bytes[random.nextInt(bytes.length)];
                    }
                    try {
                        Files.write(file, damaged);
                        ModelConfig.read(file);
                    } catch (ConfigException expected) {
                        assertEquals(file, expected.file());
                    } catch (IOException e) {
                        throw new AssertionError(e);
                    }
                });
    }

    private ObjectNode text() {
        return (ObjectNode) root.get("text_config");
    }

    private Path write(JsonNode content) throws IOException {
        Path file = directory.resolve("config.json");
        Files.writeString(file, content.toString());
        return file;
    }
}
