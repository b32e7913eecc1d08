package io.atoll.model.reference;

import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.atoll.model.checkpoint.DType;
import io.atoll.model.checkpoint.Tensor;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/// The demo model as a quantised release: every projection and expert rounded to nearest, as a simple tool would do it, so that the
/// model still means something.
public enum QuantizedDemo {
    FP8("{\"quant_method\": \"fp8\", \"fmt\": \"e4m3\", \"weight_block_size\": [128, 128]}") {
        @Override
        List<Tensor> encode(String base, float[] w, int rows, int cols) {
            int across = Math.ceilDiv(cols, 128);
            float[] scales = new float[Math.ceilDiv(rows, 128) * across];
            for (int i = 0; i < w.length; i++) {
                int block = i / cols / 128 * across + i % cols / 128;
                scales[block] = Math.max(scales[block], Math.abs(w[i]) / 448);
            }
            byte[] codes = new byte[w.length];
            for (int i = 0; i < w.length; i++) {
                float scale = scales[i / cols / 128 * across + i % cols / 128];
                codes[i] = nearest(E4M3, w[i] / scale, 0x80);
            }
            return List.of(
                    tensor(base + ".weight", DType.F8_E4M3, codes, rows, cols),
                    floats(base + ".weight_scale_inv", scales, scales.length / across, across));
        }
    },
    /// Groups of 32 columns with BF16 scales.
    INT4(
            "{\"quant_method\": \"compressed-tensors\", \"format\": \"pack-quantized\","
                    + " \"config_groups\": {\"group_0\": {\"weights\": {\"num_bits\": 4,"
                    + " \"group_size\": 32}}}}") {
        @Override
        List<Tensor> encode(String base, float[] w, int rows, int cols) {
            byte[] scaleBytes = new byte[2 * w.length / 32];
            byte[] wordBytes = new byte[w.length / 2];
            byte[] shape = new byte[8];
            buffer(shape).putInt(rows).putInt(cols);
            ByteBuffer scales = buffer(scaleBytes);
            ByteBuffer words = buffer(wordBytes);
            for (int group = 0; group < w.length; group += 32) {
                int bits = Float.floatToIntBits(largest(w, group, 32) / 7) >>> 16;
                float scale = Float.intBitsToFloat(bits << 16);
                scales.putShort((short) bits);
                for (int first = group; first < group + 32; first += 8) {
                    int word = 0;
                    for (int i = 7; i >= 0; i--) {
                        int level = Math.clamp(Math.round(w[first + i] / scale), -8, 7);
                        word = word << 4 | (level + 8);
                    }
                    words.putInt(word);
                }
            }
            return List.of(
                    tensor(base + ".weight_packed", DType.I32, wordBytes, rows, cols / 8),
                    tensor(base + ".weight_scale", DType.BF16, scaleBytes, rows, cols / 32),
                    tensor(base + ".weight_shape", DType.I32, shape, 2));
        }
    },
    /// A scale for each row.
    INT8("{\"quant_method\": \"compressed-tensors\", \"format\": \"int-quantized\"}") {
        @Override
        List<Tensor> encode(String base, float[] w, int rows, int cols) {
            float[] scales = new float[rows];
            byte[] codes = new byte[w.length];
            for (int i = 0; i < w.length; i++) {
                if (i % cols == 0) {
                    scales[i / cols] = largest(w, i, cols) / 127;
                }
                codes[i] = (byte) Math.round(w[i] / scales[i / cols]);
            }
            return List.of(
                    tensor(base + ".weight", DType.I8, codes, rows, cols),
                    floats(base + ".weight_scale", scales, rows, 1));
        }
    },
    NVFP4("{\"quant_method\": \"modelopt\", \"quant_algo\": \"NVFP4\"}") {
        @Override
        List<Tensor> encode(String base, float[] w, int rows, int cols) {
            float whole = largest(w, 0, w.length) / (6 * 448);
            byte[] scales = new byte[w.length / 16];
            byte[] codes = new byte[w.length / 2];
            for (int run = 0; run < scales.length; run++) {
                scales[run] = nearest(E4M3, largest(w, 16 * run, 16) / 6 / whole, 0x80);
                float scale = E4M3[scales[run]] * whole;
                putPairs(w, 16 * run, 16, scale, codes);
            }
            return List.of(
                    tensor(base + ".weight", DType.U8, codes, rows, cols / 2),
                    tensor(base + ".weight_scale", DType.F8_E4M3, scales, rows, cols / 16),
                    floats(base + ".weight_scale_2", new float[] {whole}, 1));
        }
    },
    MXFP4("{\"quant_method\": \"quark\"}") {
        @Override
        List<Tensor> encode(String base, float[] w, int rows, int cols) {
            byte[] scales = new byte[w.length / 32];
            byte[] codes = new byte[w.length / 2];
            for (int run = 0; run < scales.length; run++) {
                int exponent = Math.getExponent(largest(w, 32 * run, 32)) - 2;
                scales[run] = (byte) (exponent + 127);
                putPairs(w, 32 * run, 32, Math.scalb(1f, exponent), codes);
            }
            return List.of(
                    tensor(base + ".weight", DType.U8, codes, rows, cols / 2),
                    tensor(base + ".weight_scale", DType.U8, scales, rows, cols / 32));
        }
    };

    /// Magnitudes by their codes, ascending.
    private static final float[] E2M1 = {0, 0.5f, 1, 1.5f, 2, 3, 4, 6};

    private static final float[] E4M3 = new float[0x7F];

    static {
        for (int code = 0; code < E4M3.length; code++) {
            E4M3[code] =
                    code < 8
                            ? Math.scalb((float) code, -9)
                            : Math.scalb((float) (8 + code % 8), code / 8 - 10);
        }
    }

    private final String config;

    QuantizedDemo(String config) {
        this.config = config;
    }

    abstract List<Tensor> encode(String base, float[] weights, int rows, int cols);

    /// Writes the release into a new directory; returns that.
    ///
    /// @param demo the model to take the weights of
    public Path write(Path demo, Path parent) throws IOException {
        Path target = Files.createDirectory(parent.resolve(name()));
        RewrittenModel.write(demo, target, this::withQuantization, this::rewrite);
        return target;
    }

    private ObjectNode withQuantization(ObjectNode original) {
        try {
            return original.set("quantization_config", new JsonMapper().readTree(config));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private List<Tensor> rewrite(Tensor tensor) {
        String name = tensor.name();
        boolean down = name.endsWith("experts.down_proj");
        if (down || name.endsWith("experts.gate_up_proj")) {
            List<Tensor> experts = new ArrayList<>();
            String prefix = name.substring(0, name.lastIndexOf('.') + 1);
            for (int expert = 0; expert < tensor.dim(0); expert++) {
                Tensor one = tensor.slice(expert);
                long rows = down ? one.dim(0) : one.dim(0) / 2;
                for (String part : down ? List.of("down") : List.of("gate", "up")) {
                    Tensor matrix = one.slices(part.equals("up") ? rows : 0, rows);
                    experts.addAll(encode(prefix + expert + "." + part + "_proj", matrix));
                }
            }
            return experts;
        }
        boolean isProjection =
                name.matches(
                        ".*language_model\\.layers\\.\\d+\\..*(qkv|_z|out|[qkvo]|gate|up|down)(_proj)?\\.weight");
        return isProjection
                        && !name.endsWith("mlp.gate.weight")
                        && !name.endsWith("shared_expert_gate.weight")
                ? encode(name.substring(0, name.length() - ".weight".length()), tensor)
                : List.of(tensor);
    }

    private List<Tensor> encode(String base, Tensor matrix) {
        return encode(base, matrix.floats(), (int) matrix.dim(0), (int) matrix.dim(1));
    }

    /// The code of the nearest number; `sign` is added for negative ones.
    private static byte nearest(float[] magnitudes, float value, int sign) {
        float magnitude = Math.abs(value);
        int low = 0;
        int high = magnitudes.length - 1;
        while (low < high) {
            int middle = (low + high) / 2;
            if (magnitude > (magnitudes[middle] + magnitudes[middle + 1]) / 2) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        return (byte) (value < 0 ? low | sign : low);
    }

    private static void putPairs(float[] w, int first, int count, float scale, byte[] codes) {
        for (int i = first; i < first + count; i += 2) {
            int even = scale == 0 ? 0 : nearest(E2M1, w[i] / scale, 8);
            int odd = scale == 0 ? 0 : nearest(E2M1, w[i + 1] / scale, 8);
            codes[i / 2] = (byte) (even | odd << 4);
        }
    }

    private static float largest(float[] w, int first, int count) {
        float largest = Float.MIN_NORMAL;
        for (int i = first; i < first + count; i++) {
            largest = Math.max(largest, Math.abs(w[i]));
        }
        return largest;
    }

    private static ByteBuffer buffer(byte[] bytes) {
        return ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
    }

    private static Tensor floats(String name, float[] values, long... shape) {
        byte[] bytes = new byte[4 * values.length];
        buffer(bytes).asFloatBuffer().put(values);
        return tensor(name, DType.F32, bytes, shape);
    }

    private static Tensor tensor(String name, DType dtype, byte[] bytes, long... shape) {
        return new Tensor(name, dtype, shape, MemorySegment.ofArray(bytes), Path.of("made"));
    }
}
