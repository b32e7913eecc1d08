package io.atoll.model.reference;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.atoll.kernels.KernelLibrary;
import io.atoll.model.DemoModel;
import io.atoll.model.ModelDirectory;
import io.atoll.model.checkpoint.CheckpointException;
import io.atoll.model.checkpoint.DType;
import io.atoll.model.checkpoint.Tensor;
import io.atoll.model.trace.ForwardObserver;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/// Quantised releases run end to end: each gives the bits of a twin whose weights are the same numbers as plain floats.
///
/// Random codes take the place of the weights of two layers of the demo model, so nothing here quantises. That every value of
/// every format is decoded as other implementations do is tested where the formats are.
class QuantizedReleaseTest {
    private static final int[] PROMPT = {2017, 801, 261, 198, 344, 287, 273};

    @TempDir private Path directory;

    /// Random weights in one format.
    ///
    /// @param tensors as the release has them
    /// @param values what they mean, row-major
    record Coded(List<Tensor> tensors, float[] values) {}

    /// A way to store matrices, with small scales, so that the forward pass stays within bounds.
    enum Format {
        FP8("{\"quant_method\": \"fp8\", \"fmt\": \"e4m3\", \"weight_block_size\": [128, 128]}") {
            @Override
            Coded code(String base, int rows, int cols, Random random) {
                byte[] codes = fp8Codes(rows * cols, random);
                int across = Math.ceilDiv(cols, 128);
                float[] scales = scales(Math.ceilDiv(rows, 128) * across, random);
                float[] values = new float[rows * cols];
                for (int i = 0; i < values.length; i++) {
                    int block = i / cols / 128 * across + i % cols / 128;
                    values[i] = e4m3(codes[i]) * (scales[block] / 64);
                }
                float[] stored = scales.clone();
                for (int i = 0; i < stored.length; i++) {
                    stored[i] /= 64;
                }
                return new Coded(
                        List.of(
                                tensor(base + ".weight", DType.F8_E4M3, codes, rows, cols),
                                floats(base + ".weight_scale_inv", stored, -1, across)),
                        values);
            }
        },
        GPTQ("{\"quant_method\": \"gptq\", \"bits\": 4, \"group_size\": 32, \"desc_act\": false}") {
            @Override
            Coded code(String base, int rows, int cols, Random random) {
                int groups = cols / 32;
                int[] words = words(cols / 8 * rows, random);
                int[] zeros = words(groups * rows / 8, random);
                float[] scales = scales(groups * rows, random);
                float[] values = new float[rows * cols];
                for (int row = 0; row < rows; row++) {
                    for (int col = 0; col < cols; col++) {
                        int group = col / 32;
                        int q = words[col / 8 * rows + row] >>> (col % 8 * 4) & 15;
                        int zero = zeros[group * (rows / 8) + row / 8] >>> (row % 8 * 4) & 15;
                        values[row * cols + col] =
                                (q - (zero + 1 & 15)) * scales[group * rows + row];
                    }
                }
                return new Coded(
                        List.of(
                                ints(base + ".qweight", words, cols / 8, rows),
                                ints(base + ".qzeros", zeros, groups, rows / 8),
                                floats(base + ".scales", scales, groups, rows)),
                        values);
            }
        },
        AWQ("{\"quant_method\": \"awq\", \"bits\": 4, \"group_size\": 32, \"version\": \"gemm\"}") {
            private static final int[] ORDER = {0, 4, 1, 5, 2, 6, 3, 7};

            @Override
            Coded code(String base, int rows, int cols, Random random) {
                int groups = cols / 32;
                int[] words = words(cols * rows / 8, random);
                int[] zeros = words(groups * rows / 8, random);
                float[] scales = scales(groups * rows, random);
                float[] values = new float[rows * cols];
                for (int row = 0; row < rows; row++) {
                    int shift = 4 * ORDER[row % 8];
                    for (int col = 0; col < cols; col++) {
                        int group = col / 32;
                        int q = words[col * (rows / 8) + row / 8] >>> shift & 15;
                        int zero = zeros[group * (rows / 8) + row / 8] >>> shift & 15;
                        values[row * cols + col] = (q - zero) * scales[group * rows + row];
                    }
                }
                return new Coded(
                        List.of(
                                ints(base + ".qweight", words, cols, rows / 8),
                                ints(base + ".qzeros", zeros, groups, rows / 8),
                                floats(base + ".scales", scales, groups, rows)),
                        values);
            }
        },
        INT4(
                "{\"quant_method\": \"compressed-tensors\", \"format\": \"pack-quantized\","
                        + " \"config_groups\": {\"group_0\": {\"weights\": {\"num_bits\": 4,"
                        + " \"group_size\": 32}}}}") {
            @Override
            Coded code(String base, int rows, int cols, Random random) {
                int[] words = words(rows * cols / 8, random);
                float[] scales = scales(rows * cols / 32, random);
                float[] values = new float[rows * cols];
                for (int i = 0; i < values.length; i++) {
                    int q = (words[i / 8] >>> (i % 8 * 4) & 15) - 8;
                    values[i] = q * scales[i / 32];
                }
                return new Coded(
                        List.of(
                                ints(base + ".weight_packed", words, rows, cols / 8),
                                ints(base + ".weight_shape", new int[] {rows, cols}, 2),
                                floats(base + ".weight_scale", scales, rows, cols / 32)),
                        values);
            }
        },
        NVFP4("{\"quant_method\": \"modelopt\", \"quant_algo\": \"NVFP4\"}") {
            @Override
            Coded code(String base, int rows, int cols, Random random) {
                byte[] codes = bytes(rows * cols / 2, random);
                byte[] scales = fp8Codes(rows * cols / 16, random);
                float whole = 1f / 4096; // a power of two: the order of factors does not matter
                float[] values = new float[rows * cols];
                for (int i = 0; i < values.length; i++) {
                    values[i] = e2m1(codes[i / 2] >>> (i % 2 * 4)) * e4m3(scales[i / 16]) * whole;
                }
                return new Coded(
                        List.of(
                                tensor(base + ".weight", DType.U8, codes, rows, cols / 2),
                                tensor(
                                        base + ".weight_scale",
                                        DType.F8_E4M3,
                                        scales,
                                        rows,
                                        cols / 16),
                                floats(base + ".weight_scale_2", new float[] {whole}, 1)),
                        values);
            }
        },
        MXFP4("{\"quant_method\": \"quark\"}") {
            @Override
            Coded code(String base, int rows, int cols, Random random) {
                byte[] codes = bytes(rows * cols / 2, random);
                byte[] scales = new byte[rows * cols / 32];
                float[] values = new float[rows * cols];
                for (int i = 0; i < scales.length; i++) {
                    scales[i] = (byte) (115 + random.nextInt(6));
                }
                for (int i = 0; i < values.length; i++) {
                    values[i] =
                            Math.scalb(
                                    e2m1(codes[i / 2] >>> (i % 2 * 4)),
                                    (scales[i / 32] & 0xFF) - 127);
                }
                return new Coded(
                        List.of(
                                tensor(base + ".weight", DType.U8, codes, rows, cols / 2),
                                tensor(base + ".weight_scale", DType.U8, scales, rows, cols / 32)),
                        values);
            }
        };

        private final String config;

        Format(String config) {
            this.config = config;
        }

        abstract Coded code(String base, int rows, int cols, Random random);
    }

    @ParameterizedTest
    @EnumSource(Format.class)
    void quantisedReleaseGivesTheBitsOfItsPlainTwin(Format format) throws IOException {
        Path quantised = Files.createDirectory(directory.resolve("quantised"));
        Path plain = Files.createDirectory(directory.resolve("plain"));
        write(quantised, format, true, config -> withQuantization(config, format));
        write(plain, format, false, UnaryOperator.identity());
        assertArrayEquals(logits(plain), logits(quantised));
    }

    @Test
    void quantisedTensorsWithoutAConfigurationAreRefusedByName() throws IOException {
        write(directory, Format.FP8, true, UnaryOperator.identity());
        CheckpointException refusal =
                assertThrows(CheckpointException.class, () -> logits(directory));
        assertTrue(refusal.where().contains("layers.2."), refusal.where());
        assertTrue(
                refusal.getMessage().contains("config.json has no quantization_config"),
                refusal.getMessage());
    }

    @Test
    void anotherConfigurationIsAnotherModel() throws IOException {
        write(directory, Format.FP8, true, config -> withQuantization(config, Format.FP8));
        String before = digest(directory);
        Path file = directory.resolve("config.json");
        Files.writeString(
                file,
                Files.readString(file).replaceAll("\\[\\s*128\\s*,\\s*128\\s*\\]", "[64,64]"));
        assertEquals(64, before.length());
        assertTrue(!before.equals(digest(directory)), "the digest must change");
    }

    private static String digest(Path path) {
        try (ModelDirectory model = ModelDirectory.open(path)) {
            return model.modelDigest();
        }
    }

    private static float[][] logits(Path path) {
        try (ModelDirectory model = ModelDirectory.open(path);
                Reference reference =
                        Reference.open(model, KernelLibrary.select(Optional.empty()));
                Session session = reference.session()) {
            return session.feed(PROMPT, ForwardObserver.NONE);
        }
    }

    private static ObjectNode withQuantization(ObjectNode config, Format format) {
        try {
            return config.set("quantization_config", new JsonMapper().readTree(format.config));
        } catch (IOException e) {
            throw new AssertionError(e);
        }
    }

    /// The demo model with new weights in two layers (one of each mixer), coded or as floats.
    private static void write(
            Path target, Format format, boolean coded, UnaryOperator<ObjectNode> config)
            throws IOException {
        Random random = new Random(11); // the same weights for both twins
        RewrittenModel.write(
                DemoModel.path(),
                target,
                config,
                tensor -> {
                    if (!tensor.name().matches(".*language_model\\.layers\\.[23]\\..*")) {
                        return List.of(tensor);
                    }
                    List<Tensor> replaced = new ArrayList<>();
                    String name = tensor.name();
                    if (name.endsWith("experts.gate_up_proj")
                            || name.endsWith("experts.down_proj")) {
                        boolean down = name.endsWith("down_proj");
                        String prefix = name.substring(0, name.lastIndexOf('.') + 1);
                        int rows = (int) tensor.dim(1) / (down ? 1 : 2);
                        int cols = (int) tensor.dim(2);
                        for (int e = 0; e < tensor.dim(0); e++) {
                            for (String part : down ? List.of("down") : List.of("gate", "up")) {
                                String base = prefix + e + "." + part + "_proj";
                                add(
                                        replaced,
                                        format.code(base, rows, cols, random),
                                        base,
                                        coded,
                                        cols);
                            }
                        }
                        return replaced;
                    }
                    if (!name.matches(".*(qkv|_z|out|[qkvo]|gate|up|down)(_proj)?\\.weight")
                            || name.endsWith("mlp.gate.weight")
                            || name.endsWith("shared_expert_gate.weight")) {
                        return List.of(tensor);
                    }
                    String base = name.substring(0, name.length() - ".weight".length());
                    int cols = (int) tensor.dim(1);
                    add(
                            replaced,
                            format.code(base, (int) tensor.dim(0), cols, random),
                            base,
                            coded,
                            cols);
                    return replaced;
                });
    }

    private static void add(List<Tensor> to, Coded matrix, String base, boolean coded, int cols) {
        if (coded) {
            to.addAll(matrix.tensors);
        } else {
            to.add(floats(base + ".weight", matrix.values, -1, cols));
        }
    }

    private static byte[] bytes(int count, Random random) {
        byte[] bytes = new byte[count];
        random.nextBytes(bytes);
        return bytes;
    }

    /// Codes of numbers: the two NaNs of E4M3 are left out.
    private static byte[] fp8Codes(int count, Random random) {
        byte[] codes = bytes(count, random);
        for (int i = 0; i < count; i++) {
            codes[i] = (codes[i] & 0x7F) == 0x7F ? 0 : codes[i];
        }
        return codes;
    }

    private static int[] words(int count, Random random) {
        return random.ints(count).toArray();
    }

    /// Small powers of two or three times them, which F16 and F32 hold.
    private static float[] scales(int count, Random random) {
        float[] scales = new float[count];
        for (int i = 0; i < count; i++) {
            scales[i] = (1 + 2 * random.nextInt(2)) / 1024f;
        }
        return scales;
    }

    private static float e4m3(byte code) {
        int exponent = code >> 3 & 15;
        float magnitude =
                exponent == 0
                        ? Math.scalb((float) (code & 7), -9)
                        : Math.scalb((float) (8 + (code & 7)), exponent - 10);
        return code < 0 ? -magnitude : magnitude;
    }

    private static float e2m1(int code) {
        float magnitude = new float[] {0, 0.5f, 1, 1.5f, 2, 3, 4, 6}[code & 7];
        return (code & 8) != 0 ? -magnitude : magnitude;
    }

    private static Tensor ints(String name, int[] values, long... shape) {
        ByteBuffer bytes = ByteBuffer.allocate(4 * values.length).order(ByteOrder.LITTLE_ENDIAN);
        bytes.asIntBuffer().put(values);
        return tensor(name, DType.I32, bytes.array(), shape);
    }

    /// An F32 tensor; -1 in a shape stands for what is left.
    private static Tensor floats(String name, float[] values, long... shape) {
        ByteBuffer bytes = ByteBuffer.allocate(4 * values.length).order(ByteOrder.LITTLE_ENDIAN);
        bytes.asFloatBuffer().put(values);
        if (shape[0] == -1) {
            shape[0] = values.length / shape[1];
        }
        return tensor(name, DType.F32, bytes.array(), shape);
    }

    private static Tensor tensor(String name, DType dtype, byte[] bytes, long... shape) {
        return new Tensor(name, dtype, shape, MemorySegment.ofArray(bytes), Path.of("made"));
    }
}
