package io.atoll.model.vision;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import io.atoll.model.config.ConfigException;
import io.atoll.model.config.ModelConfig;
import io.atoll.model.config.PixelLimits;
import io.atoll.model.config.VisionConfig;
import io.atoll.model.config.VisionTokens;
import io.atoll.model.tokenizer.Tokenizer;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.Supplier;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/// From pixels and a rendered prompt to patches, pads and positions, against the published processor (model specification G).
class VisionInputTest {
    private static final Path DEMO = Path.of(System.getProperty("atoll.root"), "demo-model");
    private static final VisionTokens TOKENS = new VisionTokens(2028, 2029, 2025, 2026);

    @Test
    void picturesGetTheSizesOfThePublishedProcessor() {
        for (JsonNode each : GoldenVision.json("sizes.json").get("images")) {
            checkSize(
                    each,
                    () ->
                            PictureSize.ofPicture(
                                    each.get("height").asInt(),
                                    each.get("width").asInt(),
                                    each.get("factor").asInt(),
                                    limits(each)));
        }
    }

    @Test
    void clipsGetTheSizesOfThePublishedProcessor() {
        for (JsonNode each : GoldenVision.json("sizes.json").get("videos")) {
            checkSize(
                    each,
                    () ->
                            PictureSize.ofClip(
                                    each.get("num_frames").asInt(),
                                    each.get("height").asInt(),
                                    each.get("width").asInt(),
                                    each.get("factor").asInt(),
                                    each.get("temporal_factor").asInt(),
                                    limits(each)));
        }
    }

    private static PixelLimits limits(JsonNode each) {
        return new PixelLimits(each.get("min_pixels").asLong(), each.get("max_pixels").asLong());
    }

    private static void checkSize(JsonNode each, Supplier<PictureSize> size) {
        if (each.has("error")) {
            assertThrows(VisionException.class, size::get, each::toString);
        } else {
            PictureSize found = size.get();
            assertArrayEquals(
                    GoldenVision.ints(each.get("result_height_width")),
                    new int[] {found.height(), found.width()},
                    each::toString);
        }
    }

    @Test
    void videosAreSampledAndTimedAsByThePublishedProcessor() {
        for (JsonNode each : GoldenVision.json("sizes.json").get("sampling")) {
            double fps = each.get("fps").isNull() ? 24 : each.get("fps").asDouble();
            int[] indices = FrameSampling.indices(each.get("total_frames").asInt(), fps);
            assertArrayEquals(GoldenVision.ints(each.get("indices")), indices, each::toString);
            List<Double> seconds = FrameSampling.sliceSeconds(indices, fps, 2);
            for (int i = 0; i < seconds.size(); i++) {
                assertEquals(each.get("timestamps").get(i).asDouble(), seconds.get(i), 1e-12);
                assertEquals(
                        each.get("timestamp_text").get(i).asText(),
                        Clip.timestamp(seconds.get(i)),
                        each::toString);
            }
            assertEquals(each.get("timestamps").size(), seconds.size());
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"small", "odd", "transparent"})
    void picturesBecomeTheLevelsOfThePublishedProcessor(String id) {
        Patches found = GoldenVision.processor().picture(GoldenVision.picture(id + ".decoded.png"));
        assertEquals(GoldenVision.patches(id).grid(), found.grid());
        closeLevels(GoldenVision.bytes(id + ".image_levels"), found.levels());
    }

    @Test
    void clipsBecomeTheLevelsOfThePublishedProcessor() {
        Clip found = clip();
        assertEquals(GoldenVision.clip("clip_odd").grid(), found.patches().grid());
        closeLevels(GoldenVision.bytes("clip_odd.video_levels"), found.patches().levels());
    }

    private static Clip clip() {
        int[] indices = FrameSampling.indices(13, 5);
        List<RgbPicture> frames = new ArrayList<>();
        for (int index : indices) {
            frames.add(GoldenVision.picture(String.format("clip_odd/%03d.png", index)));
        }
        return GoldenVision.processor().clip(frames, indices, 5);
    }

    /// The golden levels are another resizer's: at most 2 levels off in at most 1 % of the values.
    private static void closeLevels(byte[] expected, byte[] found) {
        assertEquals(expected.length, found.length);
        int differing = 0;
        for (int i = 0; i < expected.length; i++) {
            int difference = Math.abs((expected[i] & 0xff) - (found[i] & 0xff));
            assertTrue(difference <= 2, "level " + i + " is off by " + difference);
            differing += difference > 0 ? 1 : 0;
        }
        assertTrue(differing <= expected.length / 100, differing + " of " + expected.length);
    }

    @Test
    void valuesAreThoseOfThePublishedProcessor() {
        Patches patches = GoldenVision.patches("small");
        float[] expected = GoldenVision.floats("small.pixel_values_first_rows");
        float[] values = new float[2 * 3 * 256];
        for (int patch = 0; patch < 4; patch++) {
            patches.values(patch, 2, values);
            assertArrayEquals(
                    Arrays.copyOfRange(
                            expected, patch * values.length, (patch + 1) * values.length),
                    values,
                    1e-6f);
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"small", "odd", "two_images", "tall", "clip_odd", "clip_even"})
    void promptsGetTheirPadsAndPositions(String id) {
        JsonNode each = GoldenVision.aCase(id);
        List<PatchGrid> pictures = grids(each, "image_grid_thw");
        List<PatchGrid> grids = grids(each, "video_grid_thw");
        List<Clip> clips = new ArrayList<>();
        for (PatchGrid grid : grids) {
            double fps = each.get("fps").asDouble();
            int[] indices = FrameSampling.indices(each.get("frames").asInt(), fps);
            clips.add(
                    new Clip(
                            new Patches(grid, 2, new byte[grid.patches() * 3 * 2 * 256]),
                            FrameSampling.sliceSeconds(indices, fps, 2)));
        }
        VisualPrompt prompt;
        try (Tokenizer tokenizer = Tokenizer.load(DEMO.resolve("tokenizer.json"))) {
            String text = VisualPrompt.withTimes(each.get("prompt").asText(), clips);
            prompt = VisualPrompt.expand(tokenizer.encode(text), TOKENS, pictures, grids, 4096);
        }
        int[] ids = GoldenVision.ints(each.get("prompt_ids"));
        assertArrayEquals(ids, prompt.ids());
        MropePositions positions = prompt.positions();
        assertEquals(each.get("position_delta").asInt(), positions.delta());
        for (int i = 0; i < ids.length; i++) {
            assertEquals(each.get("position_ids").get(0).get(i).asInt(), positions.time(i));
            assertEquals(each.get("position_ids").get(1).get(i).asInt(), positions.height(i));
            assertEquals(each.get("position_ids").get(2).get(i).asInt(), positions.width(i));
        }
        assertEquals(ids.length + 7 + positions.delta(), positions.time(ids.length + 7));
    }

    private static List<PatchGrid> grids(JsonNode each, String field) {
        List<PatchGrid> grids = new ArrayList<>();
        for (JsonNode grid : each.path(field)) {
            int[] sizes = GoldenVision.ints(grid);
            grids.add(new PatchGrid(sizes[0], sizes[1], sizes[2], 2));
        }
        return grids;
    }

    @Test
    void promptsWithOtherPadsThanPicturesAreRefused() {
        PatchGrid grid = new PatchGrid(1, 4, 4, 2);
        int[] ids = {5, 2028, 6};
        assertThrows(
                VisionException.class,
                () -> VisualPrompt.expand(ids, TOKENS, List.of(), List.of(), 100));
        assertThrows(
                VisionException.class,
                () -> VisualPrompt.expand(ids, TOKENS, List.of(grid, grid), List.of(), 100));
        assertThrows(
                VisionException.class,
                () -> VisualPrompt.expand(ids, TOKENS, List.of(grid), List.of(), 5));
        assertEquals(6, VisualPrompt.expand(ids, TOKENS, List.of(grid), List.of(), 6).ids().length);
        assertThrows(
                VisionException.class, () -> VisualPrompt.withTimes("no place", List.of(clip())));
        assertThrows(
                VisionException.class,
                () ->
                        VisualPrompt.withTimes(
                                "<|vision_start|><|video_pad|><|vision_end|>", List.of()));
    }

    @Test
    void framesOfDifferentSizesAreRefused() {
        RgbPicture one = new RgbPicture(40, 40, new byte[4800]);
        RgbPicture other = new RgbPicture(80, 20, new byte[4800]);
        VisionException refusal =
                assertThrows(
                        VisionException.class,
                        () ->
                                GoldenVision.processor()
                                        .clip(List.of(one, other), new int[] {0, 1}, 2));
        assertTrue(refusal.getMessage().contains("80 x 20"), refusal.getMessage());
    }

    @Test
    void anotherPictureHasAnotherDigest() {
        Patches patches = GoldenVision.patches("small");
        byte[] changed = patches.levels().clone();
        changed[77]++;
        byte[] digest = patches.digest();
        assertArrayEquals(digest, GoldenVision.patches("small").digest());
        assertFalse(Arrays.equals(digest, new Patches(patches.grid(), 1, changed).digest()));
    }

    @Test
    void processorsThatDisagreeWithTheTowerAreRefused(@TempDir Path directory) throws IOException {
        VisionConfig vision = ModelConfig.read(DEMO.resolve("config.json")).vision().orElseThrow();
        for (String text :
                List.of(
                        "{\"patch_size\": 14}",
                        "{\"image_mean\": [0.5, 0.4, 0.5]}",
                        "{\"size\": {\"shortest_edge\": 9, \"longest_edge\": 8}}",
                        "{\"size\": {\"shortest_edge\": \"x\"}}")) {
            Path file = Files.writeString(directory.resolve("preprocessor_config.json"), text);
            assertThrows(
                    ConfigException.class,
                    () -> PixelLimits.read(file, vision, PixelLimits.PICTURE),
                    text);
        }
        assertEquals(
                PixelLimits.CLIP,
                PixelLimits.read(directory.resolve("absent.json"), vision, PixelLimits.CLIP));
    }
}
