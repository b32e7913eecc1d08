package io.atoll.model.reference;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.atoll.kernels.KernelLibrary;
import io.atoll.model.DemoModel;
import io.atoll.model.ModelDirectory;
import io.atoll.model.ModelDirectoryException;
import io.atoll.model.config.ModelFileException;
import io.atoll.model.config.TextConfig;
import io.atoll.model.gguf.DemoGguf;
import io.atoll.model.gguf.GgufException;
import io.atoll.model.quant.GgmlType;
import io.atoll.model.tokenizer.Tokenizer;
import io.atoll.model.trace.ForwardObserver;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Optional;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/// The demo model from GGUF files, against its release.
class GgufReferenceTest {
    private static final String PROMPT =
            "<|im_start|>user\nWhat is the capital of France?<|im_end|>\n<|im_start|>assistant\n";
    private static final int ANSWER = 20;

    @TempDir private static Path directory;
    private static ModelDirectory demo;
    private static Answer expected;

    /// The most likely continuation of the prompt, and the logits that led to it.
    private record Answer(int[] ids, float[][] logits) {
        static Answer of(ModelDirectory model) {
            int[] ids = new int[ANSWER];
            float[][] logits = new float[ANSWER][];
            try (Tokenizer tokenizer = model.tokenizer();
                    Reference reference =
                            Reference.open(model, KernelLibrary.select(Optional.empty()));
                    Session session = reference.session()) {
                int[] next = tokenizer.encode(PROMPT);
                for (int i = 0; i < ANSWER; i++) {
                    float[][] rows = session.feed(next, ForwardObserver.NONE);
                    logits[i] = rows[rows.length - 1];
                    ids[i] = largest(logits[i], tokenizer.size());
                    next = new int[] {ids[i]};
                }
            }
            return new Answer(ids, logits);
        }

        private static int largest(float[] values, int count) {
            int best = 0;
            for (int i = 1; i < count; i++) {
                best = values[i] > values[best] ? i : best;
            }
            return best;
        }
    }

    @BeforeAll
    static void open() {
        demo = ModelDirectory.open(DemoModel.path());
        expected = Answer.of(demo);
    }

    @AfterAll
    static void close() {
        demo.close();
    }

    /// Both hold the weights of the release exactly, one in half the bytes of the other.
    @ParameterizedTest
    @EnumSource(
            value = GgmlType.class,
            names = {"BF16", "F32"})
    void unroundedFilesGiveTheBitsOfTheRelease(GgmlType type) throws IOException {
        Path file = DemoGguf.write(demo, type, directory.resolve("Demo-" + type + ".gguf"));
        try (ModelDirectory model = ModelDirectory.open(file)) {
            Answer found = Answer.of(model);
            assertArrayEquals(expected.ids, found.ids);
            assertArrayEquals(expected.logits, found.logits);
        }
    }

    @ParameterizedTest
    @EnumSource(
            value = GgmlType.class,
            names = {"F16", "Q8_0"})
    void roundedFilesGiveTheSameAnswer(GgmlType type) throws IOException {
        Path file = DemoGguf.write(demo, type, directory.resolve("demo-" + type + ".gguf"));
        try (ModelDirectory model = ModelDirectory.open(file)) {
            assertArrayEquals(expected.ids, Answer.of(model).ids);
        }
    }

    @Test
    void everythingButTheWeightsIsInTheFile() throws IOException {
        Path file = DemoGguf.write(demo, GgmlType.BF16, directory.resolve("a.b-BF16.gguf"));
        try (ModelDirectory model = ModelDirectory.open(file);
                Tokenizer ours = model.tokenizer();
                Tokenizer theirs = demo.tokenizer()) {
            assertEquals("a.b-BF16", model.name());
            assertEquals(file, model.path());
            assertEquals(demo.chatTemplate(), model.chatTemplate());
            assertEquals(
                    demo.generationConfig().eosTokenIds(), model.generationConfig().eosTokenIds());
            assertEquals(20, model.generationConfig().topK());
            assertEquals(theirs.size(), ours.size());
            assertArrayEquals(theirs.encode(PROMPT), ours.encode(PROMPT));
            TextConfig read = model.config().text();
            TextConfig release = demo.config().text();
            assertEquals(release.layers(), read.layers());
            assertEquals(release.rope(), read.rope());
            assertEquals(release.convDim(), read.convDim());
            assertEquals(release.rmsNormEps(), read.rmsNormEps());
            assertTrue(model.config().vision().isEmpty());
            assertEquals(1, model.textWeights().mtp().orElseThrow().layers().size());
            ModelDirectoryException none =
                    assertThrows(ModelDirectoryException.class, model::checkpoint);
            assertTrue(
                    none.getMessage().contains("only a release's directory has it"),
                    none.getMessage());
        }
    }

    @Test
    void splittingAFileChangesNeitherDigestNorAnswer() throws IOException {
        Path whole = DemoGguf.write(demo, GgmlType.Q8_0, directory.resolve("whole.gguf"));
        Path first = DemoGguf.writeSplit(demo, GgmlType.Q8_0, directory, "parts");
        try (ModelDirectory one = ModelDirectory.open(whole);
                ModelDirectory two = ModelDirectory.open(first)) {
            assertEquals("parts", two.name());
            assertEquals(one.modelDigest(), two.modelDigest());
            assertNotEquals(demo.modelDigest(), one.modelDigest());
            assertArrayEquals(Answer.of(one).logits, Answer.of(two).logits);
        }
    }

    @Test
    void digestTellsFilesOfDifferentWeightsApart() throws IOException {
        Path plain = DemoGguf.write(demo, GgmlType.BF16, directory.resolve("plain.gguf"));
        Path changed = directory.resolve("changed.gguf");
        byte[] bytes = Files.readAllBytes(plain);
        bytes[bytes.length - 1] ^= 1; // in the last tensor's last sample
        Files.write(changed, bytes);
        try (ModelDirectory one = ModelDirectory.open(plain);
                ModelDirectory other = ModelDirectory.open(changed)) {
            assertNotEquals(one.modelDigest(), other.modelDigest());
        }
    }

    @Test
    void closedFileGivesNothingMore() throws IOException {
        Path file = DemoGguf.write(demo, GgmlType.Q8_0, directory.resolve("closed.gguf"));
        ModelDirectory model = ModelDirectory.open(file);
        model.close();
        model.close();
        assertThrows(IllegalStateException.class, model::textWeights);
        assertThrows(IllegalStateException.class, model::modelDigest);
        assertThrows(IllegalStateException.class, model::tokenizer);
    }

    @Test
    void otherFilesAreRefused() throws IOException {
        Path text = Files.writeString(directory.resolve("notes.txt"), "These are no weights.");
        assertThrows(GgufException.class, () -> ModelDirectory.open(text));
        Path absent = directory.resolve("absent.gguf");
        ModelFileException missing =
                assertThrows(ModelDirectoryException.class, () -> ModelDirectory.open(absent));
        assertEquals(absent + ": model: is missing", missing.getMessage());
        Path whole = DemoGguf.write(demo, GgmlType.Q8_0, directory.resolve("cut.gguf"));
        byte[] bytes = Files.readAllBytes(whole);
        Files.write(whole, Arrays.copyOf(bytes, bytes.length / 2));
        assertThrows(GgufException.class, () -> ModelDirectory.open(whole));
    }
}
