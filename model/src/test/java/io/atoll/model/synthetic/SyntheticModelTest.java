package io.atoll.model.synthetic;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.atoll.kernels.KernelLibrary;
import io.atoll.model.ModelDirectory;
import io.atoll.model.chat.ChatTemplate;
import io.atoll.model.gguf.GgufFile;
import io.atoll.model.gguf.GgufModel;
import io.atoll.model.gguf.GgufTensor;
import io.atoll.model.gguf.GgufWriter;
import io.atoll.model.quant.GgmlType;
import io.atoll.model.reference.Reference;
import io.atoll.model.reference.Session;
import io.atoll.model.tokenizer.Tokenizer;
import io.atoll.model.trace.Recording;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class SyntheticModelTest {
    private static final SyntheticShape TINY =
            new SyntheticShape("tiny", 4, 256, 1500, 4, 2, 64, 2, 4, 64, 12, 3, 256, 4096);

    @TempDir private static Path directory;
    private static Path file;

    @BeforeAll
    static void writeTiny() throws IOException {
        file = directory.resolve("tiny.gguf");
        List<Long> told = new ArrayList<>();
        SyntheticModel model = new SyntheticModel(TINY, 7);
        model.write(file, told::add);
        assertEquals(model.fileBytes(), Files.size(file));
        assertEquals(model.fileBytes(), told.getLast());
    }

    @Test
    void fileHasTheSizesOfItsShapeAndTheTypesOfTheMix() {
        try (GgufModel model = GgufModel.open(file)) {
            assertEquals(1500, model.config().vocabSize());
            assertEquals(4, model.config().layerCount());
            assertEquals(12, model.config().experts());
            assertEquals(3, model.config().expertsPerToken());
            assertEquals(List.of(3, 3, 2), model.config().rope().mropeSection());
            GgufFile tensors = model.file();
            assertEquals(GgmlType.Q4_K, tensors.require("token_embd.weight").type());
            assertEquals(GgmlType.Q6_K, tensors.require("output.weight").type());
            assertEquals(GgmlType.F32, tensors.require("blk.0.ffn_gate_inp.weight").type());
            // Of four layers, llama.cpp's quantiser gives more bits to the third and the last.
            assertEquals(GgmlType.Q4_K, tensors.require("blk.1.ffn_down_exps.weight").type());
            assertEquals(GgmlType.Q6_K, tensors.require("blk.2.attn_qkv.weight").type());
            assertEquals(GgmlType.Q6_K, tensors.require("blk.3.attn_v.weight").type());
            assertEquals(GgmlType.Q6_K, tensors.require("blk.3.ffn_down_exps.weight").type());
        }
    }

    @Test
    void generatesFromAPromptThroughSpreadExperts() {
        Recording recording = new Recording();
        try (ModelDirectory model = ModelDirectory.open(file);
                Tokenizer tokenizer = model.tokenizer();
                Reference reference =
                        Reference.open(model, KernelLibrary.select(Optional.empty()));
                Session session = reference.session()) {
            int[] prompt = tokenizer.encode("Ein Satz, der keinen Sinn ergibt: дом 书 42.\n");
            assertTrue(prompt.length >= 10, "prompt of " + prompt.length);
            float[][] logits = session.feed(prompt, recording);
            Set<Integer> best = new HashSet<>();
            for (float[] row : logits) {
                for (float logit : row) {
                    assertTrue(Math.abs(logit) < 30, "logit " + logit);
                }
                best.add(largest(row));
            }
            assertTrue(best.size() > prompt.length / 2, "next tokens " + best);
        }
        for (int layer = 0; layer < TINY.layers(); layer++) {
            int[] chosen = recording.ints("layer." + layer + ".topk_ids").orElseThrow();
            long distinct = Arrays.stream(chosen).distinct().count();
            assertTrue(distinct >= 8, "experts of layer " + layer + ": " + distinct + " of 12");
            double size = rms(recording.floats("layer." + layer + ".output").orElseThrow());
            assertTrue(size > 0.5 && size < 5, "rows of layer " + layer + " have size " + size);
        }
    }

    private static int largest(float[] row) {
        int best = 0;
        for (int i = 1; i < row.length; i++) {
            best = row[i] > row[best] ? i : best;
        }
        return best;
    }

    private static double rms(float[] values) {
        double sum = 0;
        for (float value : values) {
            sum += (double) value * value;
        }
        return Math.sqrt(sum / values.length);
    }

    @Test
    void weightsHaveMeanZeroAndTheDeviationOfTheirProjection() {
        try (GgufModel model = GgufModel.open(file)) {
            for (String name : List.of("blk.0.attn_gate.weight", "blk.3.ffn_down_exps.weight")) {
                GgufTensor tensor = model.file().require(name);
                float[] values = tensor.floats();
                double mean = 0;
                for (float value : values) {
                    mean += value;
                }
                mean /= values.length;
                assertEquals(1, rms(values) * 16, 0.05, name); // rows of 256: 1/16
                assertEquals(0, mean * 16, 0.05, name);
            }
        }
    }

    @Test
    void sameSeedGivesTheSameFileAndAnotherSeedAnother() throws IOException {
        Path again = directory.resolve("again.gguf");
        new SyntheticModel(TINY, 7).write(again, _ -> {});
        assertEquals(-1, Files.mismatch(file, again));
        new SyntheticModel(TINY, 8).write(again, _ -> {});
        assertTrue(Files.mismatch(file, again) > 0);
    }

    @Test
    void chatTemplateRenders() throws IOException {
        try (ModelDirectory model = ModelDirectory.open(file)) {
            ChatTemplate.compile(model.chatTemplate());
        }
    }

    @Test
    void vocabularyOfThePublishedSizeHasItsIds() throws IOException {
        Path full = directory.resolve("vocabulary.gguf");
        GgufWriter out = new GgufWriter();
        SyntheticVocabulary vocabulary = new SyntheticVocabulary(248_320);
        vocabulary.writeTo(out);
        out.write(full, _ -> {});
        assertEquals(248_077, vocabulary.tokenCount());
        try (Tokenizer tokenizer = Tokenizer.fromGguf(full)) {
            assertEquals(248_077, tokenizer.size());
            assertEquals(248_046, tokenizer.tokenId("<|im_end|>").orElseThrow());
            assertEquals(248_069, tokenizer.tokenId("</think>").orElseThrow());
            assertArrayEquals(new int[] {248_076}, tokenizer.encode("<|audio_pad|>"));
            // Tokens at the end of the vocabulary come out of merging, too.
            int reached = 248_043;
            while (reached > 247_000
                    && !Arrays.equals(
                            new int[] {reached},
                            tokenizer.encode(tokenizer.decode(new int[] {reached}, false)))) {
                reached--;
            }
            assertTrue(reached > 247_000, "no token past 247000 is reached");
            String text = "日本 and слово, zwei  Wörter\n";
            assertEquals(text, tokenizer.decode(tokenizer.encode(text), false));
        }
    }

    @ParameterizedTest
    @CsvSource({
        "0, 248320, 256, layers must be in [1",
        "4, 100, 256, vocabulary must be in [1024",
        "4, 248320, 7, experts must be in [8"
    })
    void sizesOutOfRangeAreRefusedByName(int layers, int rows, int experts, String problem) {
        SyntheticShape release = SyntheticShape.named("35B").orElseThrow();
        String message =
                assertThrows(
                                IllegalArgumentException.class,
                                () -> release.cut(layers, rows, experts))
                        .getMessage();
        assertTrue(message.contains(problem), message);
    }

    @Test
    void releaseOf35BWithEightLayersTakes4800MB() {
        SyntheticShape release = SyntheticShape.named("35b").orElseThrow();
        long bytes = new SyntheticModel(release.cut(8, 248_320, 256), 1).fileBytes();
        assertEquals(4.80e9, (double) bytes, 1e7);
    }

    @ParameterizedTest
    @CsvSource({
        "8, 0 3 6 7",
        "4, 2 3",
        "2, 1",
        "40, 0 1 2 3 4 7 10 13 16 19 22 25 28 31 34 35 36 37 38 39"
    })
    void moreBitsGoToTheLayersThatTheQuantiserPicks(int layers, String expected) {
        List<String> picked = new ArrayList<>();
        for (int layer = 0; layer < layers; layer++) {
            if (SyntheticModel.moreBits(layer, layers)) {
                picked.add(Integer.toString(layer));
            }
        }
        assertEquals(expected, String.join(" ", picked));
    }

    @Test
    void writerRefusesWhatNoFileCanHold() {
        GgufWriter out = new GgufWriter().u32("a", 1);
        assertThrows(IllegalArgumentException.class, () -> out.string("a", "again"));
        GgufWriter.Contents none = (_, _) -> {};
        assertThrows(
                IllegalArgumentException.class,
                () -> out.tensor("half a block", GgmlType.Q4_K, none, 4, 128));
        out.tensor("t", GgmlType.F32, none, 4);
        assertThrows(IllegalArgumentException.class, () -> out.tensor("t", GgmlType.F32, none, 4));
    }
}
