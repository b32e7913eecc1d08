package io.atoll.model.config;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;

/// What a release says of how its weights are quantised: the method, and the few numbers that the tensors do not show.
///
/// Which tensors are quantised is not read from here: the lists of exceptions in such files are often wrong, and the tensors
/// themselves tell.
///
/// @param file where it was read
/// @param method the library whose layout the tensors have
/// @param bits width of an integer weight, where the method has one width; 0 if the file does not say
/// @param groupSize weights that share a scale along the input; 0 if the file does not say, or one scale serves a whole row
/// @param blockRows outputs that share an FP8 block scale; 0 if scales are not by block
/// @param blockCols inputs that share an FP8 block scale; 0 if scales are not by block
/// @param wholeZeros whether GPTQ zero points are stored as they are (`gptq_v2`), not less one
public record QuantizationConfig(
        Path file,
        Method method,
        int bits,
        int groupSize,
        int blockRows,
        int blockCols,
        boolean wholeZeros) {

    /// The library whose layout the tensors have.
    public enum Method {
        FP8("fp8"),
        GPTQ("gptq"),
        AWQ("awq"),
        COMPRESSED_TENSORS("compressed-tensors"),
        MODELOPT("modelopt"),
        QUARK("quark");

        private final String label;

        Method(String label) {
            this.label = label;
        }

        /// Its name in configuration files.
        public String label() {
            return label;
        }
    }

    private static final int MAX_GROUP = 1 << 20;
    private static final String FIELD = "quantization_config";
    private static final String MODELOPT_FILE = "hf_quant_config.json";

    public QuantizationConfig {
        if (bits < 0 || groupSize < 0 || blockRows < 0 || blockCols < 0) {
            throw new IllegalArgumentException(
                    "negative size: bits="
                            + bits
                            + " groupSize="
                            + groupSize
                            + " blockRows="
                            + blockRows
                            + " blockCols="
                            + blockCols);
        }
    }

    /// Reads what the files of a model directory say, if they say that it is quantised: `config.json`, else the
    /// `hf_quant_config.json` that ModelOpt's exports have.
    ///
    /// @throws ConfigException if a file is damaged, or the method or a variant of it is not supported
    public static Optional<QuantizationConfig> read(Path directory) {
        JsonFields fields = JsonFields.read(directory.resolve("config.json"));
        Optional<JsonFields> found =
                fields.optionalObject(FIELD)
                        .or(() -> fields.optionalObject("compression_config"))
                        .or(
                                () ->
                                        fields.optionalObject("text_config")
                                                .flatMap(text -> text.optionalObject(FIELD)));
        if (found.isPresent()) {
            return Optional.of(read(found.get()));
        }
        Path modelopt = directory.resolve(MODELOPT_FILE);
        return Files.exists(modelopt)
                ? Optional.of(readModelopt(JsonFields.read(modelopt).object("quantization")))
                : Optional.empty();
    }

    private static QuantizationConfig read(JsonFields fields) {
        String method = fields.string("quant_method");
        return switch (method) {
            case "fp8", "fbgemm_fp8" -> readFp8(fields);
            case "gptq" -> readGptq(fields);
            case "awq" -> readAwq(fields);
            case "compressed-tensors" -> readCompressedTensors(fields);
            case "modelopt", "modelopt_fp4" -> readModelopt(fields);
            case "quark" -> of(fields, Method.QUARK, 0, 0);
            default ->
                    throw fields.refused(
                            "quant_method",
                            "only fp8, gptq, awq, compressed-tensors, modelopt and quark are"
                                    + " supported, found \""
                                    + method
                                    + "\"");
        };
    }

    private static QuantizationConfig readFp8(JsonFields fields) {
        fields.mustBe("fmt", "e4m3");
        return withBlock(fields, Method.FP8, "weight_block_size");
    }

    private static QuantizationConfig readGptq(JsonFields fields) {
        String format = fields.string("checkpoint_format", "gptq");
        if (!format.equals("gptq") && !format.equals("gptq_v2")) {
            throw fields.refused(
                    "checkpoint_format",
                    "only gptq and gptq_v2 are supported, found \"" + format + "\"");
        }
        fields.mustBe("pack_dtype", "int32");
        int bits = fields.integer("bits", 1, 16);
        if (bits != 4 && bits != 8) {
            throw fields.refused("bits", "only 4 and 8 are supported, found " + bits);
        }
        return new QuantizationConfig(
                fields.file(),
                Method.GPTQ,
                bits,
                groupSize(fields),
                0,
                0,
                format.equals("gptq_v2"));
    }

    private static QuantizationConfig readAwq(JsonFields fields) {
        // Files of different years spell both fields in different ways.
        String version = fields.string("version", "gemm");
        if (!version.equalsIgnoreCase("gemm")) {
            throw fields.refused("version", "only gemm is supported, found \"" + version + "\"");
        }
        int bits = fields.integer(fields.has("w_bit") ? "w_bit" : "bits", 4, 4);
        return of(fields, Method.AWQ, bits, groupSize(fields));
    }

    private static QuantizationConfig readCompressedTensors(JsonFields fields) {
        Optional<JsonFields> sparsity = fields.optionalObject("sparsity_config");
        if (sparsity.isPresent() && sparsity.get().has("format")) {
            sparsity.get().mustBe("format", "dense");
        }
        String format = fields.string("format", "pack-quantized");
        switch (format) {
            case "pack-quantized",
                    "int-quantized",
                    "float-quantized",
                    "naive-quantized",
                    "nvfp4-pack-quantized",
                    "mxfp4-pack-quantized",
                    "mixed-precision" -> {
                // The tensors tell these apart.
            }
            default ->
                    throw fields.refused(
                            "format",
                            "only pack-quantized, int-quantized, float-quantized, naive-quantized,"
                                + " nvfp4-pack-quantized, mxfp4-pack-quantized and mixed-precision"
                                + " are supported, found \""
                                    + format
                                    + "\"");
        }
        Optional<JsonFields> weights = onlyGroup(fields).flatMap(g -> g.optionalObject("weights"));
        return weights.map(
                        group ->
                                group.has("block_structure")
                                        ? withBlock(
                                                group, Method.COMPRESSED_TENSORS, "block_structure")
                                        : of(
                                                group,
                                                Method.COMPRESSED_TENSORS,
                                                group.integer("num_bits", 1, 64, 0),
                                                groupSize(group)))
                .orElseGet(() -> of(fields, Method.COMPRESSED_TENSORS, 0, 0));
    }

    private static QuantizationConfig readModelopt(JsonFields fields) {
        String algorithm = fields.string("quant_algo", "");
        switch (algorithm) {
            case "NVFP4", "FP8", "MIXED_PRECISION" -> {
                // The tensors tell these apart.
            }
            default ->
                    throw fields.refused(
                            "quant_algo",
                            "only NVFP4, FP8 and MIXED_PRECISION are supported, found \""
                                    + algorithm
                                    + "\"");
        }
        return of(fields, Method.MODELOPT, 0, groupSize(fields));
    }

    private static QuantizationConfig withBlock(JsonFields fields, Method method, String field) {
        if (!fields.has(field)) {
            return of(fields, method, 0, 0);
        }
        List<Integer> block = fields.integers(field, 1, MAX_GROUP);
        if (block.size() != 2) {
            throw fields.refused(field, "must be two sizes, found " + block);
        }
        return new QuantizationConfig(
                fields.file(), method, 0, 0, block.get(0), block.get(1), false);
    }

    /// The one group of a compressed-tensors file. With several, no number holds for all tensors, and none is needed: only
    /// rows that are no multiple of their group size would be ambiguous.
    private static Optional<JsonFields> onlyGroup(JsonFields fields) {
        return fields.optionalObject("config_groups")
                .filter(groups -> groups.names().size() == 1)
                .map(groups -> groups.object(groups.names().getFirst()));
    }

    /// -1 and an absent size both mean one scale for a whole row.
    private static int groupSize(JsonFields fields) {
        String field = fields.has("q_group_size") ? "q_group_size" : "group_size";
        return Math.max(0, fields.integer(field, -1, MAX_GROUP, 0));
    }

    private static QuantizationConfig of(JsonFields fields, Method method, int bits, int group) {
        return new QuantizationConfig(fields.file(), method, bits, group, 0, 0, false);
    }
}
