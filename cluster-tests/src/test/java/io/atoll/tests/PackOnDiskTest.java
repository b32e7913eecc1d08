package io.atoll.tests;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.atoll.cli.roles.ExpertRows;
import io.atoll.cluster.placement.ExpertShard;
import io.atoll.expert.DeviceChoice;
import io.atoll.expert.ExpertWorker;
import io.atoll.expert.ExpertWorkerSettings;
import io.atoll.kernels.ComputePool;
import io.atoll.kernels.KernelLibrary;
import io.atoll.model.ModelDirectory;
import io.atoll.model.gguf.DemoGguf;
import io.atoll.model.pack.DenseFormat;
import io.atoll.model.pack.PackException;
import io.atoll.model.pack.PackProgress;
import io.atoll.model.pack.PackSelection;
import io.atoll.model.pack.Packer;
import io.atoll.model.quant.GgmlType;
import io.atoll.model.reference.Reference;
import io.atoll.model.reference.Session;
import io.atoll.model.tokenizer.Tokenizer;
import io.atoll.model.trace.ForwardObserver;
import io.atoll.tests.RecordedRuns.Trace;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/// A pack is served as the model that it was made from: the same logits, to the last bit.
class PackOnDiskTest {
    private static final Path DEMO = Path.of(System.getProperty("atoll.root"), "demo-model");

    @TempDir private Path directory;

    private Path source(String form) throws IOException {
        if (form.equals("release")) {
            return DEMO;
        }
        try (ModelDirectory demo = ModelDirectory.open(DEMO)) {
            return DemoGguf.write(
                    demo, GgmlType.valueOf(form), directory.resolve("demo-" + form + ".gguf"));
        }
    }

    private Path pack(Path source) {
        Path packed = directory.resolve("pack");
        try (ModelDirectory model = ModelDirectory.open(source);
                ComputePool pool = new ComputePool(2, 0)) {
            Packer.pack(
                    model.packSource(),
                    PackSelection.all(model.config().text()),
                    DenseFormat.KEEP,
                    packed,
                    pool,
                    PackProgress.NONE);
        }
        return packed;
    }

    @ParameterizedTest
    @CsvSource({"release", "Q4_K", "Q8_0"})
    void packGivesTheBitsOfItsSource(String form) throws IOException {
        Path source = source(form);
        Path packed = pack(source);
        try (RecordedRuns expected = new RecordedRuns(source);
                RecordedRuns runs = new RecordedRuns(packed)) {
            assertEquals(ExpertRows.format(expected.model()), ExpertRows.format(runs.model()));
            assertEquals(expected.model().modelDigest(), runs.model().modelDigest());
            Map<Long, Trace> alone = expected.run("one", 2, 8);
            RecordedRuns.assertSame(alone, runs.run("one", 2, 8));
            RecordedRuns.assertSame(alone, runs.run("two", 1, 4));
        }
    }

    @Test
    void referenceReadsAPackAsItsSource() throws IOException {
        Path source = source("Q4_K");
        Path packed = pack(source);
        int[] prompt = {2017, 801, 261, 198, 344, 287, 273};
        assertArrayEquals(logits(source, prompt), logits(packed, prompt));
        try (ModelDirectory one = ModelDirectory.open(source);
                ModelDirectory other = ModelDirectory.open(packed);
                Tokenizer expected = one.tokenizer();
                Tokenizer found = other.tokenizer()) {
            String text = one.chatTemplate() + " What is the capital of France? 2 + 3";
            assertEquals(one.chatTemplate(), other.chatTemplate());
            assertEquals(one.generationConfig(), other.generationConfig());
            assertEquals(one.config(), other.config());
            assertArrayEquals(expected.encode(text), found.encode(text));
        }
    }

    private static float[][] logits(Path path, int[] prompt) {
        try (ModelDirectory model = ModelDirectory.open(path);
                Reference reference =
                        Reference.open(model, KernelLibrary.select(Optional.empty()));
                Session session = reference.session()) {
            return session.feed(prompt, ForwardObserver.NONE);
        }
    }

    @Test
    void expertWorkerChecksItsShardAndNothingElse() throws IOException {
        Path packed = pack(DEMO);
        Path file = packed.resolve("layer-0003.experts");
        byte[] bytes = Files.readAllBytes(file);
        bytes[bytes.length - 5000] ^= 1; // in the last expert
        Files.write(file, bytes);
        try (ExpertWorker worker = open(packed, "0-30")) {
            assertEquals(0, worker.queuedDispatches());
        }
        PackException found = assertThrows(PackException.class, () -> open(packed, "31"));
        assertEquals(file, found.file());
        assertTrue(found.where().contains("layers.3.mlp.experts.31."), found.getMessage());
    }

    private static ExpertWorker open(Path packed, String shard) {
        return ExpertWorker.open(
                ExpertWorkerSettings.of(
                                "w",
                                "test",
                                packed,
                                ExpertShard.parse(shard, 8, 32),
                                "127.0.0.1",
                                0)
                        .on(DeviceChoice.CPU));
    }
}
