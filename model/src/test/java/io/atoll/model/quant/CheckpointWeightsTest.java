package io.atoll.model.quant;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import io.atoll.model.checkpoint.Checkpoint;
import io.atoll.model.checkpoint.CheckpointException;
import io.atoll.model.checkpoint.DType;
import io.atoll.model.checkpoint.SafetensorsWriter;
import io.atoll.model.checkpoint.TensorNames;
import io.atoll.model.config.QuantizationConfig;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class CheckpointWeightsTest {
    private static final String BASE = "model.layers.0.mlp.down_proj";
    private static final String FP8 = "{'quant_method':'fp8','weight_block_size':[2,4]}";
    private static final String TENSORS = "{'quant_method':'compressed-tensors'}";
    private static final String MODELOPT = "{'quant_method':'modelopt','quant_algo':'NVFP4'}";

    @TempDir Path directory;
    private final List<Checkpoint> opened = new ArrayList<>();

    @AfterEach
    void closeCheckpoints() {
        opened.forEach(Checkpoint::close);
    }

    /// The expected values were computed from the integers before these were packed.
    @ParameterizedTest
    @ValueSource(
            strings = {
                "gptq",
                "gptq_desc_act",
                "awq",
                "compressed_tensors_int4",
                "nvfp4_modelopt",
                "nvfp4_compressed_tensors",
                "mxfp4"
            })
    void goldenLayoutsDecodeToTheSameBits(String layout) throws IOException {
        JsonNode entry =
                new JsonMapper()
                        .readTree(Files.readString(TestResources.file("layouts.json")))
                        .get(layout);
        try (Checkpoint golden = Checkpoint.open(TestResources.file(layout + ".safetensors"))) {
            WeightStore weights =
                    new CheckpointWeights(
                            golden,
                            config(entry.get("quantization_config").toString()),
                            new TensorNames("model.language_model."));
            long[] shape = golden.require("expected").shape();
            String name = entry.get("weight").textValue();
            WeightMatrix matrix = weights.matrix(name, (int) shape[0], (int) shape[1]);
            float[] expected = golden.require("expected").floats();
            assertArrayEquals(expected, matrix.floats());

            // A part of the rows, by way of a segment, gives the same.
            int cols = matrix.cols();
            MemorySegment out = MemorySegment.ofArray(new byte[4 * 2 * cols]);
            matrix.decodeRows(1, 2, out);
            for (int i = 0; i < 2 * cols; i++) {
                assertEquals(expected[cols + i], out.get(ValueLayout.JAVA_FLOAT_UNALIGNED, 4L * i));
            }
            assertTrue(weights.contains(name + (name.endsWith(".weight") ? "" : ".weight")));
        }
    }

    @Test
    void fp8BlocksMeetTheirOwnScaleAlsoAtRaggedEdges() throws IOException {
        byte[] codes = new byte[3 * 6];
        for (int i = 0; i < codes.length; i++) {
            codes[i] = (byte) (0x38 + i); // 1 and up
        }
        float[] scales = {1, 2, 4, 8};
        SafetensorsWriter file =
                new SafetensorsWriter()
                        .add(BASE + ".weight", DType.F8_E4M3, shape(3, 6), bytes(codes))
                        .addBf16(BASE + ".weight_scale_inv", shape(2, 2), scales);
        WeightMatrix matrix = open(file, FP8).matrix(BASE + ".weight", 3, 6);
        float[] found = matrix.floats();
        for (int row = 0; row < 3; row++) {
            for (int col = 0; col < 6; col++) {
                float scale = scales[row / 2 * 2 + col / 4];
                assertEquals(
                        MiniFloats.e4m3(codes[row * 6 + col]) * scale,
                        found[row * 6 + col],
                        row + "," + col);
            }
        }
        assertEquals("FP8 E4M3 with 2x4 block scales", matrix.encoding());
    }

    @Test
    void fp8TakesOneScaleOrOneForEachRow() throws IOException {
        byte[] codes = {0x38, 0x40, 0x38, 0x40}; // 1 2 / 1 2
        for (String method : new String[] {TENSORS, MODELOPT, "{'quant_method':'quark'}"}) {
            assertArrayEquals(
                    new float[] {3, 6, 3, 6}, fp8(codes, method, new float[] {3}, shape(1)));
            assertArrayEquals(
                    new float[] {3, 6, 3, 6}, fp8(codes, method, new float[] {3}, shape()));
            assertArrayEquals(
                    new float[] {3, 6, 5, 10}, fp8(codes, method, new float[] {3, 5}, shape(2, 1)));
            assertArrayEquals(
                    new float[] {3, 6, 5, 10}, fp8(codes, method, new float[] {3, 5}, shape(2)));
        }
    }

    @Test
    void int8TakesZeroPointsAndGroups() throws IOException {
        byte[] quants = {1, 2, 3, 4, -1, -2, -3, -4};
        SafetensorsWriter file =
                new SafetensorsWriter()
                        .add(BASE + ".weight", DType.I8, shape(2, 4), bytes(quants))
                        .addF32(BASE + ".weight_scale", shape(2, 2), new float[] {1, 2, 4, 8})
                        .add(
                                BASE + ".weight_zero_point",
                                DType.I8,
                                shape(2, 2),
                                bytes((byte) 0, (byte) 1, (byte) -1, (byte) 0));
        assertArrayEquals(
                new float[] {1, 2, 4, 6, 0, -4, -24, -32},
                open(file, TENSORS).matrix(BASE + ".weight", 2, 4).floats());
    }

    @Test
    void packedInt8IsToldFromInt4ByItsShape() throws IOException {
        // 8 columns: two words of four bytes, values moved up by 128.
        byte[] words = {(byte) 128, (byte) 129, 127, 0, (byte) 255, (byte) 128, (byte) 130, 126};
        SafetensorsWriter file =
                new SafetensorsWriter()
                        .add(BASE + ".weight_packed", DType.I32, shape(1, 2), bytes(words))
                        .addF32(BASE + ".weight_scale", shape(1, 1), new float[] {2})
                        .add(BASE + ".weight_shape", DType.I64, shape(2), longs(1, 8));
        assertArrayEquals(
                new float[] {0, 2, -2, -256, 254, 0, 4, -4},
                open(file, TENSORS).matrix(BASE + ".weight", 1, 8).floats());
    }

    @Test
    void packedZeroPointsAreReadAlongTheRows() throws IOException {
        SafetensorsWriter file =
                new SafetensorsWriter()
                        .add(BASE + ".weight_packed", DType.I32, shape(2, 1), ints(0x88888889, 0))
                        .addF32(BASE + ".weight_scale", shape(2, 1), new float[] {1, 2})
                        .add(BASE + ".weight_zero_point", DType.I32, shape(1, 1), ints(0x37))
                        .add(BASE + ".weight_shape", DType.I64, shape(2), longs(2, 8));
        // Row 0 has zero point 7, row 1 has 3.
        assertArrayEquals(
                new float[] {2, 1, 1, 1, 1, 1, 1, 1, -6, -6, -6, -6, -6, -6, -6, -6},
                open(file, TENSORS).matrix(BASE + ".weight", 2, 8).floats());
    }

    @Test
    void gptqZeroPointsAreStoredLessOneInTheFirstVersionOnly() throws IOException {
        String first = "{'quant_method':'gptq','bits':4,'group_size':8}";
        String second =
                "{'quant_method':'gptq','bits':4,'group_size':8,'checkpoint_format':'gptq_v2'}";
        // One input group of 8, eight outputs, every weight 8, zero points 7, 0 and 15 stored
        // first.
        int[] weights = {
            0x88888888,
            0x88888888,
            0x88888888,
            0x88888888,
            0x88888888,
            0x88888888,
            0x88888888,
            0x88888888
        };
        SafetensorsWriter file =
                new SafetensorsWriter()
                        .add(BASE + ".qweight", DType.I32, shape(1, 8), ints(weights))
                        .add(BASE + ".qzeros", DType.I32, shape(1, 1), ints(0x77777F07))
                        .addF32(
                                BASE + ".scales",
                                shape(1, 8),
                                new float[] {1, 1, 1, 1, 1, 1, 1, 1});
        WeightMatrix stored = open(file, first).matrix(BASE + ".weight", 8, 8);
        assertEquals(0, stored.floats()[0]); // 8 - (7 + 1)
        assertEquals(7, stored.floats()[8]); // 8 - (0 + 1)
        assertEquals(8, stored.floats()[16]); // 15 stands for 0
        WeightMatrix whole = open(file, second).matrix(BASE + ".weight", 8, 8);
        assertEquals(1, whole.floats()[0]);
        assertEquals(8, whole.floats()[8]);
        assertEquals(-7, whole.floats()[16]);
    }

    @Test
    void plainWeightsOfAQuantisedReleaseStayPlain() throws IOException {
        SafetensorsWriter file =
                new SafetensorsWriter()
                        .addBf16(BASE + ".weight", shape(2, 2), new float[] {1, 2, 3, 4});
        WeightMatrix matrix = open(file, FP8).matrix(BASE + ".weight", 2, 2);
        assertArrayEquals(new float[] {1, 2, 3, 4}, matrix.floats());
        assertEquals(DType.BF16, matrix.plain().orElseThrow().dtype());
    }

    @Test
    void fusedExpertsAreAskedForOneByOne() throws IOException {
        String layer = "model.layers.0.mlp.experts.";
        float[] gateUp = {0, 1, 2, 3, 4, 5, 6, 7};
        SafetensorsWriter file =
                new SafetensorsWriter()
                        .addF32(layer + "gate_up_proj", shape(2, 2, 2), gateUp)
                        .addF32(layer + "down_proj", shape(2, 2, 1), new float[] {8, 9, 10, 11});
        WeightStore weights = open(file, FP8);
        assertArrayEquals(
                new float[] {4, 5}, weights.matrix(layer + "1.gate_proj.weight", 1, 2).floats());
        assertArrayEquals(
                new float[] {6, 7}, weights.matrix(layer + "1.up_proj.weight", 1, 2).floats());
        assertArrayEquals(
                new float[] {8, 9}, weights.matrix(layer + "0.down_proj.weight", 2, 1).floats());
        assertTrue(weights.contains(layer + "1.up_proj.weight"));
        assertFalse(weights.contains(layer + "1.side_proj.weight"));
        assertMessage(
                () -> weights.matrix(layer + "2.up_proj.weight", 1, 2), "2 experts", "expert 2");
    }

    @Test
    void quantisedTensorsWithoutAConfigurationAreRefused() throws IOException {
        SafetensorsWriter file = fp8File(new byte[4], new float[] {1}, shape(1), ".weight_scale");
        file.write(directory.resolve("model.safetensors"));
        try (Checkpoint checkpoint = Checkpoint.open(directory.resolve("model.safetensors"))) {
            WeightStore weights =
                    new CheckpointWeights(checkpoint, Optional.empty(), new TensorNames("model."));
            assertMessage(
                    () -> weights.matrix(BASE + ".weight", 2, 2),
                    BASE + ".weight",
                    "quantization_config");
        }
    }

    @Test
    void anEncodingOfAnotherMethodIsRefused() throws IOException {
        SafetensorsWriter file = fp8File(new byte[4], new float[] {1}, shape(1), ".weight_scale");
        String awq = "{'quant_method':'awq','bits':4}";
        assertMessage(() -> open(file, awq).matrix(BASE + ".weight", 2, 2), BASE, "FP8", "\"awq\"");
    }

    @Test
    void scalesThatFitNoBlockAreRefused() throws IOException {
        SafetensorsWriter file =
                fp8File(new byte[4], new float[] {1, 2, 3}, shape(3), ".weight_scale_inv");
        assertMessage(
                () -> open(file, FP8).matrix(BASE + ".weight", 2, 2),
                "weight_scale_inv",
                "[3]",
                "2x4");
    }

    @Test
    void codesWithoutScalesAreRefused() throws IOException {
        SafetensorsWriter file =
                new SafetensorsWriter()
                        .add(BASE + ".weight", DType.F8_E4M3, shape(2, 2), bytes(new byte[4]));
        assertMessage(
                () -> open(file, FP8).matrix(BASE + ".weight", 2, 2), "F8_E4M3", "weight_scale");
    }

    @Test
    void otherEightBitFloatsAreRefusedByName() throws IOException {
        SafetensorsWriter file =
                new SafetensorsWriter()
                        .add(BASE + ".weight", DType.F8_E5M2, shape(2, 2), bytes(new byte[4]))
                        .addF32(BASE + ".weight_scale", shape(1), new float[] {1});
        assertMessage(() -> open(file, FP8).matrix(BASE + ".weight", 2, 2), "F8_E5M2");
    }

    @Test
    void aWeightStoredTwiceIsRefused() throws IOException {
        SafetensorsWriter file =
                new SafetensorsWriter()
                        .addF32(BASE + ".weight", shape(1, 1), new float[] {1})
                        .add(BASE + ".qweight", DType.I32, shape(1, 8), bytes(new byte[32]));
        assertMessage(() -> open(file, FP8).matrix(BASE + ".weight", 1, 1), ".weight and .qweight");
    }

    @Test
    void aGroupOutsideTheScalesIsRefused() throws IOException {
        SafetensorsWriter file =
                new SafetensorsWriter()
                        .add(BASE + ".qweight", DType.I32, shape(1, 8), bytes(new byte[32]))
                        .add(BASE + ".qzeros", DType.I32, shape(1, 1), ints(0))
                        .addF32(BASE + ".scales", shape(1, 8), new float[8])
                        .add(BASE + ".g_idx", DType.I32, shape(8), ints(0, 0, 0, 0, 0, 0, 0, 1));
        assertMessage(
                () -> open(file, "{'quant_method':'gptq','bits':4}").matrix(BASE + ".weight", 8, 8),
                "g_idx",
                "column 7",
                "group 1 of 1");
    }

    @Test
    void wrongSizesAndMissingTensorsAreNamed() throws IOException {
        SafetensorsWriter file =
                new SafetensorsWriter().addF32(BASE + ".weight", shape(1, 2), new float[2]);
        WeightStore weights = open(file, FP8);
        assertMessage(() -> weights.matrix(BASE + ".weight", 2, 1), BASE, "[2, 1]", "[1, 2]");
        assertMessage(() -> weights.matrix("model.other.weight", 1, 1), "model.other.weight");
    }

    @Test
    void awqAdjustedModeloptWeightsAreRefused() throws IOException {
        SafetensorsWriter file =
                new SafetensorsWriter()
                        .add(BASE + ".weight", DType.U8, shape(1, 8), bytes(new byte[8]))
                        .add(BASE + ".weight_scale", DType.F8_E4M3, shape(1, 1), bytes((byte) 1))
                        .addF32(BASE + ".weight_scale_2", shape(), new float[] {1})
                        .addF32(BASE + ".pre_quant_scale", shape(16), new float[16]);
        assertMessage(
                () -> open(file, MODELOPT).matrix(BASE + ".weight", 1, 16), "pre_quant_scale");
    }

    private float[] fp8(byte[] codes, String method, float[] scales, long[] shape)
            throws IOException {
        return open(fp8File(codes, scales, shape, ".weight_scale"), method)
                .matrix(BASE + ".weight", 2, 2)
                .floats();
    }

    private static SafetensorsWriter fp8File(
            byte[] codes, float[] scales, long[] shape, String suffix) {
        return new SafetensorsWriter()
                .add(BASE + ".weight", DType.F8_E4M3, shape(2, 2), bytes(codes))
                .addF32(BASE + suffix, shape, scales);
    }

    /// Opens what a writer holds.
    private WeightStore open(SafetensorsWriter writer, String config) throws IOException {
        Path file = Files.createTempFile(directory, "weights", ".safetensors");
        writer.write(file);
        Checkpoint checkpoint = Checkpoint.open(file);
        opened.add(checkpoint);
        return new CheckpointWeights(
                checkpoint, config(config.replace('\'', '"')), new TensorNames("model."));
    }

    private Optional<QuantizationConfig> config(String json) throws IOException {
        Files.writeString(
                directory.resolve("config.json"), "{\"quantization_config\":" + json + "}");
        return QuantizationConfig.read(directory);
    }

    private interface Call {
        void run() throws IOException;
    }

    private static void assertMessage(Call call, String... parts) {
        CheckpointException e = assertThrows(CheckpointException.class, call::run);
        for (String part : parts) {
            assertTrue(e.getMessage().contains(part), part + " in: " + e.getMessage());
        }
    }

    private static long[] shape(long... sizes) {
        return sizes;
    }

    private static MemorySegment bytes(byte... values) {
        return MemorySegment.ofArray(values);
    }

    private static MemorySegment ints(int... values) {
        ByteBuffer buffer = ByteBuffer.allocate(4 * values.length).order(ByteOrder.LITTLE_ENDIAN);
        buffer.asIntBuffer().put(values);
        return MemorySegment.ofArray(buffer.array());
    }

    private static MemorySegment longs(long... values) {
        ByteBuffer buffer = ByteBuffer.allocate(8 * values.length).order(ByteOrder.LITTLE_ENDIAN);
        buffer.asLongBuffer().put(values);
        return MemorySegment.ofArray(buffer.array());
    }
}
