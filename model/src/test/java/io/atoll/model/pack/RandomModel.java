package io.atoll.model.pack;

import io.atoll.model.checkpoint.DType;
import io.atoll.model.checkpoint.Tensor;
import io.atoll.model.checkpoint.TensorNames;
import io.atoll.model.config.ConfigWriter;
import io.atoll.model.config.LayerType;
import io.atoll.model.config.RopeParameters;
import io.atoll.model.config.TextConfig;
import io.atoll.model.quant.GgmlMatrix;
import io.atoll.model.quant.GgmlType;
import io.atoll.model.quant.ReorderedMatrix;
import io.atoll.model.quant.WeightMatrix;
import io.atoll.model.quant.WeightStore;
import io.atoll.model.weights.ExpertWeights;
import io.atoll.model.weights.LayerWeights;
import io.atoll.model.weights.MixerWeights;
import io.atoll.model.weights.TextWeights;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.function.Function;

/// A model of two layers, one of each mixer, and a module for multi-token prediction, whose weights are random bytes of chosen GGML
/// types: small, but wide enough for a block of 256 columns. Value heads are stored in another order, as GGUF has them.
final class RandomModel implements WeightStore {
    static final int EXPERTS = 3;
    private static final Path SOURCE = Path.of("random.gguf");

    static final TextConfig CONFIG =
            new TextConfig(
                    48,
                    256,
                    List.of(LayerType.LINEAR_ATTENTION, LayerType.FULL_ATTENTION),
                    2,
                    1,
                    128,
                    2,
                    4,
                    32,
                    64,
                    4,
                    EXPERTS,
                    2,
                    256,
                    256,
                    1e-6f,
                    4096,
                    RopeParameters.plain(1e7, 0.25, List.of(6, 5, 5), 4096),
                    1,
                    false,
                    List.of(3, 2));

    private final long seed;
    private final Function<String, GgmlType> typeOf;
    private final boolean finite;
    private final Map<String, byte[]> blocks = new LinkedHashMap<>();

    /// @param typeOf the type of a matrix by its name
    RandomModel(long seed, Function<String, GgmlType> typeOf) {
        this(seed, typeOf, false);
    }

    /// @param finite whether plain floats are finite, and small
    RandomModel(long seed, Function<String, GgmlType> typeOf, boolean finite) {
        this.seed = seed;
        this.typeOf = typeOf;
        this.finite = finite;
    }

    /// All matrices but those of few outputs in one type.
    static RandomModel of(long seed, GgmlType type) {
        return new RandomModel(seed, name -> isExact(name) ? GgmlType.F32 : type);
    }

    /// Whether a matrix decides with few outputs over everything behind it.
    static boolean isExact(String name) {
        return name.endsWith("mlp.gate.weight")
                || name.endsWith("mlp.shared_expert_gate.weight")
                || name.endsWith("in_proj_a.weight")
                || name.endsWith("in_proj_b.weight");
    }

    TextWeights weights() {
        return new TextWeights(this, CONFIG);
    }

    PackSource packSource() {
        return packSource("digest-" + seed);
    }

    PackSource packSource(String digest) {
        return new PackSource("random", weights(), () -> digest, texts());
    }

    private static Map<String, byte[]> texts() {
        return Map.of(
                "config.json",
                ConfigWriter.config(CONFIG),
                "chat_template.jinja",
                "{{ messages }}".getBytes(StandardCharsets.UTF_8));
    }

    /// Bytes that the matrices asked for take in their types.
    long storedBytes() {
        return blocks.values().stream().mapToLong(bytes -> bytes.length).sum();
    }

    @Override
    public Path source() {
        return SOURCE;
    }

    @Override
    public TensorNames names() {
        return new TensorNames("model.");
    }

    @Override
    public boolean contains(String name) {
        return true;
    }

    @Override
    public WeightMatrix matrix(String name, int rows, int cols) {
        GgmlType type = typeOf.apply(name);
        byte[] bytes;
        synchronized (blocks) {
            bytes =
                    blocks.computeIfAbsent(
                            name,
                            _ -> {
                                byte[] any = random(name, (int) type.bytes((long) rows * cols));
                                return finite && (type == GgmlType.F32 || type == GgmlType.BF16)
                                        ? finite(type, any)
                                        : any;
                            });
        }
        WeightMatrix stored =
                new GgmlMatrix(
                        name,
                        type,
                        rows,
                        cols,
                        MemorySegment.ofArray(bytes).asReadOnly(),
                        SOURCE,
                        type == GgmlType.NVFP4 ? 0.37f : 1f);
        int[] heads = {0, 2, 1, 3};
        if (name.endsWith("in_proj_qkv.weight")) {
            return new ReorderedMatrix(stored, ReorderedMatrix.Axis.ROWS, 128, 64, heads);
        }
        return name.endsWith("linear_attn.out_proj.weight")
                ? new ReorderedMatrix(stored, ReorderedMatrix.Axis.COLUMNS, 0, 64, heads)
                : stored;
    }

    @Override
    public Tensor tensor(String name, long... shape) {
        long bytes = 4;
        for (long size : shape) {
            bytes *= size;
        }
        return new Tensor(
                name,
                DType.F32,
                shape,
                MemorySegment.ofArray(random(name, (int) bytes)).asReadOnly(),
                SOURCE);
    }

    /// Any bytes, NaN and infinities included.
    private byte[] random(String name, int count) {
        byte[] bytes = new byte[count];
        new Random(seed ^ name.hashCode() * 0x9E3779B97F4A7C15L).nextBytes(bytes);
        return bytes;
    }

    /// The same bytes, but plain floats below 2 in size, where matrices are F32 or BF16 and nothing else.
    private static byte[] finite(GgmlType type, byte[] bytes) {
        int size = type == GgmlType.F32 ? 4 : 2;
        for (int i = size - 1; i < bytes.length; i += size) {
            bytes[i] &= (byte) 0xBF; // the exponent's highest bit
        }
        return bytes;
    }

    /// Every matrix of a model, by its name.
    static Map<String, WeightMatrix> matrices(TextWeights weights) {
        Map<String, WeightMatrix> all = new LinkedHashMap<>();
        List<WeightMatrix> found = new ArrayList<>(List.of(weights.embedding(), weights.lmHead()));
        for (int layer = 0; layer < 3; layer++) {
            LayerWeights dense = weights.layer(layer);
            switch (dense.mixer()) {
                case MixerWeights.Attention a ->
                        found.addAll(List.of(a.query(), a.key(), a.value(), a.output()));
                case MixerWeights.DeltaNet d ->
                        found.addAll(
                                List.of(
                                        d.queryKeyValue(),
                                        d.gate(),
                                        d.beta(),
                                        d.decay(),
                                        d.output()));
            }
            found.add(dense.router());
            found.add(dense.sharedExpertGate());
            addExpert(found, dense.sharedExpert());
            for (int expert = 0; expert < EXPERTS; expert++) {
                addExpert(found, weights.expert(layer, expert));
            }
        }
        found.add(weights.mtp().orElseThrow().projection());
        found.forEach(matrix -> all.put(matrix.name(), matrix));
        return all;
    }

    private static void addExpert(List<WeightMatrix> all, ExpertWeights expert) {
        all.addAll(List.of(expert.gate(), expert.up(), expert.down()));
    }

    /// Every small tensor of a model.
    static List<Tensor> tensors(TextWeights weights) {
        List<Tensor> all = new ArrayList<>();
        all.add(weights.finalNorm());
        for (int layer = 0; layer < 3; layer++) {
            LayerWeights dense = weights.layer(layer);
            all.add(dense.inputNorm());
            all.add(dense.postMixerNorm());
            switch (dense.mixer()) {
                case MixerWeights.Attention a -> all.addAll(List.of(a.queryNorm(), a.keyNorm()));
                case MixerWeights.DeltaNet d ->
                        all.addAll(List.of(d.conv(), d.decayLog(), d.decayBias(), d.norm()));
            }
        }
        return all;
    }
}
