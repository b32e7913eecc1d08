package io.atoll.model.gguf;

import io.atoll.model.checkpoint.DType;
import io.atoll.model.checkpoint.Tensor;
import io.atoll.model.config.VisionConfig;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.Map;
import java.util.Optional;

/// The vision tower of a model in a GGUF file of its own (`mmproj-*.gguf`): its sizes, and its weights under the names and
/// with the shapes of a release.
///
/// Owns the mapped file: `close()` unmaps it.
public final class GgufProjector implements AutoCloseable {
    private static final String PREFIX = "model.visual.";
    private static final String BLOCKS = "blocks.";
    private static final String PATCHES = "patch_embed.proj.weight";
    private static final String PATCHES_FIRST = "v.patch_embd.weight";
    private static final String PATCHES_SECOND = "v.patch_embd.weight.1";
    private static final String POSITIONS = "v.position_embd.weight";
    private static final String KIND = "qwen3vl_merger";
    private static final int FRAMES = 2;

    private static final Map<String, String> TOP =
            Map.of(
                    "patch_embed.proj", "v.patch_embd",
                    "pos_embed", "v.position_embd",
                    "merger.norm", "v.post_ln",
                    "merger.linear_fc1", "mm.0",
                    "merger.linear_fc2", "mm.2");

    private static final Map<String, String> BLOCK =
            Map.of(
                    "norm1", "ln1",
                    "norm2", "ln2",
                    "attn.qkv", "attn_qkv",
                    "attn.proj", "attn_out",
                    "mlp.linear_fc1", "ffn_up",
                    "mlp.linear_fc2", "ffn_down");

    private final GgufFile file;
    private final VisionConfig config;

    private GgufProjector(GgufFile file) {
        this.file = file;
        this.config = readConfig(file);
    }

    /// Opens a projector.
    ///
    /// @throws GgufException if the file is missing or damaged, or holds no projector of this family
    public static GgufProjector open(Path path) {
        GgufFile file = GgufFile.open(path);
        try {
            return new GgufProjector(file);
        } catch (RuntimeException e) {
            file.close();
            throw e;
        }
    }

    /// The file.
    public GgufFile file() {
        return file;
    }

    /// The tower's sizes.
    public VisionConfig config() {
        return config;
    }

    /// A weight under its release's name (`model.visual.…`), as F32 of this shape.
    ///
    /// @throws GgufException if the file lacks it, or it has another shape
    public Tensor tensor(String name, long... shape) {
        if (name.equals(PREFIX + PATCHES)) {
            return patches(name, shape);
        }
        String stored =
                storedName(name)
                        .orElseThrow(
                                () ->
                                        new GgufException(
                                                file.path(),
                                                name,
                                                "is no weight that such files have"));
        GgufTensor tensor = file.require(stored).expectShape(shape);
        return tensor(name, tensor.floats(), shape, tensor.file());
    }

    /// The convolution over two frames, which the file keeps as one tensor a frame.
    private Tensor patches(String name, long[] shape) {
        if (shape.length != 5 || shape[2] != FRAMES) {
            throw new IllegalArgumentException(
                    "the patch embedding has 5 dimensions, two frames in the third");
        }
        long[] frameShape = {shape[0], shape[1], shape[3], shape[4]};
        GgufTensor tensor = file.require(PATCHES_FIRST).expectShape(frameShape);
        float[] first = tensor.floats();
        float[] second = file.require(PATCHES_SECOND).expectShape(frameShape).floats();
        float[] both = new float[2 * first.length];
        int plane = (int) (shape[3] * shape[4]);
        for (int i = 0; i < first.length / plane; i++) {
            System.arraycopy(first, i * plane, both, 2 * i * plane, plane);
            System.arraycopy(second, i * plane, both, (2 * i + 1) * plane, plane);
        }
        return tensor(name, both, shape, tensor.file());
    }

    private static Tensor tensor(String name, float[] values, long[] shape, Path file) {
        MemorySegment bytes = GgufWeights.littleEndian(values);
        return new Tensor(name, DType.F32, shape, bytes, file);
    }

    private static Optional<String> storedName(String name) {
        int dot = name.lastIndexOf('.');
        if (!name.startsWith(PREFIX) || dot <= PREFIX.length()) {
            return Optional.empty();
        }
        String module = name.substring(PREFIX.length(), dot);
        String kind = name.substring(dot); // .weight or .bias
        if (TOP.containsKey(module)) {
            return Optional.of(TOP.get(module) + kind);
        }
        int second = module.startsWith(BLOCKS) ? module.indexOf('.', BLOCKS.length()) : -1;
        String part = second < 0 ? "" : module.substring(second + 1);
        return BLOCK.containsKey(part)
                ? Optional.of(
                        "v.blk."
                                + module.substring(BLOCKS.length(), second)
                                + "."
                                + BLOCK.get(part)
                                + kind)
                : Optional.empty();
    }

    private static VisionConfig readConfig(GgufFile file) {
        GgufMetadata metadata = file.metadata();
        mustBe(metadata, "general.architecture", GgufModel.PROJECTOR);
        mustBe(metadata, "clip.projector_type", KIND);
        String vision = "clip.vision.";
        Optional<GgufArray> deepstack = metadata.findArray(vision + "is_deepstack_layers");
        for (int i = 0; i < deepstack.map(GgufArray::size).orElse(0); i++) {
            if (deepstack.get().integer(i) != 0) {
                throw new GgufException(
                        metadata.file(),
                        vision + "is_deepstack_layers",
                        "deepstack is not supported, found it in layer " + i);
            }
        }
        GgufTensor patches = file.require(PATCHES_FIRST);
        GgufTensor positions = file.require(POSITIONS);
        if (patches.rank() != 4 || patches.dim(1) > 16) {
            throw new GgufException(
                    patches.file(), patches.name(), "expected 4 dimensions, found " + patches);
        }
        if (positions.rank() != 2 || positions.dim(0) > 1 << 20) {
            throw new GgufException(
                    positions.file(), positions.name(), "expected a matrix, found " + positions);
        }
        try {
            return new VisionConfig(
                    metadata.integer(vision + "block_count", 1, 1024),
                    metadata.integer(vision + "embedding_length", 4, 1 << 16),
                    metadata.integer(vision + "feed_forward_length", 1, 1 << 18),
                    metadata.integer(vision + "attention.head_count", 1, 1024),
                    (int) patches.dim(1),
                    metadata.integer(vision + "patch_size", 1, 256),
                    metadata.integer(vision + "spatial_merge_size", 1, 16),
                    FRAMES,
                    (int) positions.dim(0),
                    metadata.integer(vision + "projection_dim", 1, 1 << 18));
        } catch (IllegalArgumentException e) {
            throw new GgufException(
                    file.path(), "metadata", "is inconsistent: " + e.getMessage(), e);
        }
    }

    private static void mustBe(GgufMetadata metadata, String key, String only) {
        String found = metadata.string(key);
        if (!found.equals(only)) {
            throw new GgufException(
                    metadata.file(),
                    key,
                    "expected " + only + ", found \"" + GgufMetadata.shorten(found) + "\"");
        }
    }

    @Override
    public void close() {
        file.close();
    }
}
