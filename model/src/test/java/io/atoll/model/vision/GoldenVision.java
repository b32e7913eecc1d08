package io.atoll.model.vision;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import io.atoll.model.checkpoint.Checkpoint;
import io.atoll.model.config.ModelConfig;
import io.atoll.model.config.VisionConfig;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.ValueLayout;
import java.net.URISyntaxException;
import java.nio.file.Path;
import java.util.stream.StreamSupport;
import javax.imageio.ImageIO;

/// The conformance set's `vision/`, cut down, and the demo model's processor.
public final class GoldenVision {
    private static final Path DEMO = Path.of(System.getProperty("atoll.root"), "demo-model");

    private GoldenVision() {}

    public static PictureProcessor processor() {
        VisionConfig vision = ModelConfig.read(DEMO.resolve("config.json")).vision().orElseThrow();
        return PictureProcessor.read(DEMO, vision);
    }

    public static JsonNode json(String name) {
        try {
            return new JsonMapper().readTree(path(name).toFile());
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    public static JsonNode aCase(String id) {
        return StreamSupport.stream(json("vision.json").get("cases").spliterator(), false)
                .filter(each -> each.get("id").asText().equals(id))
                .findFirst()
                .orElseThrow();
    }

    public static int[] ints(JsonNode list) {
        return StreamSupport.stream(list.spliterator(), false).mapToInt(JsonNode::asInt).toArray();
    }

    public static byte[] bytes(String tensor) {
        try (Checkpoint file = Checkpoint.open(path("vision.safetensors"))) {
            return file.find(tensor).orElseThrow().data().toArray(ValueLayout.JAVA_BYTE);
        }
    }

    public static float[] floats(String tensor) {
        try (Checkpoint file = Checkpoint.open(path("vision.safetensors"))) {
            return file.find(tensor).orElseThrow().floats();
        }
    }

    /// Exact patches of a case's only picture.
    public static Patches patches(String id) {
        JsonNode grid = aCase(id).get("image_grid_thw").get(0);
        return new Patches(
                new PatchGrid(1, grid.get(1).asInt(), grid.get(2).asInt(), 2),
                1,
                bytes(id + ".image_levels"));
    }

    /// Exact patches of a case's only clip.
    public static Patches clip(String id) {
        JsonNode grid = aCase(id).get("video_grid_thw").get(0);
        return new Patches(
                new PatchGrid(grid.get(0).asInt(), grid.get(1).asInt(), grid.get(2).asInt(), 2),
                2,
                bytes(id + ".video_levels"));
    }

    static RgbPicture picture(String name) {
        try {
            return RgbPicture.of(ImageIO.read(path(name).toFile()));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static Path path(String name) {
        try {
            return Path.of(GoldenVision.class.getResource("/vision/" + name).toURI());
        } catch (URISyntaxException e) {
            throw new IllegalStateException(e);
        }
    }
}
