package io.atoll.cli.conformance;

import com.fasterxml.jackson.databind.ObjectMapper;
import io.atoll.model.checkpoint.Checkpoint;
import io.atoll.model.checkpoint.TensorNames;
import io.atoll.model.config.ModelFileException;
import io.atoll.model.config.QuantizationConfig;
import io.atoll.model.quant.CheckpointWeights;
import io.atoll.model.quant.GgmlType;
import io.atoll.model.quant.UnsupportedTypeException;
import io.atoll.model.quant.WeightMatrix;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Map;
import java.util.Optional;

/// `quant/`: GGML blocks and quantised matrices of releases, and the values they stand for.
final class QuantSuite implements Suite {
    private static final String QUANT = "quant";
    private static final double VALUES = 1e-6;

    @Override
    public String name() {
        return QUANT;
    }

    @Override
    public void run(FixtureSet fixtures, Engine.Opener engines, Checks checks) {
        GoldenJson golden = GoldenJson.read(fixtures.file(QUANT, "quant.json"));
        try (GoldenTensors blocks = GoldenTensors.open(fixtures.file(QUANT, "ggml.safetensors"))) {
            for (GoldenJson type : golden.get("ggml").items()) {
                blocks(type, blocks, checks);
            }
        }
        for (GoldenJson format : golden.get("checkpoint_formats").fields()) {
            matrix(fixtures, format, checks);
        }
    }

    private static void blocks(GoldenJson expected, GoldenTensors tensors, Checks checks) {
        String name = expected.get("type").text();
        GgmlType type;
        try {
            type = GgmlType.of(expected.get("id").integer());
        } catch (UnsupportedTypeException e) {
            checks.fail(name, e.getMessage());
            return;
        }
        checks.equal(name + " name", name, type.name());
        checks.equal(
                name + " block elements",
                expected.get("block_elements").integer(),
                type.blockElements());
        checks.equal(
                name + " block bytes", expected.get("block_bytes").integer(), type.blockBytes());
        for (String set : expected.get("sets").texts()) {
            String tensor = name + "." + set;
            float[] values = tensors.floats(tensor + ".values");
            MemorySegment stored = tensors.bytes(tensor + ".blocks");
            if (stored.byteSize() != type.bytes(values.length)) {
                checks.fail(tensor, "has " + stored.byteSize() + " bytes of blocks");
                continue;
            }
            float[] found = new float[values.length];
            type.dequantize(stored, 0, found, 0, found.length);
            rows(tensor, values, found, tensors.cols(tensor + ".values"), checks);
        }
    }

    private static void matrix(FixtureSet fixtures, GoldenJson format, Checks checks) {
        Path file = fixtures.file(QUANT, format.get("file").text());
        int[] shape = format.get("shape_out_in").integers();
        try (GoldenTensors golden = GoldenTensors.open(file);
                Checkpoint checkpoint = Checkpoint.open(file)) {
            CheckpointWeights weights =
                    new CheckpointWeights(
                            checkpoint,
                            quantization(format.get("quantization_config")),
                            new TensorNames("model.language_model."));
            WeightMatrix matrix = weights.matrix(format.get("weight").text());
            checks.equal(
                    format.where() + " shape",
                    Arrays.toString(shape),
                    Arrays.toString(new int[] {matrix.rows(), matrix.cols()}));
            rows(
                    format.lastName(),
                    golden.floats("expected"),
                    matrix.floats(),
                    matrix.cols(),
                    checks);
        } catch (ModelFileException e) {
            checks.fail(format.lastName(), e.getMessage());
        }
    }

    /// What a release with this `quantization_config` says of its quantisation.
    private static Optional<QuantizationConfig> quantization(GoldenJson config) {
        try {
            Path directory = Files.createTempDirectory("atoll-conformance-");
            Path file = directory.resolve("config.json");
            try {
                new ObjectMapper()
                        .writeValue(file.toFile(), Map.of("quantization_config", config.node()));
                return QuantizationConfig.read(directory);
            } finally {
                Files.deleteIfExists(file);
                Files.delete(directory);
            }
        } catch (IOException e) {
            throw new EngineException("cannot prepare a configuration: " + e, e);
        }
    }

    private static void rows(
            String where, float[] expected, float[] found, int cols, Checks checks) {
        if (expected.length != found.length) {
            checks.fail(where, "expected " + expected.length + " values, found " + found.length);
            return;
        }
        for (int from = 0; from < expected.length; from += cols) {
            checks.closeToLargest(
                    where + " row " + from / cols,
                    Arrays.copyOfRange(expected, from, from + cols),
                    Arrays.copyOfRange(found, from, from + cols),
                    VALUES);
        }
    }
}
