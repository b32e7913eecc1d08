package io.atoll.expert.store;

import io.atoll.cluster.placement.ExpertShard;
import io.atoll.cluster.placement.ExpertShard.LayerRange;
import io.atoll.kernels.ComputePool;
import io.atoll.kernels.PackedMatrix;
import io.atoll.kernels.WeightFormat;
import io.atoll.model.quant.WeightMatrix;
import io.atoll.model.weights.ExpertWeights;
import io.atoll.model.weights.PackingMode;
import io.atoll.model.weights.TextWeights;
import io.atoll.model.weights.WeightPacking;
import io.atoll.model.weights.WidenedWeights;
import java.lang.foreign.Arena;
import java.lang.foreign.SegmentAllocator;
import java.util.Collections;
import java.util.EnumSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.function.Function;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/// Experts packed into memory of this process, or lying ready in a mapped pack. Owns the memory, but not the pack: `close()` frees
/// every matrix that was packed.
public final class ResidentExperts implements ExpertStore {
    private static final Logger LOG = LoggerFactory.getLogger(ResidentExperts.class);

    /// Experts that are read before what reading has taken is given back: a layer of a large model has several GB of them.
    private static final int TOGETHER = 32;

    private final Arena arena = Arena.ofShared();
    private final ExpertShard shard;
    private final int hidden;
    private final int intermediate;
    private final boolean quantizedRows;
    private final Set<WeightFormat> formats = EnumSet.noneOf(WeightFormat.class);
    private final PackedExpert[] held; // [layers * experts], null where not held
    private long bytes;

    /// Where experts come from.
    public interface Source {
        /// Packs the weights of one expert. They may lie elsewhere, if they are ready there; then the source must outlive the
        /// store. Called from several threads.
        ///
        /// @param memory owns them
        PackedExpert expert(int layer, int expert, SegmentAllocator memory);

        /// Gives back what reading has taken. Called now and then.
        default void releasePages() {
            // Nothing was taken.
        }
    }

    /// Takes every expert of a shard from a source.
    ///
    /// @param quantizedRows whether gate and up projections meet int8 rows
    public ResidentExperts(
            ExpertShard shard, int hidden, int intermediate, boolean quantizedRows, Source source) {
        this(shard, hidden, intermediate, quantizedRows, source, new ComputePool(1));
    }

    private ResidentExperts(
            ExpertShard shard,
            int hidden,
            int intermediate,
            boolean quantizedRows,
            Source source,
            ComputePool pool) {
        this.shard = shard;
        this.hidden = hidden;
        this.intermediate = intermediate;
        this.quantizedRows = quantizedRows;
        held = new PackedExpert[shard.layers() * shard.experts()];
        try {
            for (LayerRange range : shard.ranges()) {
                for (int first = range.first(); first <= range.last(); first += TOGETHER) {
                    int from = first;
                    int count = Math.min(TOGETHER, range.last() - first + 1);
                    pool.run(count, index -> load(range.layer(), from + index, source));
                    source.releasePages();
                }
            }
            for (PackedExpert each : held) {
                if (each != null) {
                    count(each);
                }
            }
        } catch (RuntimeException | Error e) {
            arena.close();
            throw e;
        }
    }

    private void load(int layer, int expert, Source source) {
        PackedExpert loaded = source.expert(layer, expert, arena);
        if (loaded.intermediate() != intermediate
                || loaded.hidden() != hidden
                || loaded.gate().format().takesQuantizedRows() != quantizedRows) {
            throw new IllegalArgumentException(
                    "layer=%d expert=%d: gate is %s %d x %d, expected a format of %s rows and %d x %d"
                            .formatted(
                                    layer,
                                    expert,
                                    loaded.gate().format(),
                                    loaded.intermediate(),
                                    loaded.hidden(),
                                    quantizedRows ? "int8" : "f32",
                                    intermediate,
                                    hidden));
        }
        held[layer * shard.experts() + expert] = loaded;
    }

    private void count(PackedExpert loaded) {
        for (PackedMatrix matrix : List.of(loaded.gate(), loaded.up(), loaded.down())) {
            formats.add(matrix.format());
        }
        bytes += loaded.bytes();
    }

    /// Loads a shard of a model, reading the bytes of its experts only.
    ///
    /// Without a format the weights keep their values, each matrix in a format of its own: as
    /// [WeightPacking#expertMode] says for the whole model. `Q8` rounds them. A model can be closed afterwards, unless it is a pack:
    /// what it holds ready is not copied, and stays in its mapped files.
    ///
    /// @param pool packs, or checks, several experts at a time
    ///
    /// @throws io.atoll.model.config.ModelFileException if a weight is missing, or of a type that the format cannot hold
    public static ResidentExperts load(
            TextWeights weights,
            ExpertShard shard,
            Optional<WeightFormat> format,
            ComputePool pool) {
        if (format.isPresent()) {
            return load(weights, shard, format.get().takesQuantizedRows(), _ -> format.get(), pool);
        }
        PackingMode mode = WeightPacking.expertMode(weights);
        return load(
                weights,
                shard,
                mode == PackingMode.PACKED,
                matrices -> WeightPacking.format(mode, matrices),
                pool);
    }

    private static ResidentExperts load(
            TextWeights weights,
            ExpertShard shard,
            boolean quantizedRows,
            Function<List<WeightMatrix>, WeightFormat> format,
            ComputePool pool) {
        WidenedWeights widened = new WidenedWeights();
        ResidentExperts loaded =
                new ResidentExperts(
                        shard,
                        weights.config().hiddenSize(),
                        weights.config().moeIntermediateSize(),
                        quantizedRows,
                        new FromModel(weights, format, widened),
                        pool);
        widened.summary()
                .ifPresent(
                        summary ->
                                LOG.warn(
                                        "{}: experts that became f32, at several times their"
                                                + " size: {}",
                                        weights.source(),
                                        summary));
        return loaded;
    }

    private record FromModel(
            TextWeights weights,
            Function<List<WeightMatrix>, WeightFormat> format,
            WidenedWeights widened)
            implements Source {
        @Override
        public PackedExpert expert(int layer, int expert, SegmentAllocator memory) {
            ExpertWeights one = weights.expert(layer, expert);
            return new PackedExpert(
                    pack(one.gate(), memory), pack(one.up(), memory), pack(one.down(), memory));
        }

        @Override
        public void releasePages() {
            weights.releasePages();
        }

        private PackedMatrix pack(WeightMatrix matrix, SegmentAllocator memory) {
            List<WeightMatrix> alone = List.of(matrix);
            WeightFormat chosen = format.apply(alone);
            widened.note(chosen, alone);
            return WeightPacking.pack(chosen, weights.source(), alone, memory);
        }
    }

    @Override
    public ExpertShard shard() {
        return shard;
    }

    @Override
    public int hidden() {
        return hidden;
    }

    @Override
    public int intermediate() {
        return intermediate;
    }

    @Override
    public boolean takesQuantizedRows() {
        return quantizedRows;
    }

    /// The formats of all matrices.
    public Set<WeightFormat> formats() {
        return Collections.unmodifiableSet(formats);
    }

    /// Bytes of all matrices.
    public long bytes() {
        return bytes;
    }

    @Override
    public PackedExpert expert(int layer, int expert) {
        if (!shard.holds(layer, expert)) {
            throw new IllegalArgumentException(
                    "layer=" + layer + " expert=" + expert + " is not held: " + shard);
        }
        return held[layer * shard.experts() + expert];
    }

    @Override
    public void close() {
        arena.close();
    }
}
