package io.atoll.model.weights;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.json.JsonMapper;
import io.atoll.kernels.PackedMatrix;
import io.atoll.kernels.Packing;
import io.atoll.kernels.WeightFormat;
import io.atoll.model.checkpoint.Checkpoint;
import io.atoll.model.checkpoint.DType;
import io.atoll.model.checkpoint.SafetensorsWriter;
import io.atoll.model.checkpoint.TensorNames;
import io.atoll.model.config.QuantizationConfig;
import io.atoll.model.quant.CheckpointWeights;
import io.atoll.model.quant.GgmlMatrix;
import io.atoll.model.quant.GgmlType;
import io.atoll.model.quant.ReorderedMatrix;
import io.atoll.model.quant.TestResources;
import io.atoll.model.quant.WeightMatrix;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/// Quantised matrices are packed as the codes that they are stored as: no value changes, and hardly a byte is added.
class CodeFormatsTest {
    private static final Path FILE = Path.of("weights");
    private static final String TENSORS = "{'quant_method':'compressed-tensors'}";

    private final Arena arena = Arena.ofConfined();
    private final List<Checkpoint> opened = new ArrayList<>();
    private final Random random = new Random(5);

    @TempDir Path directory;

    @AfterEach
    void free() {
        arena.close();
        opened.forEach(Checkpoint::close);
    }

    private PackedMatrix packed(PackingMode mode, WeightFormat expected, WeightMatrix... matrices) {
        PackedMatrix packed = WeightPacking.keep(mode, FILE, List.of(matrices), arena);
        assertEquals(expected, packed.format());
        MemorySegment out = arena.allocate(4L * packed.rows() * packed.cols(), 4);
        Packing.unpack(packed, out);
        int at = 0;
        for (WeightMatrix matrix : matrices) {
            for (float value : matrix.floats()) {
                float found = out.getAtIndex(ValueLayout.JAVA_FLOAT, at++);
                // Equal numbers, but a zero may have lost its sign.
                assertTrue(value == found, matrix + ": " + found + ", not " + value);
            }
        }
        assertEquals(at, packed.rows() * packed.cols());
        return packed;
    }

    @ParameterizedTest
    @CsvSource({
        "gptq, INT4_128_F16",
        "awq, INT4_128_F16",
        "compressed_tensors_int4, INT4_128_BF16",
        "nvfp4_modelopt, NVFP4",
        "nvfp4_compressed_tensors, NVFP4_DIVIDED",
        "mxfp4, MXFP4"
    })
    void goldenLayoutsArePackedAtTheirSize(String layout, WeightFormat format) throws IOException {
        WeightMatrix matrix = golden(layout);
        PackedMatrix packed = packed(PackingMode.PACKED, format, matrix);
        try (Checkpoint golden = Checkpoint.open(TestResources.file(layout + ".safetensors"))) {
            assertArrayEquals(golden.require("expected").floats(), matrix.floats());
            long source = 0;
            for (String name : golden.names()) {
                boolean isWeight = !name.equals("expected") && !name.endsWith("g_idx");
                source += isWeight ? golden.require(name).data().byteSize() : 0;
            }
            // A few rows are padded to 16, which says nothing of a real matrix.
            double row = format.groupBytes(packed.cols()) / (double) WeightFormat.GROUP;
            double ratio = row * packed.rows() / source;
            assertTrue(ratio <= 1.06, layout + " is " + ratio + " times its source");
        }
        packed(PackingMode.EXACT, WeightFormat.F32, matrix);
    }

    /// Neighbouring columns have different scales then, so there is nothing that a run could share.
    @Test
    void columnsInAnOrderOfTheirOwnBecomeFloats() throws IOException {
        WeightMatrix matrix = golden("gptq_desc_act");
        packed(PackingMode.PACKED, WeightFormat.F32, matrix);
        assertEquals("GPTQ INT4 with desc_act", matrix.encoding());
    }

    private WeightMatrix golden(String layout) throws IOException {
        var entry =
                new JsonMapper()
                        .readTree(Files.readString(TestResources.file("layouts.json")))
                        .get(layout);
        Checkpoint golden = Checkpoint.open(TestResources.file(layout + ".safetensors"));
        opened.add(golden);
        return new CheckpointWeights(
                        golden,
                        config(entry.get("quantization_config").toString()),
                        new TensorNames("model.language_model."))
                .matrix(entry.get("weight").textValue());
    }

    private Optional<QuantizationConfig> config(String quantization) throws IOException {
        Path file = directory.resolve("config.json");
        Files.writeString(
                file, "{\"quantization_config\":" + quantization.replace('\'', '"') + "}");
        return QuantizationConfig.read(directory);
    }

    private WeightMatrix matrix(String config, SafetensorsWriter writer) throws IOException {
        Path file = directory.resolve("model" + opened.size() + ".safetensors");
        writer.write(file);
        Checkpoint checkpoint = Checkpoint.open(file);
        opened.add(checkpoint);
        return new CheckpointWeights(checkpoint, config(config), new TensorNames("model."))
                .matrix("w.weight");
    }

    @Test
    void bytesWithBlockScalesStayBytesAndMeetFloatRows() throws IOException {
        String fp8 = "{'quant_method':'fp8','weight_block_size':[128,128]}";
        WeightMatrix square = fp8(fp8, 192, 320, ".weight_scale_inv", 2, 3);
        WeightMatrix below = fp8(fp8, 40, 320, ".weight_scale_inv", 1, 3);
        for (PackingMode mode : PackingMode.values()) {
            PackedMatrix packed = packed(mode, WeightFormat.F8_E4M3, square, below);
            double ratio = packed.data().byteSize() / (232.0 * 320);
            assertTrue(ratio <= 1.1, "240 rows are padded, scales are 4 bytes in 107: " + ratio);
        }
        packed(
                PackingMode.EXACT,
                WeightFormat.F8_E4M3,
                fp8(TENSORS, 16, 72, ".weight_scale", 16, 1));
        packed(
                PackingMode.EXACT,
                WeightFormat.F8_E4M3,
                fp8(TENSORS, 16, 72, ".weight_scale", 1, 1));
        // Blocks that are narrower than the format's have no place in it.
        String narrow = "{'quant_method':'fp8','weight_block_size':[64,64]}";
        packed(
                PackingMode.PACKED,
                WeightFormat.F32,
                fp8(narrow, 128, 128, ".weight_scale_inv", 2, 2));
    }

    private WeightMatrix fp8(
            String config, int rows, int cols, String name, int gridRows, int gridCols)
            throws IOException {
        byte[] codes = new byte[rows * cols];
        random.nextBytes(codes);
        for (int i = 0; i < codes.length; i++) {
            codes[i] = (codes[i] & 0x7F) == 0x7F ? 0 : codes[i];
        }
        return matrix(
                config,
                new SafetensorsWriter()
                        .add("w.weight", DType.F8_E4M3, shape(rows, cols), bytes(codes))
                        .addF32(
                                "w" + name,
                                shape(gridRows, gridCols),
                                scales(gridRows * gridCols)));
    }

    @ParameterizedTest
    @CsvSource({
        "256, 256, INT8_ROW",
        "64, 64, INT8_ROW",
        "192, 64, INT8_64_F32",
        "256, 128, INT8_128_F32",
        "512, 256, INT8_128_F32", // a wider group is several of the widest
        "96, 32, INT8_32_F32",
        "96, 48, F32", // 48 is no multiple of 32
        "48, 48, F32" // neither is a row of 48
    })
    void groupsOfBytesTakeTheWidestFormatThatFits(int cols, int group, WeightFormat format)
            throws IOException {

        int groups = cols / group;
        byte[] quants = new byte[24 * cols];
        byte[] zeros = new byte[24 * groups];
        random.nextBytes(quants);
        random.nextBytes(zeros);
        WeightMatrix matrix =
                matrix(
                        TENSORS,
                        new SafetensorsWriter()
                                .add("w.weight", DType.I8, shape(24, cols), bytes(quants))
                                .add(
                                        "w.weight_zero_point",
                                        DType.I8,
                                        shape(24, groups),
                                        bytes(zeros))
                                .addF32("w.weight_scale", shape(24, groups), scales(24 * groups)));
        packed(PackingMode.PACKED, format, matrix);
    }

    @Test
    void matricesWithDifferentTensorScalesLieBelowEachOther() {
        WeightMatrix upper = nvfp4(20, 128, 0.37f);
        WeightMatrix lower = nvfp4(9, 128, 1.9e-3f);
        packed(PackingMode.PACKED, WeightFormat.NVFP4, upper, lower);
        int[] order = {2, 0, 1};
        packed(
                PackingMode.PACKED,
                WeightFormat.NVFP4,
                new ReorderedMatrix(upper, ReorderedMatrix.Axis.ROWS, 2, 6, order),
                lower);
        packed(
                PackingMode.PACKED,
                WeightFormat.F32,
                new ReorderedMatrix(upper, ReorderedMatrix.Axis.COLUMNS, 2, 42, order));
    }

    private WeightMatrix nvfp4(int rows, int cols, float scale) {
        byte[] blocks = new byte[(int) GgmlType.NVFP4.bytes((long) rows * cols)];
        random.nextBytes(blocks);
        for (int block = 0; block < blocks.length; block += 36) {
            for (int i = block; i < block + 4; i++) {
                blocks[i] &= 0x7F;
            }
            blocks[block + random.nextInt(4)] = 0x7F; // which counts as 0 there
        }
        MemorySegment data = MemorySegment.ofArray(blocks);
        return new GgmlMatrix("w", GgmlType.NVFP4, rows, cols, data, FILE, scale);
    }

    @Test
    void halvesStayHalvesAlsoInAnotherOrder() {
        byte[] bytes = new byte[2 * 12 * 64];
        random.nextBytes(bytes);
        for (int i = 1; i < bytes.length; i += 2) {
            bytes[i] &= (byte) 0xBB; // no NaN, whose bits may change
        }
        WeightMatrix stored =
                new GgmlMatrix("w", GgmlType.F16, 12, 64, MemorySegment.ofArray(bytes), FILE, 1f);
        int[] order = {2, 0, 1};
        for (PackingMode mode : PackingMode.values()) {
            packed(mode, WeightFormat.F16, stored);
            packed(
                    mode,
                    WeightFormat.F16,
                    stored,
                    new ReorderedMatrix(stored, ReorderedMatrix.Axis.ROWS, 0, 4, order),
                    new ReorderedMatrix(stored, ReorderedMatrix.Axis.COLUMNS, 4, 20, order));
        }
    }

    private float[] scales(int count) {
        float[] scales = new float[count];
        for (int i = 0; i < count; i++) {
            scales[i] = (random.nextFloat() + 0.1f) / 100;
        }
        return scales;
    }

    private static long[] shape(long... sizes) {
        return sizes;
    }

    private static MemorySegment bytes(byte... values) {
        return MemorySegment.ofArray(values);
    }
}
