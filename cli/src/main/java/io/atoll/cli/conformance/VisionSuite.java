package io.atoll.cli.conformance;

import io.atoll.kernels.KvFormat;
import io.atoll.model.ModelDirectory;
import io.atoll.model.config.PixelLimits;
import io.atoll.model.config.VisionTokens;
import io.atoll.model.tokenizer.Tokenizer;
import io.atoll.model.trace.ForwardObserver;
import io.atoll.model.trace.Recording;
import io.atoll.model.vision.Clip;
import io.atoll.model.vision.FrameSampling;
import io.atoll.model.vision.MropePositions;
import io.atoll.model.vision.PatchGrid;
import io.atoll.model.vision.Patches;
import io.atoll.model.vision.PictureProcessor;
import io.atoll.model.vision.PictureSize;
import io.atoll.model.vision.RgbPicture;
import io.atoll.model.vision.VisionException;
import io.atoll.model.vision.VisionTower;
import io.atoll.model.vision.VisualInput;
import io.atoll.model.vision.VisualPrompt;
import io.atoll.model.vision.VisualRun;
import java.awt.image.BufferedImage;
import java.io.IOException;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.function.Supplier;
import javax.imageio.ImageIO;

/// `vision/`: sizes, patches, prompts and positions of the processor, the tower, and answers about pictures and clips.
///
/// Pictures are taken as they are decoded in the set (`*.decoded.png`); from exact patches on, numbers are compared as closely as f32
/// allows.
final class VisionSuite implements Suite {
    private static final String VISION = "vision";
    private static final double RELATIVE = 1e-4; // of a tensor's largest magnitude
    private static final double NEAR_TIE = 0.02; // as in `generate/`

    /// The set's levels are torchvision's, which differ from exact rounding by at most 2 in at most 1 % of values.
    private static final int MOST_LEVELS = 2;

    private static final double MOST_DIFFERENT = 0.01;

    @Override
    public String name() {
        return VISION;
    }

    /// F32: rounding keys and values once would show in a tolerance of 1e-4.
    @Override
    public KvFormat kvFormat() {
        return KvFormat.F32;
    }

    @Override
    public boolean supports(ConformanceCommand.EngineKind engine) {
        return engine == ConformanceCommand.EngineKind.REFERENCE;
    }

    @Override
    public void run(FixtureSet fixtures, Engine.Opener engines, Checks checks) {
        sizes(GoldenJson.read(fixtures.file(VISION, "sizes.json")), checks);
        GoldenJson golden = GoldenJson.read(fixtures.file(VISION, "vision.json"));
        Path path = fixtures.model();
        try (ModelDirectory model = ModelDirectory.open(path);
                Tokenizer tokenizer = model.tokenizer();
                GoldenTensors tensors =
                        GoldenTensors.open(fixtures.file(VISION, "vision.safetensors"));
                Engine engine = engines.open(path)) {
            try (VisionTower opened = engine.visionTower()) {
                Parts parts =
                        new Parts(
                                fixtures,
                                tensors,
                                tokenizer,
                                model.config().visionTokens().orElseThrow(),
                                PictureProcessor.read(path, opened.config()),
                                opened,
                                engine,
                                Math.min(tokenizer.size(), model.config().text().vocabSize()));
                for (GoldenJson each : golden.get("cases").items()) {
                    new Case(parts, each, checks).compare();
                }
            }
        }
    }

    // The rules of sizes and sampling, over many numbers.

    private static void sizes(GoldenJson golden, Checks checks) {
        int at = 0;
        for (GoldenJson each : golden.get("images").items()) {
            size(
                    "images[" + at++ + "]",
                    each,
                    () ->
                            PictureSize.ofPicture(
                                    each.get("height").integer(),
                                    each.get("width").integer(),
                                    each.get("factor").integer(),
                                    limits(each)),
                    checks);
        }
        at = 0;
        for (GoldenJson each : golden.get("videos").items()) {
            size(
                    "videos[" + at++ + "]",
                    each,
                    () ->
                            PictureSize.ofClip(
                                    each.get("num_frames").integer(),
                                    each.get("height").integer(),
                                    each.get("width").integer(),
                                    each.get("factor").integer(),
                                    each.get("temporal_factor").integer(),
                                    limits(each)),
                    checks);
        }
        at = 0;
        for (GoldenJson each : golden.get("sampling").items()) {
            sampling("sampling[" + at++ + "] ", each, checks);
        }
    }

    private static PixelLimits limits(GoldenJson each) {
        return new PixelLimits(each.get("min_pixels").integer(), each.get("max_pixels").integer());
    }

    private static void size(
            String where, GoldenJson each, Supplier<PictureSize> size, Checks checks) {
        boolean refused = each.optional("error").isPresent();
        try {
            PictureSize found = size.get();
            if (refused) {
                checks.fail(where, "must be refused, found " + found);
            } else {
                checks.ids(
                        where,
                        each.get("result_height_width").integers(),
                        new int[] {found.height(), found.width()});
            }
        } catch (VisionException e) {
            checks.equal(where + " refused", refused, true);
        }
    }

    private static void sampling(String where, GoldenJson each, Checks checks) {
        double fps = fps(each);
        int[] indices = FrameSampling.indices(each.get("total_frames").integer(), fps);
        checks.ids(where + "indices", each.get("indices").integers(), indices);
        List<String> times =
                FrameSampling.sliceSeconds(indices, fps, 2).stream().map(Clip::timestamp).toList();
        checks.equal(
                where + "timestamp_text",
                each.get("timestamp_text").items().stream().map(GoldenJson::text).toList(),
                times);
    }

    private static double fps(GoldenJson golden) {
        return golden.optional("fps")
                .filter(given -> !given.isNull())
                .map(GoldenJson::real)
                .orElse(FrameSampling.UNKNOWN_FPS);
    }

    /// What all cases need.
    private record Parts(
            FixtureSet fixtures,
            GoldenTensors tensors,
            Tokenizer tokenizer,
            VisionTokens tokens,
            PictureProcessor processor,
            VisionTower tower,
            Engine engine,
            int vocabulary) {}

    /// One question about pictures, or a clip.
    private static final class Case {
        private final Parts parts;
        private final GoldenJson golden;
        private final Checks checks;
        private final String id;
        private final String kind; // of the tensors: `image` or `video`
        private final int frames; // of a patch
        private final List<PatchGrid> grids;

        Case(Parts parts, GoldenJson golden, Checks checks) {
            this.parts = parts;
            this.golden = golden;
            this.checks = checks;
            id = golden.get("id").text();
            boolean isClip = golden.optional("video_grid_thw").isPresent();
            kind = isClip ? "video" : "image";
            frames = isClip ? 2 : 1;
            int merge = parts.tower.config().spatialMergeSize();
            grids =
                    golden.get(kind + "_grid_thw").items().stream()
                            .map(GoldenJson::integers)
                            .map(grid -> new PatchGrid(grid[0], grid[1], grid[2], merge))
                            .toList();
        }

        void compare() {
            List<Patches> exact = exact();
            List<Clip> clips = processed(exact);
            VisualPrompt prompt = prompt(clips);
            List<float[]> embeddings = embeddings(exact);
            answer(prompt, visual(prompt, exact, embeddings));
        }

        /// The set's own patches.
        private List<Patches> exact() {
            byte[] levels =
                    parts.tensors.bytes(id + "." + kind + "_levels").toArray(ValueLayout.JAVA_BYTE);
            List<Patches> all = new ArrayList<>();
            int from = 0;
            int perPatch = levels.length / grids.stream().mapToInt(PatchGrid::patches).sum();
            for (PatchGrid grid : grids) {
                int to = from + grid.patches() * perPatch;
                all.add(new Patches(grid, frames, Arrays.copyOfRange(levels, from, to)));
                from = to;
            }
            return all;
        }

        /// Compares what the processor makes of the pixels.
        ///
        /// @return the clips
        private List<Clip> processed(List<Patches> exact) {
            List<String> files =
                    golden.get("files").items().stream().map(GoldenJson::text).toList();
            if (kind.equals("image")) {
                for (int i = 0; i < exact.size(); i++) {
                    String name = files.get(i).substring(0, files.get(i).lastIndexOf('.'));
                    levels(i, exact.get(i), parts.processor.picture(read(name + ".decoded.png")));
                }
                return List.of();
            }
            double fps = fps(golden);
            int[] indices = FrameSampling.indices(golden.get("frames").integer(), fps);
            checks.ids(id + " sampled_indices", golden.get("sampled_indices").integers(), indices);
            List<RgbPicture> sampled = new ArrayList<>();
            for (int index : indices) {
                sampled.add(read(files.get(index)));
            }
            Clip clip = parts.processor.clip(sampled, indices, fps);
            levels(0, exact.getFirst(), clip.patches());
            return List.of(clip);
        }

        private RgbPicture read(String name) {
            Path file = parts.fixtures.file(VISION, name);
            BufferedImage image;
            try {
                image = ImageIO.read(file.toFile());
            } catch (IOException e) {
                throw new FixtureException(file, String.valueOf(e.getMessage()), e);
            }
            if (image == null) {
                throw new FixtureException(file, "is no picture");
            }
            return RgbPicture.of(image);
        }

        private void levels(int index, Patches expected, Patches found) {
            String where = id + " levels of picture " + index;
            checks.equal(where + " grid", expected.grid(), found.grid());
            if (!expected.grid().equals(found.grid())) {
                return;
            }
            int most = 0;
            int different = 0;
            for (int i = 0; i < expected.levels().length; i++) {
                int off = Math.abs((expected.levels()[i] & 0xff) - (found.levels()[i] & 0xff));
                most = Math.max(most, off);
                different += off == 0 ? 0 : 1;
            }
            double share = (double) different / expected.levels().length;
            boolean near = most <= MOST_LEVELS && share <= MOST_DIFFERENT;
            checks.equal(
                    where
                            + String.format(
                                    Locale.ROOT, " (by up to %d, %.2f %%)", most, 100 * share),
                    "near",
                    near ? "near" : "too far");
        }

        /// Compares ids and positions.
        private VisualPrompt prompt(List<Clip> clips) {
            String text = VisualPrompt.withTimes(golden.get("prompt").text(), clips);
            int[] expected = golden.get("prompt_ids").integers();
            VisualPrompt prompt =
                    VisualPrompt.expand(
                            parts.tokenizer.encode(text),
                            parts.tokens,
                            kind.equals("image") ? grids : List.of(),
                            kind.equals("image") ? List.of() : grids,
                            2 * expected.length);
            checks.ids(id + " prompt_ids", expected, prompt.ids());
            MropePositions positions = prompt.positions();
            checks.equal(
                    id + " position_delta",
                    golden.get("position_delta").integer(),
                    positions.delta());
            int length = prompt.ids().length;
            int[][] axes = new int[3][length];
            for (int i = 0; i < length; i++) {
                axes[0][i] = positions.time(i);
                axes[1][i] = positions.height(i);
                axes[2][i] = positions.width(i);
            }
            List<GoldenJson> rows = golden.get("position_ids").items();
            for (int axis = 0; axis < axes.length; axis++) {
                checks.ids(
                        id + " position_ids[" + axis + "]", rows.get(axis).integers(), axes[axis]);
            }
            return prompt;
        }

        /// Runs the tower over the exact patches.
        private List<float[]> embeddings(List<Patches> exact) {
            List<float[]> all = new ArrayList<>();
            List<float[]> towers = new ArrayList<>();
            for (Patches patches : exact) {
                Recording shown = new Recording();
                all.add(parts.tower.embed(patches, VisionTower.Splitter.NONE, shown));
                towers.add(shown.floats("vision_tower").orElseThrow());
            }
            String name = id + "." + kind;
            checks.closeToLargest(
                    id + " tower",
                    parts.tensors.floats(name + "_tower"),
                    concatenated(towers),
                    RELATIVE);
            checks.closeToLargest(
                    id + " embeddings",
                    parts.tensors.floats(name + "_embeddings"),
                    concatenated(all),
                    RELATIVE);
            return all;
        }

        private static float[] concatenated(List<float[]> all) {
            float[] whole = new float[all.stream().mapToInt(each -> each.length).sum()];
            int at = 0;
            for (float[] each : all) {
                System.arraycopy(each, 0, whole, at, each.length);
                at += each.length;
            }
            return whole;
        }

        /// What the text model sees in the place of the pads.
        private VisualInput visual(
                VisualPrompt prompt, List<Patches> exact, List<float[]> embeddings) {
            List<VisualRun> runs = kind.equals("image") ? prompt.pictures() : prompt.slices();
            List<VisualInput.Picture> pictures = new ArrayList<>();
            int next = 0;
            for (int i = 0; i < exact.size(); i++) {
                int slices = exact.get(i).grid().slices();
                int each = embeddings.get(i).length / slices;
                for (int slice = 0; slice < slices; slice++) {
                    pictures.add(
                            new VisualInput.Picture(
                                    runs.get(next++),
                                    Arrays.copyOfRange(
                                            embeddings.get(i), slice * each, (slice + 1) * each),
                                    exact.get(i).digest()));
                }
            }
            return new VisualInput(pictures);
        }

        /// Compares the logits after the prompt and the greedy answer.
        private void answer(VisualPrompt prompt, VisualInput visual) {
            int[] answer = golden.get("generated_ids").integers();
            boolean nearTie = golden.get("min_gap").number() < NEAR_TIE;
            int[] found = new int[answer.length];
            try (Engine.Sequence sequence = parts.engine.open(visual)) {
                float[][] logits = sequence.feed(prompt.ids(), ForwardObserver.NONE);
                float[] last = logits[logits.length - 1];
                checks.closeToLargest(
                        id + " last_logits",
                        parts.tensors.floats(id + ".last_logits"),
                        last,
                        RELATIVE);
                for (int i = 0; i < answer.length && !nearTie; i++) {
                    found[i] = Logits.largest(last, parts.vocabulary);
                    if (i + 1 < answer.length) {
                        last = sequence.feed(new int[] {answer[i]}, ForwardObserver.NONE)[0];
                    }
                }
            }
            if (!nearTie) {
                checks.ids(id + " generated_ids", answer, found);
            }
        }
    }
}
