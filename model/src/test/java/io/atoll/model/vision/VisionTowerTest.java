package io.atoll.model.vision;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.atoll.kernels.scalar.ScalarKernels;
import io.atoll.kernels.vector.VectorKernels;
import io.atoll.model.ModelDirectory;
import io.atoll.model.checkpoint.CheckpointException;
import io.atoll.model.config.VisionConfig;
import io.atoll.model.reference.Reference;
import io.atoll.model.reference.Session;
import io.atoll.model.trace.ForwardObserver;
import io.atoll.model.trace.Recording;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/// The tower and the reference with pictures, against another implementation (transformers, f32).
class VisionTowerTest {
    private static final double TOLERANCE = 1e-4; // relative to the largest
    private static final Path DEMO = Path.of(System.getProperty("atoll.root"), "demo-model");

    private static ModelDirectory model;
    private static VisionTower tower;

    @BeforeAll
    static void open() {
        model = ModelDirectory.open(DEMO);
        tower = model.visionTower(new ScalarKernels()).orElseThrow();
    }

    @AfterAll
    static void close() {
        tower.close();
        model.close();
    }

    @Test
    void picturesBecomeTheEmbeddingsOfTheReferenceImplementation() {
        Recording shown = new Recording();
        float[] small =
                tower.embed(GoldenVision.patches("small"), VisionTower.Splitter.NONE, shown);
        close(GoldenVision.floats("small.image_tower"), shown.floats("vision_tower").orElseThrow());
        close(GoldenVision.floats("small.image_embeddings"), small);
        close(GoldenVision.floats("odd.image_embeddings"), embed(GoldenVision.patches("odd")));
    }

    @Test
    void slicesOfAClipDoNotSeeEachOther() {
        close(
                GoldenVision.floats("clip_odd.video_embeddings"),
                embed(GoldenVision.clip("clip_odd")));
    }

    @Test
    void howWorkIsSplitDoesNotShow() {
        VisionTower.Splitter one =
                (items, work, part) -> {
                    for (int i = 0; i < items; i++) {
                        part.run(i, i + 1);
                    }
                };
        assertArrayEquals(
                embed(GoldenVision.patches("odd")),
                tower.embed(GoldenVision.patches("odd"), one, ForwardObserver.NONE));
    }

    @Test
    void otherKernelsGiveTheSameBits() {
        try (VisionTower other = model.visionTower(new VectorKernels()).orElseThrow()) {
            assertArrayEquals(
                    embed(GoldenVision.patches("odd")),
                    other.embed(
                            GoldenVision.patches("odd"),
                            VisionTower.Splitter.NONE,
                            ForwardObserver.NONE));
        }
    }

    private static float[] embed(Patches patches) {
        return tower.embed(patches, VisionTower.Splitter.NONE, ForwardObserver.NONE);
    }

    @Test
    void patchesOfAnotherTowerAreRefused() {
        Patches patches = new Patches(new PatchGrid(1, 2, 2, 1), 1, new byte[4 * 3 * 256]);
        assertThrows(VisionException.class, () -> embed(patches));
    }

    @Test
    void aWeightOfAnotherShapeIsRefused() {
        VisionConfig sizes = tower.config();
        VisionConfig other =
                new VisionConfig(
                        3,
                        sizes.hiddenSize(),
                        sizes.intermediateSize(),
                        sizes.heads(),
                        sizes.inChannels(),
                        sizes.patchSize(),
                        sizes.spatialMergeSize(),
                        sizes.temporalPatchSize(),
                        sizes.positionEmbeddings(),
                        sizes.outHiddenSize());
        CheckpointException refusal =
                assertThrows(
                        CheckpointException.class,
                        () -> new VisionTower(other, model.weights()::tensor, new ScalarKernels()));
        assertTrue(refusal.where().contains("blocks.2."), refusal.where());
    }

    @Test
    void theReferenceSeesPictures() {
        int[] ids = GoldenVision.ints(GoldenVision.aCase("small").get("prompt_ids"));
        VisualRun run = new VisualRun(5, 2, 2);
        Patches patches = GoldenVision.patches("small");
        VisualInput visual =
                new VisualInput(
                        List.of(new VisualInput.Picture(run, embed(patches), patches.digest())));
        checkLastLogits("small", ids, visual);
    }

    @Test
    void theReferenceSeesClips() {
        int[] ids = GoldenVision.ints(GoldenVision.aCase("clip_odd").get("prompt_ids"));
        Patches patches = GoldenVision.clip("clip_odd");
        float[] embeddings = embed(patches);
        List<VisualInput.Picture> slices = new ArrayList<>();
        int length = embeddings.length / 3;
        for (int i = 0; i < ids.length; i++) {
            if (ids[i] == 2029) {
                int from = slices.size() * length;
                slices.add(
                        new VisualInput.Picture(
                                new VisualRun(i, 2, 3),
                                Arrays.copyOfRange(embeddings, from, from + length),
                                patches.digest()));
                i += 5;
            }
        }
        checkLastLogits("clip_odd", ids, new VisualInput(slices));
    }

    private static void checkLastLogits(String id, int[] ids, VisualInput visual) {
        try (Reference reference = Reference.open(model, new VectorKernels());
                Session session = reference.session(visual);
                Session cut = reference.session(visual)) {
            float[][] logits = session.feed(ids, ForwardObserver.NONE);
            close(GoldenVision.floats(id + ".last_logits"), logits[ids.length - 1]);
            cut.feed(Arrays.copyOf(ids, 7), ForwardObserver.NONE);
            float[][] rest = cut.feed(Arrays.copyOfRange(ids, 7, ids.length), ForwardObserver.NONE);
            assertArrayEquals(logits[ids.length - 1], rest[rest.length - 1]);
        }
    }

    @Test
    void padsOfDifferentPicturesHaveDifferentKeys() {
        int[] ids = {5, 2028, 2028, 2028, 2028, 6, 2028};
        float[] embeddings = new float[4];
        byte[] one = GoldenVision.patches("small").digest();
        byte[] two = GoldenVision.patches("odd").digest();
        int[] keys = keys(ids, new VisualRun(1, 2, 2), embeddings, one, 1);
        assertArrayEquals(keys, keys(ids, new VisualRun(1, 2, 2), embeddings, one, 2));
        int[] others = keys(ids, new VisualRun(1, 2, 2), embeddings, two, 1);
        assertEquals(5, keys[0]);
        assertEquals(6, keys[5]);
        assertEquals(2028, keys[6]);
        for (int i = 1; i < 5; i++) {
            assertTrue(keys[i] < 0);
            assertFalse(keys[i] == others[i]);
        }
        // Too short for a hash: never shared.
        assertFalse(
                Arrays.equals(
                        keys(ids, new VisualRun(1, 1, 2), embeddings, one, 1),
                        keys(ids, new VisualRun(1, 1, 2), embeddings, one, 2)));
    }

    private static int[] keys(
            int[] ids, VisualRun run, float[] embeddings, byte[] digest, long sequence) {
        return new VisualInput(List.of(new VisualInput.Picture(run, embeddings, digest)))
                .keys(ids, sequence);
    }

    private static void close(float[] expected, float[] found) {
        assertEquals(expected.length, found.length);
        double largest = 0;
        for (float value : expected) {
            largest = Math.max(largest, Math.abs(value));
        }
        for (int i = 0; i < expected.length; i++) {
            assertEquals(expected[i], found[i], TOLERANCE * largest, "value " + i);
        }
    }
}
