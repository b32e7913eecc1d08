package io.atoll.model;

import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.sun.management.ThreadMXBean;
import io.atoll.model.checkpoint.Checkpoint;
import io.atoll.model.checkpoint.DType;
import io.atoll.model.checkpoint.SafetensorsWriter;
import io.atoll.model.checkpoint.TensorNames;
import io.atoll.model.config.ModelFileException;
import io.atoll.model.config.QuantizationConfig;
import io.atoll.model.quant.CheckpointWeights;
import io.atoll.model.quant.WeightMatrix;
import io.atoll.model.weights.TextWeights;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.MemorySegment;
import java.lang.management.ManagementFactory;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// Releases whose small files or headers are damaged, not byte by byte but where it hurts: a size, a type, a name. Each either
/// loads or is refused with a [ModelFileException] that names a file and a place in it, and takes little memory for it.
class DamagedReleaseTest {
    /// Several times what the undamaged model takes.
    private static final long MAX_BYTES = 64L << 20;

    private static final JsonMapper MAPPER = new JsonMapper();
    private static final ThreadMXBean THREADS = (ThreadMXBean) ManagementFactory.getThreadMXBean();

    @TempDir private Path directory;

    private interface Load {
        void run() throws IOException;
    }

    private static void loadsOrIsRefused(Load load) {
        long before = THREADS.getCurrentThreadAllocatedBytes();
        try {
            load.run();
        } catch (ModelFileException refusal) {
            assertFalse(refusal.file().toString().isBlank(), "no file: " + refusal);
            assertFalse(refusal.where().isBlank(), "no place: " + refusal);
            assertTrue(refusal.getMessage().length() < 2000, "a message of a whole file");
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        long taken = THREADS.getCurrentThreadAllocatedBytes() - before;
        assertTrue(taken < MAX_BYTES, "took " + taken + " bytes");
    }

    @Test
    void configurationsWithAbsurdValuesLoadOrAreRefused() throws IOException {
        JsonNode good =
                MAPPER.readTree(Files.readAllBytes(DemoModel.path().resolve("config.json")));
        DemoModel.copyAll(directory);
        Path config = directory.resolve("config.json");
        Seeds.forAll(
                1000,
                random -> {
                    JsonNode damaged = good.deepCopy();
                    for (int i = 0; i <= random.nextInt(2); i++) {
                        damage(damaged, random);
                    }
                    loadsOrIsRefused(
                            () -> {
                                MAPPER.writeValue(config.toFile(), damaged);
                                try (ModelDirectory model = ModelDirectory.open(directory)) {
                                    readSome(model.textWeights());
                                }
                            });
                });
    }

    private static void readSome(TextWeights weights) {
        int last = weights.config().layerCount() - 1;
        decode(weights.embedding());
        decode(weights.lmHead());
        weights.layer(0);
        weights.layer(last);
        decode(weights.expert(last, weights.config().experts() - 1).down());
        weights.mtp();
    }

    private static void decode(WeightMatrix matrix) {
        float[] row = new float[matrix.cols()];
        matrix.decodeRows(matrix.rows() - 1, 1, row, 0);
    }

    /// Puts something else in the place of one value, somewhere.
    private static void damage(JsonNode root, Random random) {
        List<JsonNode> parents = new ArrayList<>();
        collect(root, parents);
        JsonNode parent = parents.get(random.nextInt(parents.size()));
        JsonNode value = hostile(random);
        switch (parent) {
            case ObjectNode object when !object.isEmpty() -> {
                List<String> names = new ArrayList<>();
                object.fieldNames().forEachRemaining(names::add);
                String name = names.get(random.nextInt(names.size()));
                switch (random.nextInt(6)) {
                    case 0 -> object.remove(name);
                    case 1 -> object.set(name + "x".repeat(random.nextInt(3)), object.get(name));
                    default -> object.set(name, value);
                }
            }
            case ArrayNode array when !array.isEmpty() -> {
                int at = random.nextInt(array.size());
                switch (random.nextInt(6)) {
                    case 0 -> array.remove(at);
                    case 1 -> array.insert(at, array.get(at));
                    default -> array.set(at, value);
                }
            }
            default -> {
                // Nothing to damage in an empty one.
            }
        }
    }

    private static void collect(JsonNode node, List<JsonNode> parents) {
        if (node.isContainerNode()) {
            parents.add(node);
            node.forEach(child -> collect(child, parents));
        }
    }

    private static JsonNode hostile(Random random) {
        return switch (random.nextInt(14)) {
            case 0 -> MAPPER.getNodeFactory().numberNode(-1);
            case 1 -> MAPPER.getNodeFactory().numberNode(0);
            case 2 -> MAPPER.getNodeFactory().numberNode(Integer.MAX_VALUE - random.nextInt(40));
            case 3 -> MAPPER.getNodeFactory().numberNode(Long.MAX_VALUE - random.nextInt(3));
            case 4 -> MAPPER.getNodeFactory().numberNode(1e308);
            case 5 -> MAPPER.getNodeFactory().numberNode(1L << random.nextInt(62));
            case 6 -> MAPPER.getNodeFactory().textNode("");
            case 7 -> MAPPER.getNodeFactory().textNode("x".repeat(10_000));
            case 8 -> MAPPER.getNodeFactory().nullNode();
            case 9 -> MAPPER.getNodeFactory().booleanNode(random.nextBoolean());
            case 10 -> MAPPER.createArrayNode();
            case 11 -> MAPPER.createObjectNode();
            case 12 -> MAPPER.createArrayNode().add(MAPPER.createArrayNode().add(1 << 30));
            default -> MAPPER.getNodeFactory().numberNode(random.nextInt(300));
        };
    }

    @Test
    void indicesThatLieLoadOrAreRefused() throws IOException {
        String[] names = {"a.weight", "b.weight", "model.language_model.embed_tokens.weight"};
        for (int i = 0; i < names.length; i++) {
            new SafetensorsWriter()
                    .addF32(names[i], new long[] {2, 2}, new float[4])
                    .write(directory.resolve("part-" + i + ".safetensors"));
        }
        Files.createDirectory(directory.resolve("folder.safetensors"));
        Files.write(directory.resolve("empty.safetensors"), new byte[0]);
        ObjectNode good = MAPPER.createObjectNode();
        good.putObject("metadata").put("total_size", 48);
        ObjectNode map = good.putObject("weight_map");
        for (int i = 0; i < names.length; i++) {
            map.put(names[i], "part-" + i + ".safetensors");
        }
        String[] files = {
            "part-0.safetensors",
            "part-1.safetensors",
            "missing.safetensors",
            "folder.safetensors",
            "empty.safetensors",
            "./part-0.safetensors",
            "../part-0.safetensors",
            "/dev/zero",
            "/dev/zero.safetensors",
            "part-0.safetensors\0",
            "model.safetensors.index.json"
        };
        Path index = directory.resolve("model.safetensors.index.json");
        Seeds.forAll(
                1500,
                random -> {
                    ObjectNode damaged = good.deepCopy();
                    if (random.nextBoolean()) {
                        damage(damaged, random);
                    } else {
                        String file = files[random.nextInt(files.length)];
                        ((ObjectNode) damaged.get("weight_map"))
                                .put(names[random.nextInt(names.length)], file);
                    }
                    loadsOrIsRefused(
                            () -> {
                                byte[] bytes = MAPPER.writeValueAsBytes(damaged);
                                Files.write(index, cutOrWhole(bytes, random));
                                try (Checkpoint checkpoint = Checkpoint.open(directory)) {
                                    for (String name : checkpoint.names()) {
                                        checkpoint.require(name).floats();
                                    }
                                }
                            });
                });
    }

    private static byte[] cutOrWhole(byte[] bytes, Random random) {
        return random.nextInt(4) == 0 ? Arrays.copyOf(bytes, random.nextInt(bytes.length)) : bytes;
    }

    /// A tensor that a quantised weight is made of is missing, has another type or other sizes, or other content.
    @Test
    void quantisedTensorsThatDoNotFitEachOtherAreRefused() {
        Seeds.forAll(
                1500,
                random -> {
                    String[] suffixes = Quantised.suffixes(random);
                    loadsOrIsRefused(
                            () -> {
                                Path file = directory.resolve("model.safetensors");
                                Quantised.write(file, suffixes, random);
                                try (Checkpoint checkpoint = Checkpoint.open(file)) {
                                    WeightMatrix matrix =
                                            new CheckpointWeights(
                                                            checkpoint,
                                                            config(random),
                                                            new TensorNames("model."))
                                                    .matrix("w.weight");
                                    decode(matrix);
                                    readCodes(matrix);
                                }
                            });
                });
    }

    private static void readCodes(WeightMatrix matrix) {
        matrix.codes()
                .ifPresent(
                        codes -> {
                            int groups = Math.ceilDiv(matrix.cols(), codes.groupColumns());
                            codes.reader()
                                    .read(
                                            matrix.rows() - 1,
                                            1,
                                            new byte[matrix.cols()],
                                            new float[groups],
                                            new byte[groups]);
                        });
    }

    private Optional<QuantizationConfig> config(Random random) throws IOException {
        String[] methods = {"fp8", "gptq", "awq", "compressed-tensors", "modelopt", "quark"};
        ObjectNode quantization = MAPPER.createObjectNode();
        quantization.put("quant_method", methods[random.nextInt(methods.length)]);
        if (random.nextBoolean()) {
            quantization.put("bits", random.nextInt(3) == 0 ? random.nextInt(40) : 4);
            quantization.put("group_size", random.nextInt(4) == 0 ? -1 : 8 << random.nextInt(5));
        }
        if (random.nextBoolean()) {
            quantization.putArray("weight_block_size").add(random.nextInt(9)).add(8);
        }
        Files.writeString(
                directory.resolve("config.json"),
                MAPPER.createObjectNode().set("quantization_config", quantization).toString(),
                StandardCharsets.UTF_8);
        return QuantizationConfig.read(directory);
    }

    /// Files with some tensors under a weight's name, of types and sizes that fit each other more often than chance.
    private static final class Quantised {
        private static final String[][] LAYOUTS = {
            {"weight", "weight_scale_inv"},
            {"weight", "weight_scale", "weight_scale_2"},
            {"weight", "weight_scale", "weight_zero_point"},
            {"weight_packed", "weight_scale", "weight_shape", "weight_zero_point", "weight_g_idx"},
            {"weight_packed", "weight_scale", "weight_global_scale"},
            {"qweight", "qzeros", "scales", "g_idx"}
        };
        private static final DType[] TYPES = DType.values();
        private static final int[] SIZES = {0, 1, 2, 4, 8, 16, 32, 64};

        static String[] suffixes(Random random) {
            return LAYOUTS[random.nextInt(LAYOUTS.length)];
        }

        static void write(Path file, String[] suffixes, Random random) throws IOException {
            SafetensorsWriter writer = new SafetensorsWriter();
            int rows = 8 << random.nextInt(3);
            int cols = 32 << random.nextInt(2);
            for (String suffix : suffixes) {
                if (random.nextInt(12) == 0) {
                    continue;
                }
                long[] shape = shape(suffix, rows, cols);
                DType type = type(suffix, suffixes, random);
                if (random.nextInt(8) == 0) {
                    type = TYPES[random.nextInt(TYPES.length)];
                }
                if (random.nextInt(6) == 0) {
                    shape = new long[random.nextInt(4)];
                    for (int i = 0; i < shape.length; i++) {
                        shape[i] = SIZES[random.nextInt(SIZES.length)];
                    }
                }
                long elements = 1;
                for (long size : shape) {
                    elements *= size;
                }
                byte[] bytes = new byte[(int) (elements * type.bytes())];
                random.nextBytes(bytes);
                boolean sound = random.nextInt(3) > 0;
                if (suffix.equals("weight_shape") && sound && bytes.length == 16) {
                    buffer(bytes).putLong(rows).putLong(cols);
                } else if (suffix.endsWith("g_idx") && sound) {
                    for (int i = 0; i + 4 <= bytes.length; i += 4) {
                        buffer(bytes).putInt(i, i / 4 / 16);
                    }
                }
                writer.add("w." + suffix, type, shape, MemorySegment.ofArray(bytes));
            }
            writer.write(file);
        }

        private static ByteBuffer buffer(byte[] bytes) {
            return ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
        }

        private static long[] shape(String suffix, int rows, int cols) {
            return switch (suffix) {
                case "weight" -> new long[] {rows, cols};
                case "weight_packed" -> new long[] {rows, cols / 8};
                case "weight_shape" -> new long[] {2};
                case "weight_scale_2", "weight_global_scale" -> new long[] {1};
                case "weight_g_idx", "g_idx" -> new long[] {cols};
                case "qweight" -> new long[] {cols / 8, rows};
                case "qzeros" -> new long[] {cols / 16, rows / 8};
                case "scales" -> new long[] {cols / 16, rows};
                default -> new long[] {rows, cols / 16};
            };
        }

        private static DType type(String suffix, String[] layout, Random random) {
            return switch (suffix) {
                case "weight" ->
                        switch (layout[1]) {
                            case "weight_scale_inv" -> DType.F8_E4M3;
                            default ->
                                    layout.length == 3 && random.nextBoolean()
                                            ? DType.I8
                                            : DType.U8;
                        };
                case "weight_packed" -> layout.length == 3 ? DType.U8 : DType.I32;
                case "qweight", "qzeros", "g_idx", "weight_g_idx" -> DType.I32;
                case "weight_shape" -> DType.I64;
                case "weight_zero_point" -> DType.I8;
                case "weight_scale" -> layout.length == 3 ? DType.F8_E4M3 : DType.BF16;
                default -> DType.F32;
            };
        }
    }
}
