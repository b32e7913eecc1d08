package io.atoll.model.gguf;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.atoll.model.config.VisionConfig;
import java.io.IOException;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class GgufProjectorTest {
    private static final String V = "clip.vision.";

    @TempDir Path directory;

    private static GgufBuilder metadata(String kind, int deepstack) {
        return new GgufBuilder()
                .string("general.architecture", "clip")
                .string("clip.projector_type", kind)
                .u32(V + "block_count", 1)
                .u32(V + "embedding_length", 8)
                .u32(V + "feed_forward_length", 6)
                .u32(V + "attention.head_count", 2)
                .u32(V + "patch_size", 2)
                .u32(V + "spatial_merge_size", 2)
                .u32(V + "projection_dim", 5)
                .integers(V + "is_deepstack_layers", GgufBuilder.BOOL, 1, deepstack);
    }

    private static GgufBuilder tensors(GgufBuilder file) {
        return file.f32Tensor("v.patch_embd.weight", ramp(0, 32), 2, 2, 1, 8)
                .f32Tensor("v.patch_embd.weight.1", ramp(100, 32), 2, 2, 1, 8)
                .f32Tensor("v.patch_embd.bias", ramp(1, 8), 8)
                .f32Tensor("v.position_embd.weight", ramp(2, 32), 8, 4)
                .f32Tensor("v.blk.0.ffn_down.weight", ramp(3, 48), 6, 8)
                .f32Tensor("v.blk.0.attn_qkv.bias", ramp(4, 24), 24)
                .f32Tensor("mm.2.bias", ramp(5, 5), 5);
    }

    private static float[] ramp(int first, int count) {
        float[] values = new float[count];
        for (int i = 0; i < count; i++) {
            values[i] = first + i;
        }
        return values;
    }

    @Test
    void weightsHaveTheNamesAndShapesOfARelease() throws IOException {
        Path file = tensors(metadata("qwen3vl_merger", 0)).write(directory.resolve("p.gguf"));
        try (GgufProjector projector = GgufProjector.open(file)) {
            assertEquals(new VisionConfig(1, 8, 6, 2, 1, 2, 2, 2, 4, 5), projector.config());
            assertArrayEquals(
                    ramp(3, 48),
                    projector.tensor("model.visual.blocks.0.mlp.linear_fc2.weight", 8, 6).floats());
            assertArrayEquals(
                    ramp(4, 24),
                    projector.tensor("model.visual.blocks.0.attn.qkv.bias", 24).floats());
            assertArrayEquals(
                    ramp(5, 5),
                    projector.tensor("model.visual.merger.linear_fc2.bias", 5).floats());
            GgufException e =
                    assertThrows(
                            GgufException.class,
                            () -> projector.tensor("model.visual.merger.norm.bias", 8));
            assertTrue(e.getMessage().contains("v.post_ln.bias"), e.getMessage());
        }
    }

    @Test
    void theTwoFramesOfThePatchConvolutionAreJoined() throws IOException {
        Path file = tensors(metadata("qwen3vl_merger", 0)).write(directory.resolve("p.gguf"));
        try (GgufProjector projector = GgufProjector.open(file)) {
            float[] joined =
                    projector
                            .tensor("model.visual.patch_embed.proj.weight", 8, 1, 2, 2, 2)
                            .floats();
            for (int channel = 0; channel < 8; channel++) {
                for (int pixel = 0; pixel < 4; pixel++) {
                    assertEquals(4 * channel + pixel, joined[8 * channel + pixel]);
                    assertEquals(100 + 4 * channel + pixel, joined[8 * channel + 4 + pixel]);
                }
            }
        }
    }

    @Test
    void otherProjectorsAreRefusedByName() throws IOException {
        assertRefused(tensors(metadata("gemma3", 0)), "gemma3");
        assertRefused(tensors(metadata("qwen3vl_merger", 1)), "deepstack");
    }

    private void assertRefused(GgufBuilder builder, String part) throws IOException {
        Path file = builder.write(directory.resolve("p.gguf"));
        GgufException e = assertThrows(GgufException.class, () -> GgufProjector.open(file));
        assertTrue(e.getMessage().contains(part), e.getMessage());
    }
}
