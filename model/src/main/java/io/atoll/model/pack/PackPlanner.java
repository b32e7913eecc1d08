package io.atoll.model.pack;

import io.atoll.kernels.PackedMatrix;
import io.atoll.kernels.WeightFormat;
import io.atoll.model.checkpoint.Tensor;
import io.atoll.model.checkpoint.TensorNames;
import io.atoll.model.config.TextConfig;
import io.atoll.model.pack.PackManifest.ExpertRows;
import io.atoll.model.pack.PackManifest.Region;
import io.atoll.model.pack.PackManifest.TextFile;
import io.atoll.model.pack.PackManifest.WeightFile;
import io.atoll.model.pack.PackPlan.PlannedFile;
import io.atoll.model.pack.PackPlan.PlannedRegion;
import io.atoll.model.quant.GgmlType;
import io.atoll.model.quant.ReorderedMatrix;
import io.atoll.model.quant.WeightMatrix;
import io.atoll.model.weights.ExpertWeights;
import io.atoll.model.weights.LayerWeights;
import io.atoll.model.weights.MixerWeights;
import io.atoll.model.weights.MtpWeights;
import io.atoll.model.weights.PackingMode;
import io.atoll.model.weights.TextWeights;
import io.atoll.model.weights.WeightPacking;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;

/// Decides what each weight of a model becomes, and where it goes. Reads no weight but the small tensors.
///
/// The formats are those that loading the model would pack it into ([WeightPacking]); what they would make larger than the source by
/// more than [#MAX_GROWTH] (F16, which becomes f32) stays as it is, row by row, and is packed when it is loaded.
final class PackPlanner {
    private static final double MAX_GROWTH = 1.06;

    private final PackSource source;
    private final TextWeights weights;
    private final TextConfig config;
    private final PackSelection selection;
    private final DenseFormat denseFormat;
    private final PackingMode expertMode;
    private final Optional<MtpWeights> mtp;

    private final List<List<StoredWeight>> layouts = new ArrayList<>();
    private final Map<List<StoredWeight>, Integer> layoutIndices = new LinkedHashMap<>();
    private final List<PlannedFile> files = new ArrayList<>();

    private PackPlanner(PackSource source, PackSelection selection, DenseFormat denseFormat) {
        this.source = source;
        this.weights = source.weights();
        this.config = weights.config();
        this.selection = selection;
        this.denseFormat = denseFormat;
        this.expertMode = WeightPacking.expertMode(weights);
        this.mtp = weights.mtp();
    }

    /// @throws io.atoll.model.config.ModelFileException if a chosen weight is missing or damaged
    static PackPlan plan(PackSource source, PackSelection selection, DenseFormat denseFormat) {
        return new PackPlanner(source, selection, denseFormat).plan();
    }

    private PackPlan plan() {
        if (selection.hasModelParts()) {
            addModelParts();
        }
        int layers = config.layerCount() + mtp.map(m -> m.layers().size()).orElse(0);
        for (int layer = 0; layer < layers; layer++) {
            if (selection.hasDense(layer)) {
                addDense(layer);
            }
            if (selection.hasExperts(layer)) {
                addExperts(layer);
            }
        }
        List<TextFile> texts =
                new TreeMap<>(source.texts())
                        .entrySet().stream()
                                .map(
                                        text ->
                                                new TextFile(
                                                        text.getKey(),
                                                        text.getValue().length,
                                                        Crc32c.hex(Crc32c.of(text.getValue()))))
                                .toList();
        PackManifest manifest =
                new PackManifest(
                        PackManifest.VERSION,
                        source.digest().get(),
                        source.name(),
                        selection.denseText(),
                        selection.expertText(),
                        denseFormat,
                        expertMode == PackingMode.PACKED ? ExpertRows.INT8 : ExpertRows.F32,
                        PackManifest.FRACTION_BITS,
                        weights.names().prefix(),
                        texts,
                        layouts,
                        files.stream().map(PlannedFile::entry).toList());
        return new PackPlan(manifest, List.copyOf(files));
    }

    /// Embedding, head and final norm, and what the multi-token prediction module has beside its layers; each a region.
    private void addModelParts() {
        TensorNames names = weights.names();
        List<RegionParts> regions = new ArrayList<>();
        regions.add(new RegionParts("").vector(names.finalNorm(), weights.finalNorm()));
        // Of tied tables one is enough: rows can be looked up in the head.
        if (!config.tieWordEmbeddings()) {
            regions.add(new RegionParts("").rows(names.embedding(), weights.embedding()));
        }
        regions.add(
                new RegionParts("")
                        .dense(
                                config.tieWordEmbeddings() ? names.embedding() : names.lmHead(),
                                weights.lmHead()));
        mtp.ifPresent(
                module ->
                        regions.add(
                                new RegionParts("")
                                        .dense(names.mtpProjection(), module.projection())
                                        .vector(names.mtpEmbeddingNorm(), module.embeddingNorm())
                                        .vector(names.mtpHiddenNorm(), module.hiddenNorm())
                                        .vector(names.mtpFinalNorm(), module.finalNorm())));
        addFile("model.dense", regions);
    }

    private void addDense(int layer) {
        TensorNames.Layer name = layerName(layer);
        LayerWeights dense = weights.layer(layer);
        RegionParts parts = new RegionParts(name.prefix());
        parts.vector(name.inputNorm(), dense.inputNorm());
        switch (dense.mixer()) {
            case MixerWeights.Attention a ->
                    parts.dense(name.attention("q_proj.weight"), a.query())
                            .dense(name.attention("k_proj.weight"), a.key())
                            .dense(name.attention("v_proj.weight"), a.value())
                            .dense(name.attention("o_proj.weight"), a.output())
                            .vector(name.attention("q_norm.weight"), a.queryNorm())
                            .vector(name.attention("k_norm.weight"), a.keyNorm());
            case MixerWeights.DeltaNet d ->
                    parts.dense(name.linearAttention("in_proj_qkv.weight"), d.queryKeyValue())
                            .dense(name.linearAttention("in_proj_z.weight"), d.gate())
                            .exact(name.linearAttention("in_proj_b.weight"), d.beta())
                            .exact(name.linearAttention("in_proj_a.weight"), d.decay())
                            .vector(name.linearAttention("conv1d.weight"), d.conv())
                            .vector(name.linearAttention("A_log"), d.decayLog())
                            .vector(name.linearAttention("dt_bias"), d.decayBias())
                            .vector(name.linearAttention("norm.weight"), d.norm())
                            .dense(name.linearAttention("out_proj.weight"), d.output());
        }
        parts.vector(name.postMixerNorm(), dense.postMixerNorm())
                .exact(name.router(), dense.router())
                .dense(name.sharedExpert("gate_proj"), dense.sharedExpert().gate())
                .dense(name.sharedExpert("up_proj"), dense.sharedExpert().up())
                .dense(name.sharedExpert("down_proj"), dense.sharedExpert().down())
                .exact(name.sharedExpertGate(), dense.sharedExpertGate());
        addFile("layer-%04d.dense".formatted(layer), List.of(parts));
    }

    private void addExperts(int layer) {
        TensorNames.Layer name = layerName(layer);
        List<RegionParts> regions = new ArrayList<>();
        for (int expert = 0; expert < config.experts(); expert++) {
            if (selection.hasExpert(layer, expert)) {
                ExpertWeights one = weights.expert(layer, expert);
                regions.add(
                        new RegionParts(name.expertPrefix(expert))
                                .kept(name.expert(expert, "gate_proj"), one.gate(), expertMode)
                                .kept(name.expert(expert, "up_proj"), one.up(), expertMode)
                                .kept(name.expert(expert, "down_proj"), one.down(), expertMode));
            }
        }
        addFile("layer-%04d.experts".formatted(layer), regions);
    }

    private TensorNames.Layer layerName(int layer) {
        return layer < config.layerCount()
                ? weights.names().layer(layer)
                : weights.names().mtpLayer(layer - config.layerCount());
    }

    private void addFile(String name, List<RegionParts> parts) {
        List<PlannedRegion> regions = new ArrayList<>();
        long at = 0;
        for (RegionParts part : parts) {
            long bytes = roundUp(part.end, PackManifest.PAGE);
            List<StoredWeight> layout = part.items.stream().map(PlannedItem::stored).toList();
            int index =
                    layoutIndices.computeIfAbsent(
                            layout,
                            added -> {
                                layouts.add(added);
                                return layouts.size() - 1;
                            });
            Region region = new Region(part.prefix, at, bytes, Crc32c.hex(0), index);
            regions.add(new PlannedRegion(region, List.copyOf(part.items)));
            at += bytes;
        }
        files.add(
                new PlannedFile(
                        new WeightFile(
                                name, at, regions.stream().map(PlannedRegion::entry).toList()),
                        regions));
    }

    private static long roundUp(long bytes, long multiple) {
        return Math.ceilDiv(bytes, multiple) * multiple;
    }

    /// A region while weights are added to it.
    private final class RegionParts {
        private final String prefix;
        private final List<PlannedItem> items = new ArrayList<>();
        private long end;

        RegionParts(String prefix) {
            this.prefix = prefix;
        }

        /// A dense matrix, which the chosen format may round.
        RegionParts dense(String name, WeightMatrix matrix) {
            WeightFormat kept = WeightPacking.format(PackingMode.PACKED, List.of(matrix));
            return switch (denseFormat) {
                case Q8 -> {
                    boolean rounds =
                            matrix.cols() % WeightFormat.Q8.columnMultiple() == 0
                                    && kept.groupBytes(matrix.cols())
                                            > WeightFormat.Q8.groupBytes(matrix.cols());
                    // Stored blocks that only cannot be cut are small already.
                    yield rounds && WeightPacking.columnsToLeave(matrix).isEmpty()
                            ? packed(name, matrix, WeightFormat.Q8)
                            : kept(name, matrix, PackingMode.PACKED);
                }
                case BF16 ->
                        kept == WeightFormat.F32 && WeightPacking.columnsToLeave(matrix).isEmpty()
                                ? packed(name, new RoundedMatrix(matrix), WeightFormat.BF16)
                                : kept(name, matrix, PackingMode.PACKED);
                case KEEP -> kept(name, matrix, PackingMode.PACKED);
            };
        }

        /// A matrix whose rows must not be rounded.
        RegionParts exact(String name, WeightMatrix matrix) {
            return kept(name, matrix, PackingMode.EXACT);
        }

        RegionParts kept(String name, WeightMatrix matrix, PackingMode mode) {
            Optional<ReorderedMatrix> stored =
                    mode == PackingMode.PACKED
                            ? WeightPacking.columnsToLeave(matrix)
                            : Optional.empty();
            if (stored.isPresent()) {
                WeightMatrix inFile = stored.get().source();
                return packed(
                        name,
                        inFile,
                        WeightPacking.format(mode, List.of(inFile)),
                        stored.get().unit(),
                        Arrays.stream(stored.get().order()).boxed().toList());
            }
            WeightFormat format = WeightPacking.format(mode, List.of(matrix));
            Optional<EncodedRows> rows = EncodedRows.of(matrix);
            return rows.isPresent()
                            && PackedMatrix.bytes(format, matrix.rows(), matrix.cols())
                                    > MAX_GROWTH * rows.get().bytes()
                            && mode == PackingMode.PACKED
                    ? rows(name, matrix)
                    : packed(name, matrix, format);
        }

        private RegionParts packed(String name, WeightMatrix matrix, WeightFormat format) {
            return packed(name, matrix, format, 0, List.of());
        }

        private RegionParts packed(
                String name,
                WeightMatrix matrix,
                WeightFormat format,
                int columnUnit,
                List<Integer> columnOrder) {
            return add(
                    new PlannedItem(
                            new StoredWeight.Packed(
                                    relative(name),
                                    place(),
                                    PackedMatrix.bytes(format, matrix.rows(), matrix.cols()),
                                    format,
                                    matrix.rows(),
                                    matrix.cols(),
                                    columnUnit,
                                    columnOrder),
                            matrix.rows(),
                            WeightFormat.GROUP,
                            format.groupBytes(matrix.cols()),
                            (first, count, memory) ->
                                    WeightPacking.pack(
                                                    format,
                                                    weights.source(),
                                                    List.of(matrix.slice(first, count)),
                                                    memory)
                                            .data()));
        }

        /// A matrix in its source's encoding, where that goes row by row.
        RegionParts rows(String name, WeightMatrix matrix) {
            Optional<EncodedRows> encoded = EncodedRows.of(matrix);
            if (encoded.isEmpty()) {
                return packed(
                        name, matrix, WeightPacking.format(PackingMode.EXACT, List.of(matrix)));
            }
            GgmlType type = encoded.get().type();
            return add(
                    new PlannedItem(
                            new StoredWeight.Rows(
                                    relative(name),
                                    place(),
                                    encoded.get().bytes(),
                                    type,
                                    matrix.rows(),
                                    matrix.cols()),
                            matrix.rows(),
                            1,
                            type.bytes(matrix.cols()),
                            encoded.get()::read));
        }

        RegionParts vector(String name, Tensor floats) {
            return add(
                    new PlannedItem(
                            new StoredWeight.Vector(
                                    relative(name),
                                    place(),
                                    floats.data().byteSize(),
                                    floats.dtype(),
                                    Arrays.stream(floats.shape()).boxed().toList()),
                            1,
                            1,
                            floats.data().byteSize(),
                            (_, _, memory) -> {
                                MemorySegment copy =
                                        memory.allocate(
                                                floats.data().byteSize(), PackedMatrix.ALIGNMENT);
                                return copy.copyFrom(floats.data());
                            }));
        }

        private RegionParts add(PlannedItem item) {
            items.add(item);
            end = item.stored().offset() + item.stored().bytes();
            return this;
        }

        private long place() {
            return roundUp(end, PackedMatrix.ALIGNMENT);
        }

        private String relative(String name) {
            if (!name.startsWith(prefix)) {
                throw new IllegalArgumentException(name + " does not begin with " + prefix);
            }
            return name.substring(prefix.length());
        }
    }
}
