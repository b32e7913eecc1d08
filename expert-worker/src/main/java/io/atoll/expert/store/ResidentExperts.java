package io.atoll.expert.store;

import io.atoll.cluster.placement.ExpertShard;
import io.atoll.cluster.placement.ExpertShard.LayerRange;
import io.atoll.kernels.PackedMatrix;
import io.atoll.kernels.WeightFormat;
import io.atoll.model.weights.ExpertWeights;
import io.atoll.model.weights.TextWeights;
import io.atoll.model.weights.WeightPacking;
import java.lang.foreign.Arena;
import java.lang.foreign.SegmentAllocator;
import java.util.List;
import java.util.Optional;

/// Experts packed into memory of this process. Owns the memory: `close()` frees every matrix.
public final class ResidentExperts implements ExpertStore {
    private final Arena arena = Arena.ofShared();
    private final ExpertShard shard;
    private final int hidden;
    private final int intermediate;
    private final WeightFormat format;
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
    public ResidentExperts(
            ExpertShard shard, int hidden, int intermediate, WeightFormat format, Source source) {
        this.shard = shard;
        this.hidden = hidden;
        this.intermediate = intermediate;
        this.format = format;
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
        down[index] = checked(source.down(layer, expert, arena), "down", hidden, intermediate);
        bytes += gateUp[index].data().byteSize() + down[index].data().byteSize();
    }

    private PackedMatrix checked(PackedMatrix matrix, String name, int rows, int cols) {
        if (matrix.format() != format || matrix.rows() != rows || matrix.cols() != cols) {
            throw new IllegalArgumentException(
                    "%s is %s %d x %d, expected %s %d x %d"
                            .formatted(
                                    name,
                                    matrix.format(),
                                    matrix.rows(),
                                    matrix.cols(),
                                    format,
                                    rows,
                                    cols));
        }
        return matrix;
    }

    /// Loads a shard of a model, reading the bytes of its experts only.
    ///
    /// Without a format the weights keep their values: BF16 stays BF16, everything else becomes the f32 it means. `Q8` rounds
    /// them. The model can be closed afterwards.
    ///
    /// @throws io.atoll.model.config.ModelFileException if a weight is missing, or of a type that the format cannot hold
    public static ResidentExperts load(
            TextWeights weights, ExpertShard shard, Optional<WeightFormat> format) {
        WeightFormat chosen = format.orElseGet(() -> sourceFormat(weights, shard));
        return new ResidentExperts(
                shard,
                weights.config().hiddenSize(),
                weights.config().moeIntermediateSize(),
                chosen,
                new FromModel(weights, chosen));
    }

    /// The narrowest format that keeps the value of every weight of the shard.
    private static WeightFormat sourceFormat(TextWeights weights, ExpertShard shard) {
        for (LayerRange range : shard.ranges()) {
            for (int expert = range.first(); expert <= range.last(); expert++) {
                ExpertWeights one = weights.expert(range.layer(), expert);
                if (WeightPacking.format(List.of(one.gate(), one.up(), one.down()))
                        != WeightFormat.BF16) {
                    return WeightFormat.F32;
                }
            }
        }
        return WeightFormat.BF16;
    }

    private record FromModel(TextWeights weights, WeightFormat format) implements Source {
        @Override
        public PackedMatrix gateUp(int layer, int expert, SegmentAllocator memory) {
            ExpertWeights one = weights.expert(layer, expert);
            return WeightPacking.pack(
                    format, weights.source(), List.of(one.gate(), one.up()), memory);
        }

        @Override
        public PackedMatrix down(int layer, int expert, SegmentAllocator memory) {
            ExpertWeights one = weights.expert(layer, expert);
            return WeightPacking.pack(format, weights.source(), List.of(one.down()), memory);
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
    public WeightFormat format() {
        return format;
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
