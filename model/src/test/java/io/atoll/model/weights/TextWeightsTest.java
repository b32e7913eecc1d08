package io.atoll.model.weights;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.atoll.model.DemoModel;
import io.atoll.model.checkpoint.Checkpoint;
import io.atoll.model.checkpoint.CheckpointException;
import io.atoll.model.checkpoint.DType;
import io.atoll.model.checkpoint.SafetensorsWriter;
import io.atoll.model.checkpoint.Tensor;
import io.atoll.model.config.ModelConfig;
import io.atoll.model.config.TextConfig;
import io.atoll.model.quant.CheckpointWeights;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class TextWeightsTest {
    private static final TextConfig CONFIG =
            ModelConfig.read(DemoModel.path().resolve("config.json")).text();

    @TempDir Path directory;

    @Test
    void everyWeightOfTheDemoModelIsFound() {
        try (Checkpoint checkpoint = Checkpoint.open(DemoModel.path())) {
            TextWeights weights = weights(checkpoint);
            assertEquals("model.language_model.embed_tokens.weight", weights.embedding().name());
            assertEquals("lm_head.weight", weights.lmHead().name());
            assertEquals(256, weights.finalNorm().elements());
            for (int layer = 0; layer < CONFIG.layerCount(); layer++) {
                switch (weights.layer(layer).mixer()) {
                    case MixerWeights.Attention attention -> {
                        assertEquals(3, layer % 4);
                        assertEquals(512, attention.query().rows());
                        assertEquals(256, attention.query().cols());
                    }
                    case MixerWeights.DeltaNet deltaNet -> {
                        assertTrue(layer % 4 != 3);
                        assertArrayEquals(new long[] {384, 1, 4}, deltaNet.conv().shape());
                        assertEquals(DType.F32, deltaNet.decayLog().dtype());
                    }
                }
                weights.expert(layer, CONFIG.experts() - 1);
            }
            MtpWeights mtp = weights.mtp().orElseThrow();
            assertEquals(256, mtp.projection().rows());
            assertEquals(512, mtp.projection().cols());
            assertInstanceOf(MixerWeights.Attention.class, mtp.layers().getFirst().mixer());
            assertEquals(
                    "mtp.layers.0.mlp.experts.5.up_proj.weight", weights.expert(8, 5).up().name());
        }
    }

    @Test
    void fusedAndSeparateExpertsGiveTheSameWeights() throws IOException {
        try (Checkpoint fused = Checkpoint.open(DemoModel.path())) {
            SafetensorsWriter writer = new SafetensorsWriter();
            addRenamed(writer, fused, "model.language_model.embed_tokens.weight", name -> name);
            ExpertWeights expected = weights(fused).expert(2, 7);
            String prefix = "model.language_model.layers.2.mlp.experts.7.";
            add(writer, prefix + "gate_proj.weight", expected.gate().plain().orElseThrow());
            add(writer, prefix + "up_proj.weight", expected.up().plain().orElseThrow());
            add(writer, prefix + "down_proj.weight", expected.down().plain().orElseThrow());
            writer.write(directory.resolve("model.safetensors"));

            // By hand: expert 7's slab of [32, 64, 256] has 32 gate rows, then 32 up rows.
            float[] slab = new float[64 * 256];
            fused.require("model.language_model.layers.2.mlp.experts.gate_up_proj")
                    .floats(7 * 64 * 256, slab, 0, slab.length);
            float[] gate = expected.gate().floats();
            float[] up = expected.up().floats();
            assertEquals(slab[0], gate[0]);
            assertEquals(slab[32 * 256 - 1], gate[gate.length - 1]);
            assertEquals(slab[32 * 256], up[0]);

            try (Checkpoint separate = Checkpoint.open(directory)) {
                ExpertWeights found = weights(separate).expert(2, 7);
                assertArrayEquals(gate, found.gate().floats());
                assertArrayEquals(up, found.up().floats());
                assertArrayEquals(expected.down().floats(), found.down().floats());
            }
        }
    }

    @Test
    void textOnlyNamesAreRecognised() throws IOException {
        try (Checkpoint demo = Checkpoint.open(DemoModel.path())) {
            SafetensorsWriter writer = new SafetensorsWriter();
            for (String name : demo.names()) {
                if (name.startsWith("model.language_model.")) {
                    addRenamed(
                            writer,
                            demo,
                            name,
                            old -> old.replace("model.language_model.", "model."));
                }
            }
            writer.write(directory.resolve("model.safetensors"));
            try (Checkpoint textOnly = Checkpoint.open(directory)) {
                TextWeights weights = weights(textOnly);
                assertEquals(
                        "model.layers.0.input_layernorm.weight",
                        weights.layer(0).inputNorm().name());
                assertEquals(Optional.empty(), weights.mtp());
                CheckpointException head = assertThrows(CheckpointException.class, weights::lmHead);
                assertEquals("lm_head.weight", head.where());
            }
        }
    }

    @Test
    void tiedModelUsesTheEmbeddingAsItsHead() throws IOException {
        ObjectNode root =
                (ObjectNode)
                        new JsonMapper().readTree(DemoModel.path().resolve("config.json").toFile());
        Path file = directory.resolve("config.json");
        Files.writeString(file, root.put("tie_word_embeddings", true).toString());
        try (Checkpoint checkpoint = Checkpoint.open(DemoModel.path())) {
            TextWeights weights =
                    new TextWeights(
                            new CheckpointWeights(checkpoint, Optional.empty()),
                            ModelConfig.read(file).text());
            assertEquals(weights.embedding().name(), weights.lmHead().name());
        }
    }

    @ParameterizedTest
    @CsvSource({
        "model.language_model.layers.0.input_layernorm.weight, 0",
        "model.language_model.layers.0.post_attention_layernorm.weight, 0",
        "model.language_model.layers.0.linear_attn.A_log, 0",
        "model.language_model.layers.0.linear_attn.dt_bias, 0",
        "model.language_model.layers.0.linear_attn.norm.weight, 0",
        "model.language_model.layers.0.linear_attn.conv1d.weight, 0",
        "model.language_model.layers.0.linear_attn.in_proj_qkv.weight, 0",
        "model.language_model.layers.0.linear_attn.in_proj_z.weight, 0",
        "model.language_model.layers.0.linear_attn.in_proj_a.weight, 0",
        "model.language_model.layers.0.linear_attn.in_proj_b.weight, 0",
        "model.language_model.layers.0.linear_attn.out_proj.weight, 0",
        "model.language_model.layers.0.mlp.gate.weight, 0",
        "model.language_model.layers.0.mlp.shared_expert.gate_proj.weight, 0",
        "model.language_model.layers.0.mlp.shared_expert.up_proj.weight, 0",
        "model.language_model.layers.0.mlp.shared_expert.down_proj.weight, 0",
        "model.language_model.layers.0.mlp.shared_expert_gate.weight, 0",
        "model.language_model.layers.3.self_attn.q_proj.weight, 3",
        "model.language_model.layers.3.self_attn.k_proj.weight, 3",
        "model.language_model.layers.3.self_attn.v_proj.weight, 3",
        "model.language_model.layers.3.self_attn.o_proj.weight, 3",
        "model.language_model.layers.3.self_attn.q_norm.weight, 3",
        "model.language_model.layers.3.self_attn.k_norm.weight, 3",
    })
    void wrongShapeOrTypeOfADenseWeightIsNamed(String name, int layer) throws IOException {
        try (Checkpoint demo = Checkpoint.open(DemoModel.path())) {
            for (boolean wrongShape : new boolean[] {true, false}) {
                SafetensorsWriter writer = new SafetensorsWriter();
                for (String other : demo.names()) {
                    boolean needed =
                            other.contains("layers." + layer + ".")
                                    || other.contains("embed_tokens");
                    if (!other.equals(name) && needed && !other.contains("experts")) {
                        addRenamed(writer, demo, other, same -> same);
                    }
                }
                long[] shape = demo.require(name).shape();
                if (wrongShape) {
                    shape[0]++;
                }
                long elements = 1;
                for (long size : shape) {
                    elements *= size;
                }
                DType dtype = wrongShape ? DType.BF16 : DType.F8_E4M3;
                writer.add(
                        name,
                        dtype,
                        shape,
                        MemorySegment.ofArray(new byte[(int) elements * dtype.bytes()]));
                Path file = directory.resolve("model.safetensors");
                writer.write(file);
                try (Checkpoint damaged = Checkpoint.open(directory)) {
                    TextWeights weights = weights(damaged);
                    CheckpointException refusal =
                            assertThrows(CheckpointException.class, () -> weights.layer(layer));
                    assertEquals(name, refusal.where());
                    assertEquals(file, refusal.file());
                    assertTrue(
                            refusal.getMessage().contains(wrongShape ? "expected " : "F8_E4M3"),
                            refusal.getMessage());
                }
            }
        }
    }

    @Test
    void wrongShapeOfAFusedExpertTensorIsNamed() throws IOException {
        String name = "model.language_model.layers.0.mlp.experts.gate_up_proj";
        try (Checkpoint demo = Checkpoint.open(DemoModel.path())) {
            SafetensorsWriter writer = new SafetensorsWriter();
            addRenamed(writer, demo, "model.language_model.embed_tokens.weight", same -> same);
            addRenamed(
                    writer,
                    demo,
                    "model.language_model.layers.0.mlp.experts.down_proj",
                    same -> same);
            writer.addBf16(
                    name,
                    new long[] {32, 256, 64},
                    new float[32 * 256 * 64]); // [E, H, 2I]: transposed
            writer.write(directory.resolve("model.safetensors"));
        }
        try (Checkpoint damaged = Checkpoint.open(directory)) {
            TextWeights weights = weights(damaged);
            CheckpointException refusal =
                    assertThrows(CheckpointException.class, () -> weights.expert(0, 0));
            assertTrue(refusal.where().startsWith(name), refusal.where());
            assertTrue(
                    refusal.getMessage().contains("expected a matrix [32, 256], found [128, 64]"),
                    refusal.getMessage());
        }
    }

    @Test
    void indexOutOfRangeIsTheCallersFault() {
        try (Checkpoint checkpoint = Checkpoint.open(DemoModel.path())) {
            TextWeights weights = weights(checkpoint);
            assertThrows(IndexOutOfBoundsException.class, () -> weights.layer(9));
            assertThrows(IndexOutOfBoundsException.class, () -> weights.expert(0, 32));
            assertThrows(IndexOutOfBoundsException.class, () -> weights.expert(-1, 0));
        }
    }

    @Test
    void checkpointOfAnotherModelIsRefused() throws IOException {
        new SafetensorsWriter()
                .addF32("transformer.wte.weight", new long[] {1}, new float[1])
                .write(directory.resolve("model.safetensors"));
        try (Checkpoint checkpoint = Checkpoint.open(directory)) {
            CheckpointException refusal =
                    assertThrows(CheckpointException.class, () -> weights(checkpoint));
            assertEquals("embed_tokens.weight", refusal.where());
        }
    }

    private static TextWeights weights(Checkpoint checkpoint) {
        return new TextWeights(new CheckpointWeights(checkpoint, Optional.empty()), CONFIG);
    }

    private static void addRenamed(
            SafetensorsWriter writer,
            Checkpoint source,
            String name,
            UnaryOperator<String> rename) {
        add(writer, rename.apply(name), source.require(name));
    }

    private static void add(SafetensorsWriter writer, String name, Tensor tensor) {
        writer.add(name, tensor.dtype(), tensor.shape(), tensor.data());
    }
}
