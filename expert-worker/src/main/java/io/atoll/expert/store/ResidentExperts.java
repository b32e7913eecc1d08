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
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SegmentAllocator;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.EnumSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Function;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/// Experts packed into memory of this process, or lying ready in a mapped pack. Owns the memory, but not the pack: `close()` frees
/// every matrix that was packed.
///
/// What is held may change while a worker serves: [#prepare] loads on any thread, [#add] and [#remove] belong to the thread that
/// computes, between two batches, and so does [#expert]. [#contents] may be asked by anybody.
public final class ResidentExperts implements ExpertStore {
    private static final Logger LOG = LoggerFactory.getLogger(ResidentExperts.class);

    /// Experts that are read before what reading has taken is given back: a layer of a large model has several GB of them.
    private static final int TOGETHER = 32;

    private final int hidden;
    private final int intermediate;
    private final boolean quantizedRows;
    private final Held[] held; // [layers * experts], null where not held
    private volatile Contents contents;

    /// One expert and the memory that it was packed into.
    private record Held(PackedExpert weights, Memory memory) {}

    /// The memory of one expert; none as long as nothing is allocated, as with a mapped pack.
    private static final class Memory implements SegmentAllocator, AutoCloseable {
        private Arena arena; // null until needed

        @Override
        public MemorySegment allocate(long byteSize, long byteAlignment) {
            if (arena == null) {
                arena = Arena.ofShared();
            }
            return arena.allocate(byteSize, byteAlignment);
        }

        @Override
        public void close() {
            if (arena != null) {
                arena.close();
            }
        }
    }

    /// What is held at one moment.
    ///
    /// @param shard which experts
    /// @param bytes of all their matrices
    /// @param formats of all their matrices
    /// @param expertBytes `[layers]`, of one expert of each layer as far as one was ever held, else 0
    public record Contents(
            ExpertShard shard, long bytes, Set<WeightFormat> formats, List<Long> expertBytes) {
        public Contents {
            formats =
                    Collections.unmodifiableSet(
                            formats.isEmpty() ? formats : EnumSet.copyOf(formats));
            expertBytes = List.copyOf(expertBytes);
        }
    }

    /// Where experts come from.
    public interface Source {
        /// Packs the weights of one expert. They may lie elsewhere, if they are ready there; then the source must outlive the
        /// store. Called from several threads.
        ///
        /// @param memory owns them
        PackedExpert expert(int layer, int expert, SegmentAllocator memory);

        /// How many experts should be loaded at a time while a worker serves.
        default int concurrency() {
            return 1;
        }

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

    /// Takes every expert of a shard from a source.
    ///
    /// @param quantizedRows whether gate and up projections meet int8 rows
    /// @param pool loads several at a time
    public ResidentExperts(
            ExpertShard shard,
            int hidden,
            int intermediate,
            boolean quantizedRows,
            Source source,
            ComputePool pool) {
        this.hidden = hidden;
        this.intermediate = intermediate;
        this.quantizedRows = quantizedRows;
        held = new Held[shard.layers() * shard.experts()];
        contents =
                new Contents(
                        ExpertShard.none(shard.layers(), shard.experts()),
                        0,
                        EnumSet.noneOf(WeightFormat.class),
                        Collections.nCopies(shard.layers(), 0L));
        try (Unheld loaded = prepare(shard, source, pool, Long.MAX_VALUE, () -> {})) {
            add(loaded);
        }
    }

    /// Experts that are loaded but not held, not yet or no more. Closing it frees them.
    public static final class Unheld implements AutoCloseable {
        private final ExpertShard shard;
        private final Held[] loaded; // [layers * experts]
        private final AtomicLong bytes = new AtomicLong();

        private Unheld(ExpertShard shard) {
            this.shard = shard;
            loaded = new Held[shard.layers() * shard.experts()];
        }

        /// Which experts.
        public ExpertShard shard() {
            return shard;
        }

        @Override
        public void close() {
            for (Held each : loaded) {
                if (each != null) {
                    each.memory.close();
                }
            }
        }
    }

    /// Loads experts beside those that are held. What is held already is left out. Several threads may not call this at once.
    ///
    /// @param pool loads several at a time
    /// @param maxBytes most that all experts may take then, the held ones included
    /// @param each is run after every expert, by the threads that load; what it throws ends the loading
    /// @throws io.atoll.model.config.ModelFileException if the source lacks a weight
    /// @throws ExpertMemoryException if they would take more; nothing stays loaded then
    public Unheld prepare(
            ExpertShard wanted, Source source, ComputePool pool, long maxBytes, Runnable each) {
        Unheld prepared = new Unheld(wanted.without(contents.shard));
        try {
            for (LayerRange range : prepared.shard.ranges()) {
                for (int first = range.first(); first <= range.last(); first += TOGETHER) {
                    int from = first;
                    int count = Math.min(TOGETHER, range.last() - first + 1);
                    pool.run(
                            count,
                            index -> {
                                load(range.layer(), from + index, source, prepared, maxBytes);
                                each.run();
                            });
                    source.releasePages();
                }
            }
            return prepared;
        } catch (RuntimeException | Error e) {
            prepared.close();
            throw e;
        }
    }

    private void load(int layer, int expert, Source source, Unheld prepared, long maxBytes) {
        Memory memory = new Memory();
        boolean kept = false;
        try {
            PackedExpert loaded = source.expert(layer, expert, memory);
            require(layer, expert, loaded);
            long bytes = contents.bytes + prepared.bytes.addAndGet(loaded.bytes());
            if (bytes > maxBytes) {
                throw new ExpertMemoryException(layer, expert, bytes, maxBytes);
            }
            prepared.loaded[layer * contents.shard.experts() + expert] = new Held(loaded, memory);
            kept = true;
        } finally {
            if (!kept) {
                memory.close();
            }
        }
    }

    private void require(int layer, int expert, PackedExpert loaded) {
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
    }

    /// Holds what was prepared from here on.
    public void add(Unheld prepared) {
        Contents before = contents;
        Set<WeightFormat> formats = EnumSet.noneOf(WeightFormat.class);
        formats.addAll(before.formats);
        List<Long> expertBytes = new ArrayList<>(before.expertBytes);
        long bytes = before.bytes;
        for (int i = 0; i < held.length; i++) {
            Held each = prepared.loaded[i];
            if (each == null) {
                continue;
            }
            if (held[i] != null) {
                throw new IllegalStateException("held already: " + prepared.shard);
            }
            held[i] = each;
            PackedExpert weights = each.weights;
            for (PackedMatrix matrix : List.of(weights.gate(), weights.up(), weights.down())) {
                formats.add(matrix.format());
            }
            expertBytes.set(i / before.shard.experts(), weights.bytes());
            bytes += weights.bytes();
        }
        Arrays.fill(prepared.loaded, null);
        contents = new Contents(before.shard.plus(prepared.shard), bytes, formats, expertBytes);
    }

    /// Lets go of experts. Those that are not held are no error.
    ///
    /// @return to be closed, which may take a while, by any thread
    public Unheld remove(ExpertShard unwanted) {
        Contents before = contents;
        ExpertShard gone = before.shard.and(unwanted);
        Unheld removed = new Unheld(gone);
        long bytes = before.bytes;
        for (LayerRange range : gone.ranges()) {
            for (int expert = range.first(); expert <= range.last(); expert++) {
                int index = range.layer() * before.shard.experts() + expert;
                bytes -= held[index].weights.bytes();
                removed.loaded[index] = held[index];
                held[index] = null;
            }
        }
        contents =
                new Contents(before.shard.without(gone), bytes, before.formats, before.expertBytes);
        return removed;
    }

    /// What is held now.
    public Contents contents() {
        return contents;
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
        WidenedWeights widened = new WidenedWeights();
        FromModel source = source(weights, format, widened);
        ResidentExperts loaded =
                new ResidentExperts(
                        shard,
                        weights.config().hiddenSize(),
                        weights.config().moeIntermediateSize(),
                        source.quantizedRows,
                        source,
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

    /// The experts of a model, to be held as [#load] says; it has to stay open as long as [#load] says.
    public static Source source(TextWeights weights, Optional<WeightFormat> format) {
        return source(weights, format, new WidenedWeights());
    }

    private static FromModel source(
            TextWeights weights, Optional<WeightFormat> format, WidenedWeights widened) {
        if (format.isPresent()) {
            return new FromModel(
                    weights, format.get().takesQuantizedRows(), _ -> format.get(), widened);
        }
        PackingMode mode = WeightPacking.expertMode(weights);
        return new FromModel(
                weights,
                mode == PackingMode.PACKED,
                matrices -> WeightPacking.format(mode, matrices),
                widened);
    }

    private record FromModel(
            TextWeights weights,
            boolean quantizedRows,
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
        return contents.shard;
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

    @Override
    public PackedExpert expert(int layer, int expert) {
        ExpertShard shard = contents.shard;
        if (!shard.holds(layer, expert)) {
            throw new IllegalArgumentException(
                    "layer=" + layer + " expert=" + expert + " is not held: " + shard);
        }
        return held[layer * shard.experts() + expert].weights;
    }

    /// An expert for who sends it elsewhere, on any thread. When it is removed meanwhile its memory is closed, and reading it is an
    /// [IllegalStateException].
    public Optional<PackedExpert> held(int layer, int expert) {
        ExpertShard shard = contents.shard;
        if (!shard.holds(layer, expert)) {
            return Optional.empty();
        }
        return Optional.ofNullable(held[layer * shard.experts() + expert]).map(Held::weights);
    }

    @Override
    public void close() {
        for (Held each : held) {
            if (each != null) {
                each.memory.close();
            }
        }
    }
}
