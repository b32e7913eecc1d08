package io.atoll.attention.state;

import io.atoll.kernels.KvFormat;
import io.atoll.kernels.KvLayout;
import io.atoll.model.config.LayerType;
import io.atoll.model.config.TextConfig;
import io.atoll.model.trace.ForwardObserver;
import io.atoll.proto.ErrorCode;
import io.atoll.proto.Failure;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/// The states of all sequences of one worker. Owns their memory, which is set aside at start and backed by pages when it is
/// first used.
///
/// A sequence reserves everything it can come to need when it is opened, so no step can run out of memory half-way.
public final class SequenceStates implements AutoCloseable {
    /// Positions of one KV block. Divides the kernels' segment; small enough that a short answer wastes little.
    public static final int BLOCK_TOKENS = 32;

    private final Arena arena = Arena.ofShared();
    private final StateShape shape;
    private final KvLayout layout;
    private final int maxSequences;
    private final KvBlockPool blocks;
    private final RecurrentStatePool recurrentStates;
    private final MemorySegment tables; // int64 [slots, tableEntries]
    private final long tableEntries;

    /// @param maxSequences sequences open at once
    /// @param maxSequenceTokens longest of them
    /// @param capacityTokens positions of all sequences together; rounded up to whole blocks
    public SequenceStates(
            TextConfig config,
            KvFormat kvFormat,
            int maxSequences,
            int maxSequenceTokens,
            long capacityTokens) {
        shape = new StateShape(config);
        layout = new KvLayout(kvFormat, config.keyValueHeads(), BLOCK_TOKENS, config.headDim());
        this.maxSequences = maxSequences;
        long blockCount = (capacityTokens + BLOCK_TOKENS - 1) / BLOCK_TOKENS;
        if (blockCount <= 0 || blockCount > Integer.MAX_VALUE) {
            throw new IllegalArgumentException(
                    "KV capacity out of range: " + capacityTokens + " tokens");
        }
        blocks = new KvBlockPool(layout, shape.fullLayers(), (int) blockCount);
        recurrentStates = new RecurrentStatePool(shape, maxSequences);
        tableEntries = blocks.blocksFor(maxSequenceTokens);
        tables =
                LazyMemory.allocate(
                        maxSequences * tableEntries * Long.BYTES, "block tables", arena);
    }

    /// What became of a request for a sequence's memory.
    public sealed interface Reservation {
        /// The memory is reserved and its states are zero.
        record Reserved(SequenceState state) implements Reservation {}

        /// A pool is full.
        record Refused(Failure failure) implements Reservation {}
    }

    /// Reserves what a sequence of at most `maxTokens` tokens needs.
    public Reservation open(int maxTokens) {
        if (recurrentStates.freeSlots() == 0) {
            return new Reservation.Refused(
                    new Failure(ErrorCode.OVERLOADED, "every sequence slot is taken"));
        }
        if (blocks.blocksFor(maxTokens) > tableEntries) {
            throw new IllegalArgumentException(
                    "sequence of "
                            + maxTokens
                            + " tokens needs more than "
                            + tableEntries
                            + " blocks");
        }
        if (blocks.blocksFor(maxTokens) > blocks.freeBlocks()) {
            return new Reservation.Refused(
                    new Failure(
                            ErrorCode.OVERLOADED,
                            "not enough KV blocks: need="
                                    + blocks.blocksFor(maxTokens)
                                    + " free="
                                    + blocks.freeBlocks()
                                    + " all="
                                    + blocks.blocks()));
        }
        int slot = recurrentStates.take();
        BlockTable table =
                new BlockTable(
                        tables.asSlice(
                                slot * tableEntries * Long.BYTES, tableEntries * Long.BYTES));
        blocks.reserve(maxTokens, table);
        MemorySegment[] recurrent = new MemorySegment[shape.linearLayers()];
        MemorySegment[] conv = new MemorySegment[shape.linearLayers()];
        for (int i = 0; i < recurrent.length; i++) {
            recurrent[i] = recurrentStates.recurrent(slot, i);
            conv[i] = recurrentStates.conv(slot, i);
        }
        return new Reservation.Reserved(new SequenceState(slot, maxTokens, table, recurrent, conv));
    }

    /// Takes a sequence's memory back.
    public void close(SequenceState state) {
        blocks.release(state.blockTable());
        recurrentStates.release(state.slot());
    }

    /// Keys and values of one full-attention layer, all blocks.
    public MemorySegment keyValues(int fullLayer) {
        return blocks.layer(fullLayer);
    }

    /// Shows a sequence's states under the names of the golden files: `conv_state` `[width - 1, channels]` and
    /// `recurrent_state` `[valueHeads * keyDim, valueDim]` of Gated DeltaNet layers, `k` and `v` `[position, kvHeads * headDim]`
    /// of full-attention layers.
    public void show(SequenceState state, ForwardObserver observer) {
        TextConfig config = shape.config();
        int full = 0;
        int linear = 0;
        for (int i = 0; i < config.layerCount(); i++) {
            if (config.layers().get(i) == LayerType.FULL_ATTENTION) {
                showKeyValues(state, i, full++, observer);
            } else {
                observer.tensor(
                        "conv_state",
                        i,
                        state.conv(linear),
                        config.convKernel() - 1,
                        config.convDim());
                observer.tensor(
                        "recurrent_state",
                        i,
                        state.recurrent(linear++),
                        config.linearValueHeads() * config.linearKeyHeadDim(),
                        config.linearValueHeadDim());
            }
        }
    }

    private void showKeyValues(
            SequenceState state, int layer, int fullLayer, ForwardObserver observer) {
        int heads = layout.kvHeads();
        long rowBytes = (long) heads * layout.headDim() * Float.BYTES;
        try (Arena copies = Arena.ofConfined()) {
            MemorySegment keys = copies.allocate(state.position() * rowBytes, Float.BYTES);
            MemorySegment values = copies.allocate(state.position() * rowBytes, Float.BYTES);
            MemorySegment offsets = state.blockTable().offsets();
            for (int position = 0; position < state.position(); position++) {
                MemorySegment key = keys.asSlice(position * rowBytes, rowBytes);
                MemorySegment value = values.asSlice(position * rowBytes, rowBytes);
                layout.load(keyValues(fullLayer), offsets, position, key, value);
            }
            int width = heads * layout.headDim();
            observer.tensor("k", layer, keys, state.position(), width);
            observer.tensor("v", layer, values, state.position(), width);
        }
    }

    /// How keys and values lie in their blocks.
    public KvLayout layout() {
        return layout;
    }

    /// Positions that all blocks hold together.
    public long capacityTokens() {
        return (long) blocks.blocks() * BLOCK_TOKENS;
    }

    /// Sequences that can be open at once.
    public int maxSequences() {
        return maxSequences;
    }

    /// Blocks that no sequence holds.
    public int freeBlocks() {
        return blocks.freeBlocks();
    }

    /// Sequences that can still be opened, if there are blocks for them.
    public int freeSlots() {
        return recurrentStates.freeSlots();
    }

    @Override
    public void close() {
        blocks.close();
        recurrentStates.close();
        arena.close();
    }
}
