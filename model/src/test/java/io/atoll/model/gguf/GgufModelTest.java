package io.atoll.model.gguf;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.atoll.model.Seeds;
import io.atoll.model.checkpoint.DType;
import io.atoll.model.config.LayerType;
import io.atoll.model.config.RopeParameters;
import io.atoll.model.config.TextConfig;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Random;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class GgufModelTest {
    private static final String P = "qwen35moe.";

    @TempDir Path directory;

    @Test
    void everyWeightComesBackAsTheReleaseHasIt() {
        Seeds.forAll(
                8,
                random -> {
                    TinyGguf tiny =
                            new TinyGguf(
                                    random,
                                    random.nextBoolean(),
                                    random.nextBoolean(),
                                    random.nextBoolean());
                    GgufBuilder file =
                            tiny.tensors(tiny.metadata().u32(P + "full_attention_interval", 2));
                    try (GgufModel model = GgufModel.open(write(file))) {
                        tiny.release.forEach(
                                (name, expected) -> check(model, tiny, name, expected));
                    }
                });
    }

    private static void check(GgufModel model, TinyGguf tiny, String name, float[] expected) {
        assertTrue(model.weights().contains(name), name);
        long[] shape = tiny.shapes.get(name);
        if (shape.length == 2) {
            float[] found = model.weights().matrix(name, (int) shape[0], (int) shape[1]).floats();
            assertArrayEquals(expected, found, name);
            return;
        }
        float[] found = model.weights().tensor(name, shape).floats();
        boolean zeroCentred = name.endsWith("norm.weight") && !name.contains("linear_attn");
        for (int i = 0; i < expected.length; i++) {
            // What the forward pass makes of these two kinds is what must have the same bits.
            if (zeroCentred) {
                assertEquals(1 + expected[i], 1 + found[i], name);
            } else if (name.endsWith("A_log")) {
                assertEquals((float) Math.exp(expected[i]), (float) Math.exp(found[i]), name);
            } else {
                assertEquals(expected[i], found[i], name);
            }
        }
    }

    @Test
    void theConfigurationIsReadFromTheMetadata() throws IOException {
        TinyGguf tiny = new TinyGguf(new Random(1), false, true, true);
        GgufBuilder file =
                tiny.metadata()
                        .u32(P + "full_attention_interval", 2)
                        .string("general.name", "tiny")
                        .integer("general.sampling.top_k", GgufBuilder.I32, 20)
                        .f32("general.sampling.top_p", 0.95f)
                        .u32("tokenizer.ggml.eos_token_id", 2)
                        .strings("tokenizer.ggml.tokens", "a", "<|endoftext|>", "<|im_end|>", "b")
                        .string("tokenizer.chat_template", "{{ messages }}");
        try (GgufModel model = GgufModel.open(write(tiny.tensors(file)))) {
            TextConfig expected =
                    new TextConfig(
                            TinyGguf.VOCABULARY,
                            TinyGguf.HIDDEN,
                            List.of(LayerType.LINEAR_ATTENTION, LayerType.FULL_ATTENTION),
                            2,
                            1,
                            8,
                            2,
                            6,
                            4,
                            4,
                            3,
                            3,
                            2,
                            2,
                            4,
                            1e-6f,
                            64,
                            RopeParameters.plain(1e7, 0.5, List.of(1, 1, 0), 64),
                            1,
                            false,
                            List.of(2, 1));
            assertEquals(expected, model.config());
            assertEquals("tiny", model.name());
            assertEquals(Set.of(1, 2), model.generationConfig().eosTokenIds());
            assertEquals(0.95, model.generationConfig().topP());
            assertEquals(20, model.generationConfig().topK());
            assertEquals("{{ messages }}", model.chatTemplate().orElseThrow());
        }
    }

    @Test
    void flagsOfRecurrentLayersOverrideTheInterval() throws IOException {
        TinyGguf tiny = new TinyGguf(new Random(2), false, false, true);
        GgufBuilder file =
                tiny.metadata()
                        .u32(P + "full_attention_interval", 1)
                        .integers(P + "attention.recurrent_layers", GgufBuilder.BOOL, 1, 1, 0, 0);
        try (GgufModel model = GgufModel.open(write(tiny.tensors(file)))) {
            assertEquals(
                    List.of(LayerType.LINEAR_ATTENTION, LayerType.FULL_ATTENTION),
                    model.config().layers());
        }
        GgufBuilder wrong =
                tiny.metadata().integers(P + "attention.recurrent_layers", GgufBuilder.BOOL, 1, 1);
        assertRefused(tiny.tensors(wrong), "recurrent_layers", "3 blocks", "found 1");
    }

    @Test
    void aFileWithoutOutputMatrixTiesIt() throws IOException {
        TinyGguf tiny = new TinyGguf(new Random(3), false, false, false);
        GgufBuilder file =
                tiny.metadata()
                        .u32(P + "full_attention_interval", 2)
                        .f32Tensor(
                                "token_embd.weight",
                                new float[TinyGguf.VOCABULARY * TinyGguf.HIDDEN],
                                TinyGguf.HIDDEN,
                                TinyGguf.VOCABULARY);
        try (GgufModel model = GgufModel.open(write(file))) {
            assertTrue(model.config().tieWordEmbeddings());
            assertFalse(model.weights().contains("lm_head.weight"));
            assertFalse(model.weights().contains("mtp.fc.weight"));
        }
    }

    @Test
    void otherArchitecturesAndProjectorsAreRefusedByName() throws IOException {
        assertRefused(
                new GgufBuilder().string("general.architecture", "llama"), "qwen35moe", "llama");
        GgufBuilder projector = new GgufBuilder().string("general.architecture", "clip");
        assertRefused(projector, "vision projector");
        try (GgufFile file = GgufFile.open(write(projector))) {
            assertTrue(GgufModel.isProjector(file));
        }
        assertRefused(new GgufBuilder(), "general.architecture", "missing");
    }

    @Test
    void missingAndImpossibleSizesAreRefusedWithTheirKey() {
        TinyGguf tiny = new TinyGguf(new Random(4), false, false, false);
        assertRefused(tiny.tensors(tiny.metadata()), P + "full_attention_interval", "missing");
        GgufBuilder linear =
                tiny.metadata()
                        .u32(P + "full_attention_interval", 2)
                        .string(P + "rope.scaling.type", "linear");
        assertRefused(tiny.tensors(linear), "rope.scaling.type", "linear");
    }

    @Test
    void weightsOfAnotherSizeOrNameAreRefused() throws IOException {
        TinyGguf tiny = new TinyGguf(new Random(5), false, false, false);
        GgufBuilder file = tiny.tensors(tiny.metadata().u32(P + "full_attention_interval", 2));
        try (GgufModel model = GgufModel.open(write(file))) {
            GgufWeights weights = model.weights();
            String expert = TinyGguf.TEXT + "layers.0.mlp.experts.";
            assertMessage(
                    () -> weights.matrix(expert + "3.up_proj.weight", 2, 8),
                    "ffn_up_exps",
                    "expert 3");
            assertMessage(
                    () -> weights.matrix(expert + "0.up_proj.weight", 4, 8),
                    "ffn_up_exps",
                    "[3, 4, 8]",
                    "[3, 2, 8]");
            assertMessage(
                    () -> weights.matrix(TinyGguf.TEXT + "layers.9.mlp.gate.weight", 3, 8),
                    "layers.9");
            assertMessage(
                    () -> weights.tensor(TinyGguf.TEXT + "norm.weight", 9), "output_norm", "[9]");
        }
    }

    /// Metadata or a tensor table with a byte changed gives a model or a [GgufException], and so does asking for its weights.
    @Test
    void damagedModelsAreRefusedAndNeverCrash() {
        TinyGguf tiny = new TinyGguf(new Random(6), true, true, true);
        byte[] good = tiny.tensors(tiny.metadata().u32(P + "full_attention_interval", 2)).toArray();
        int header = good.length - 4 * tiny.release.values().stream().mapToInt(v -> v.length).sum();
        Path file = directory.resolve("damaged.gguf");
        Seeds.forAll(
                300,
                random -> {
                    byte[] bytes = good.clone();
                    bytes[random.nextInt(header)] = (byte) random.nextInt(64);
                    try {
                        Files.write(file, bytes);
                    } catch (IOException e) {
                        throw new UncheckedIOException(e);
                    }
                    try (GgufModel model = GgufModel.open(file)) {
                        tiny.shapes.forEach((name, shape) -> decode(model.weights(), name, shape));
                    } catch (GgufException _) {
                        return;
                    }
                });
    }

    private static void decode(GgufWeights weights, String name, long[] shape) {
        if (shape.length == 2) {
            assertTrue(weights.matrix(name, (int) shape[0], (int) shape[1]).floats().length > 0);
        } else {
            assertTrue(weights.tensor(name, shape).floats().length > 0);
        }
    }

    /// For every bfloat16, and for many floats, `1 + (g - 1)` is `g` again when `g` is `1 + w`.
    @Test
    void normsGiveTheStoredBitsAgainWhenOneIsAdded() {
        for (int bits = 0; bits < 1 << 16; bits++) {
            checkNorm(DType.bf16ToFloat((short) bits));
        }
        Seeds.forAll(
                1,
                random -> {
                    for (int i = 0; i < 200_000; i++) {
                        checkNorm(Float.intBitsToFloat(random.nextInt()));
                        checkNorm((float) random.nextGaussian());
                    }
                });
    }

    private static void checkNorm(float w) {
        if (Math.abs(w) < 1 << 24) {
            float stored = 1f + w;
            float zeroCentred = stored - 1f;
            assertEquals(stored, 1f + zeroCentred, () -> "w = " + w);
        }
    }

    @Test
    void decaysGiveTheStoredBitsAgainWhenTheyWereMadeSo() {
        Seeds.forAll(
                1,
                random -> {
                    for (int i = 0; i < 200_000; i++) {
                        float decayLog = (float) (random.nextDouble() * 12 - 8);
                        float stored = (float) -Math.exp(decayLog);
                        float found = GgufWeights.logOfNegated(stored);
                        assertEquals(stored, (float) -Math.exp(found), () -> "" + decayLog);
                    }
                });
    }

    private Path write(GgufBuilder builder) {
        try {
            return builder.write(directory.resolve("model.gguf"));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private void assertRefused(GgufBuilder builder, String... parts) {
        Path file = write(builder);
        assertMessage(() -> GgufModel.open(file), parts);
    }

    private interface Call {
        Object run();
    }

    private static void assertMessage(Call call, String... parts) {
        GgufException e = assertThrows(GgufException.class, call::run);
        for (String part : parts) {
            assertTrue(e.getMessage().contains(part), part + " in: " + e.getMessage());
        }
    }
}
