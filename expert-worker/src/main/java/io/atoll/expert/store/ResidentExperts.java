package io.atoll.expert.store;

import io.atoll.cluster.placement.ExpertShard;
import io.atoll.cluster.placement.ExpertShard.LayerRange;
import io.atoll.kernels.PackedMatrix;
import io.atoll.kernels.WeightFormat;
import io.atoll.model.quant.WeightMatrix;
import io.atoll.model.weights.ExpertWeights;
import io.atoll.model.weights.PackingMode;
import io.atoll.model.weights.TextWeights;
import io.atoll.model.weights.WeightPacking;
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

/// Experts packed into memory of this process. Owns the memory: `close()` frees every matrix.
public final class ResidentExperts implements ExpertStore {
    private static final Logger LOG = LoggerFactory.getLogger(ResidentExperts.class);

    private final Arena arena = Arena.ofShared();
    private final ExpertShard shard;
    private final int hidden;
    private final int intermediate;
    private final boolean quantizedRows;
    private final Set<WeightFormat> formats = EnumSet.noneOf(WeightFormat.class);
    private final PackedMatrix[] gateUp; // [layers * experts], null where not held
    private final PackedMatrix[] down;
    private long bytes;

    /// Where the weights of one expert come from.
    public interface Source {
        /// Packs the gate over the up projection of an expert.
        PackedMatrix gateUp(int layer, int expert, SegmentAllocator memory);

        /// Packs the down projection of an expert.
        PackedMatrix down(int layer, int expert, SegmentAllocator memory);
    }

    /// Takes every expert of a shard from a source.
    ///
    /// @param quantizedRows whether gate and up projections meet int8 rows
    public ResidentExperts(
            ExpertShard shard, int hidden, int intermediate, boolean quantizedRows, Source source) {
        this.shard = shard;
        this.hidden = hidden;
        this.intermediate = intermediate;
        this.quantizedRows = quantizedRows;
        gateUp = new PackedMatrix[shard.layers() * shard.experts()];
        down = new PackedMatrix[shard.layers() * shard.experts()];
        try {
            for (LayerRange range : shard.ranges()) {
                for (int expert = range.first(); expert <= range.last(); expert++) {
                    load(range.layer(), expert, source);
                }
            }
        } catch (RuntimeException | Error e) {
            arena.close();
            throw e;
        }
    }

    private void load(int layer, int expert, Source source) {
        int index = layer * shard.experts() + expert;
        gateUp[index] =
                checked(source.gateUp(layer, expert, arena), "gateUp", 2 * intermediate, hidden);
        if (gateUp[index].format().takesQuantizedRows() != quantizedRows) {
            throw new IllegalArgumentException(
                    "layer=%d expert=%d: gateUp is %s, expected one that takes %s rows"
                            .formatted(
                                    layer,
                                    expert,
                                    gateUp[index].format(),
                                    quantizedRows ? "int8" : "f32"));
        }
        down[index] = checked(source.down(layer, expert, arena), "down", hidden, intermediate);
        bytes += gateUp[index].data().byteSize() + down[index].data().byteSize();
    }

    private PackedMatrix checked(PackedMatrix matrix, String name, int rows, int cols) {
        if (matrix.rows() != rows || matrix.cols() != cols) {
            throw new IllegalArgumentException(
                    "%s is %d x %d, expected %d x %d"
                            .formatted(name, matrix.rows(), matrix.cols(), rows, cols));
        }
        formats.add(matrix.format());
        return matrix;
    }

    /// Loads a shard of a model, reading the bytes of its experts only.
    ///
    /// Without a format the weights keep their values, each matrix in a format of its own: as
    /// [WeightPacking#expertMode] says for the whole model. `Q8` rounds them. The model can be closed afterwards.
    ///
    /// @throws io.atoll.model.config.ModelFileException if a weight is missing, or of a type that the format cannot hold
    public static ResidentExperts load(
            TextWeights weights, ExpertShard shard, Optional<WeightFormat> format) {
        if (format.isPresent()) {
            return load(weights, shard, format.get().takesQuantizedRows(), _ -> format.get());
        }
        PackingMode mode = WeightPacking.expertMode(weights);
        if (mode == PackingMode.EXACT) {
            warnIfSomeCouldBePacked(weights, shard);
        }
        return load(
                weights,
                shard,
                mode == PackingMode.PACKED,
                matrices -> WeightPacking.format(mode, matrices));
    }

    private static ResidentExperts load(
            TextWeights weights,
            ExpertShard shard,
            boolean quantizedRows,
            Function<List<WeightMatrix>, WeightFormat> format) {
        return new ResidentExperts(
                shard,
                weights.config().hiddenSize(),
                weights.config().moeIntermediateSize(),
                quantizedRows,
                new FromModel(weights, format));
    }

    /// Says why a quantised model takes so much memory.
    private static void warnIfSomeCouldBePacked(TextWeights weights, ExpertShard shard) {
        for (LayerRange range : shard.ranges()) {
            for (int expert = range.first(); expert <= range.last(); expert++) {
                ExpertWeights one = weights.expert(range.layer(), expert);
                if (WeightPacking.takesQuantizedRows(one)) {
                    LOG.warn(
                            "{}: some experts are stored in formats of int8 rows ({}), others are"
                                    + " not; all become f32, which takes several times the memory",
                            weights.source(),
                            one.gate());
                    return;
                }
            }
        }
    }

    private record FromModel(TextWeights weights, Function<List<WeightMatrix>, WeightFormat> format)
            implements Source {
        @Override
        public PackedMatrix gateUp(int layer, int expert, SegmentAllocator memory) {
            ExpertWeights one = weights.expert(layer, expert);
            return pack(List.of(one.gate(), one.up()), memory);
        }

        @Override
        public PackedMatrix down(int layer, int expert, SegmentAllocator memory) {
            return pack(List.of(weights.expert(layer, expert).down()), memory);
        }

        private PackedMatrix pack(List<WeightMatrix> matrices, SegmentAllocator memory) {
            return WeightPacking.pack(format.apply(matrices), weights.source(), matrices, memory);
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
    public PackedMatrix gateUp(int layer, int expert) {
        return held(gateUp, layer, expert);
    }

    @Override
    public PackedMatrix down(int layer, int expert) {
        return held(down, layer, expert);
    }

    private PackedMatrix held(PackedMatrix[] matrices, int layer, int expert) {
        if (!shard.holds(layer, expert)) {
            throw new IllegalArgumentException(
                    "layer=" + layer + " expert=" + expert + " is not held: " + shard);
        }
        return matrices[layer * shard.experts() + expert];
    }

    @Override
    public void close() {
        arena.close();
    }
}
