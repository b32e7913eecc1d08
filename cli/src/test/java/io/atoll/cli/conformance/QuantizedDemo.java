package io.atoll.cli.conformance;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.atoll.model.checkpoint.Checkpoint;
import io.atoll.model.checkpoint.DType;
import io.atoll.model.checkpoint.SafetensorsWriter;
import io.atoll.model.checkpoint.Tensor;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.Arrays;

/// The demo model with every linear layer rounded to bytes with one scale a row, as compressed-tensors stores that.
final class QuantizedDemo {
    private static final ObjectMapper MAPPER = new ObjectMapper();

    private QuantizedDemo() {}

    /// Writes a model directory without a tokenizer.
    static void write(Path demo, Path target) throws IOException {
        ObjectNode config = (ObjectNode) MAPPER.readTree(demo.resolve("config.json").toFile());
        config.putObject("quantization_config")
                .put("quant_method", "compressed-tensors")
                .put("format", "int-quantized");
        MAPPER.writeValue(target.resolve("config.json").toFile(), config);
        SafetensorsWriter writer = new SafetensorsWriter();
        try (Checkpoint checkpoint = Checkpoint.open(demo)) {
            for (String name : checkpoint.names()) {
                add(writer, name, checkpoint.require(name));
            }
            writer.write(target.resolve("model.safetensors"));
        }
    }

    private static void add(SafetensorsWriter writer, String name, Tensor tensor) {
        if (name.matches(".*\\.experts\\.(gate_up|down)_proj")) {
            String prefix = name.substring(0, name.lastIndexOf('.') + 1);
            for (int e = 0; e < tensor.dim(0); e++) {
                Tensor one = tensor.slice(e);
                if (name.endsWith("down_proj")) {
                    addRounded(writer, prefix + e + ".down_proj", one);
                } else {
                    long inner = one.dim(0) / 2;
                    addRounded(writer, prefix + e + ".gate_proj", one.slices(0, inner));
                    addRounded(writer, prefix + e + ".up_proj", one.slices(inner, inner));
                }
            }
        } else if (tensor.rank() == 2 && name.endsWith("_proj.weight")) {
            addRounded(writer, name.substring(0, name.length() - ".weight".length()), tensor);
        } else {
            writer.add(name, tensor.dtype(), tensor.shape(), tensor.data());
        }
    }

    private static void addRounded(SafetensorsWriter writer, String base, Tensor matrix) {
        float[] values = matrix.floats();
        int rows = (int) matrix.dim(0);
        int cols = (int) matrix.dim(1);
        byte[] rounded = new byte[values.length];
        float[] scales = new float[rows];
        for (int row = 0; row < rows; row++) {
            float largest = 0;
            for (float value : Arrays.copyOfRange(values, row * cols, (row + 1) * cols)) {
                largest = Math.max(largest, Math.abs(value));
            }
            scales[row] = largest == 0 ? 1 : largest / 127;
            for (int i = row * cols; i < (row + 1) * cols; i++) {
                rounded[i] = (byte) Math.round(values[i] / scales[row]);
            }
        }
        writer.add(
                base + ".weight",
                DType.I8,
                new long[] {rows, cols},
                MemorySegment.ofArray(rounded));
        writer.addF32(base + ".weight_scale", new long[] {rows, 1}, scales);
    }
}
