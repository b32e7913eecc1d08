package io.atoll.attention.state;

import io.atoll.kernels.KvFormat;
import io.atoll.kernels.KvLayout;
import io.atoll.model.config.LayerType;
import io.atoll.model.config.TextConfig;
import io.atoll.model.trace.ForwardObserver;
import io.atoll.proto.ErrorCode;
import io.atoll.proto.Failure;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/// The states of all sequences of one worker, and checkpoints of some for sequences to come. Owns their memory, which is set aside
/// at start and backed by pages when it is first used.
///
/// A sequence reserves everything it can come to need when it is opened, so no step can run out of memory half-way. Checkpoints
/// live on what is left: they are given up, the least valuable first, when a sequence needs their blocks. Where there is a disk for
/// them, those next to be given up are written to it beforehand, so that giving up takes no time.
public final class SequenceStates implements AutoCloseable {
    /// Positions of one KV block. Divides the kernels' segment; small enough that a short answer wastes little.
    public static final int BLOCK_TOKENS = 32;

    private final Arena arena = Arena.ofShared();
    private final StateShape shape;
    private final KvLayout layout;
    private final KvBlockPool blocks;
    private final RecurrentStatePool recurrentStates;
    private final MemorySegment tables; // int64 [slots, tableEntries]
    private final long tableEntries;
    private final int maxSequences;
    private final int maxCheckpoints;
    private final PrefixCache<Checkpoint> cache = new PrefixCache<>(this::bytesOf);
    private final Optional<CheckpointFiles> files;
    private final List<SequenceState> abandoned =
            new ArrayList<>(); // something is still read into them
    private int openSequences;
    private long checkpointHits;
    private long checkpointEvictions;
    private long checkpointLoads;

    /// @param maxSequences sequences open at once
    /// @param maxCheckpoints checkpoints kept at once; 0 keeps none
    /// @param maxSequenceTokens longest sequence
    /// @param capacityTokens positions of all sequences and checkpoints together; rounded up to whole blocks
    /// @param predicts whether room is needed for the multi-token prediction module
    /// @param disk where checkpoints go that memory has no room for
    /// @param origin names model and arithmetic: states of the same tokens and the same origin have the same bytes
    /// @throws CheckpointDiskException if the disk can't be used
    public SequenceStates(
            TextConfig config,
            boolean predicts,
            KvFormat kvFormat,
            int maxSequences,
            int maxCheckpoints,
            int maxSequenceTokens,
            long capacityTokens,
            Optional<CheckpointDisk> disk,
            String origin) {
        this.maxCheckpoints = maxCheckpoints;
        shape = new StateShape(config, predicts);
        layout = new KvLayout(kvFormat, config.keyValueHeads(), BLOCK_TOKENS, config.headDim());
        this.maxSequences = maxSequences;
        long blockCount = (capacityTokens + BLOCK_TOKENS - 1) / BLOCK_TOKENS;
        if (blockCount <= 0 || blockCount > Integer.MAX_VALUE) {
            throw new IllegalArgumentException(
                    "KV capacity out of range: " + capacityTokens + " tokens");
        }
        int slots = Math.addExact(maxSequences, maxCheckpoints);
        blocks = new KvBlockPool(layout, shape.keyValueLayers(), (int) blockCount);
        recurrentStates = new RecurrentStatePool(shape, slots);
        tableEntries = blocks.blocksFor(maxSequenceTokens);
        tables = LazyMemory.allocate(slots * tableEntries * Long.BYTES, "block tables", arena);
        files =
                disk.filter(_ -> maxCheckpoints > 0)
                        .map(
                                used ->
                                        open(
                                                used,
                                                String.join(
                                                        "\n",
                                                        origin,
                                                        used.variant(),
                                                        config.toString(),
                                                        predicts ? "predicts" : "",
                                                        layout.toString())));
    }

    private CheckpointFiles open(CheckpointDisk disk, String identity) {
        try {
            return new CheckpointFiles(disk, identity);
        } catch (IOException e) {
            closeMemory();
            throw new CheckpointDiskException(disk.directory(), e);
        }
    }

    /// Bytes of the recurrent states of one sequence or checkpoint.
    public static long recurrentBytes(TextConfig config) {
        return new StateShape(config, false).slotBytes();
    }

    /// What became of a request for a sequence's memory.
    public sealed interface Reservation {
        /// The memory is reserved. The state is that after the first `state.position()` tokens, which a checkpoint has seen, or
        /// zero; or a checkpoint is being read into it ([SequenceState#isLoading]).
        record Reserved(SequenceState state) implements Reservation {}

        /// A pool is full.
        record Refused(Failure failure) implements Reservation {}
    }

    /// Reserves what a sequence of at most `maxTokens` tokens needs, and begins it where the deepest checkpoint on its way ends.
    ///
    /// @param tokens the first tokens of the sequence; the last of them is left to be computed, since its logits are wanted
    public Reservation open(int maxTokens, int[] tokens) {
        if (blocks.blocksFor(maxTokens) > tableEntries) {
            throw new IllegalArgumentException(
                    "sequence of "
                            + maxTokens
                            + " tokens needs more than "
                            + tableEntries
                            + " blocks");
        }
        if (openSequences == maxSequences) {
            return new Reservation.Refused(
                    new Failure(ErrorCode.OVERLOADED, "every sequence slot is taken"));
        }
        freeAbandoned();
        Optional<Checkpoint> found = cache.find(tokens, tokens.length - 1);
        Optional<StoredCheckpoint> deeper = deeperOnDisk(found, tokens);
        if (deeper.isPresent()) {
            found = Optional.empty(); // nothing of it would be left
        }
        int shared = found.map(this::fullBlocks).orElse(0);
        int needed = blocks.blocksFor(maxTokens);
        int sharedInUse =
                found.map(hit -> blocks.usedBlocks(hit.blockTable(), fullBlocks(hit))).orElse(0);
        if (needed - sharedInUse > blocks.unusedBlocks()) {
            return full(needed - sharedInUse); // giving up every checkpoint would not help
        }
        if (!makeRoom(needed - shared, found)) {
            found = Optional.empty(); // the checkpoint itself holds what is missing
            shared = 0;
            if (!makeRoom(needed, found)) {
                return full(needed);
            }
        }
        openSequences++;
        checkpointHits += found.isPresent() ? 1 : 0;
        int slot =
                found.isPresent()
                        ? recurrentStates.copy(found.get().slot())
                        : recurrentStates.take();
        BlockTable table = table(slot);
        found.ifPresent(
                checkpoint -> blocks.share(checkpoint.blockTable(), fullBlocks(checkpoint), table));
        blocks.append(needed - shared, table);
        SequenceState state = state(slot, maxTokens, table);
        found.ifPresent(checkpoint -> begin(state, checkpoint));
        deeper.ifPresent(checkpoint -> load(checkpoint, tokens, state));
        return new Reservation.Reserved(state);
    }

    private Optional<StoredCheckpoint> deeperOnDisk(Optional<Checkpoint> found, int[] tokens) {
        int inMemory = found.map(Checkpoint::tokens).orElse(0);
        return files.flatMap(disk -> disk.find(tokens, tokens.length - 1))
                .filter(stored -> stored.tokens() - inMemory >= CheckpointFiles.MIN_TOKENS);
    }

    private void load(StoredCheckpoint checkpoint, int[] tokens, SequenceState state) {
        state.loads(
                files.orElseThrow()
                        .read(
                                checkpoint,
                                tokens,
                                parts(state.slot(), state.blockTable(), checkpoint.tokens())));
    }

    /// Where a state of so many tokens lies: recurrent states, then the blocks of each layer with keys and values.
    private List<MemorySegment> parts(int slot, BlockTable table, int tokens) {
        List<MemorySegment> parts = new ArrayList<>();
        parts.add(recurrentStates.slot(slot));
        for (int layer = 0; layer < shape.keyValueLayers(); layer++) {
            for (int i = 0; i < blocks.blocksFor(tokens); i++) {
                parts.add(blocks.layer(layer).asSlice(table.offset(i), layout.blockBytes()));
            }
        }
        return parts;
    }

    /// Whether a state that a checkpoint was read into can be used now. If the checkpoint could not be read, it is zero.
    public boolean isLoaded(SequenceState state) {
        if (!state.isLoading()) {
            return true;
        }
        CheckpointFiles.Load load = state.load();
        if (!load.isOver()) {
            return false;
        }
        if (load.isComplete()) {
            state.advance(load.tokens());
            checkpointHits++;
            checkpointLoads++;
        } else {
            recurrentStates.slot(state.slot()).fill((byte) 0);
        }
        state.loaded();
        return true;
    }

    private Reservation full(int needed) {
        return new Reservation.Refused(
                new Failure(
                        ErrorCode.OVERLOADED,
                        "not enough KV blocks: need="
                                + needed
                                + " free="
                                + blocks.unusedBlocks()
                                + " all="
                                + blocks.blocks()));
    }

    /// Blocks that lie wholly before a checkpoint, so that nobody writes to them. The prediction module is a few positions behind.
    private int fullBlocks(Checkpoint checkpoint) {
        int behind = shape.predicts() ? PendingHidden.MAX_ROWS : 0;
        return Math.max(0, checkpoint.tokens() - behind) / BLOCK_TOKENS;
    }

    /// Brings a state to a checkpoint: blocks that the sequence will go on writing have to be its own.
    private void begin(SequenceState state, Checkpoint checkpoint) {
        int held = blocks.blocksFor(checkpoint.tokens());
        for (int i = fullBlocks(checkpoint); i < held; i++) {
            blocks.copy(checkpoint.blockTable().offset(i), state.blockTable().offset(i));
        }
        state.advance(checkpoint.tokens());
    }

    /// Gives checkpoints up until so many blocks are free.
    private boolean makeRoom(int needed, Optional<Checkpoint> spared) {
        while (blocks.freeBlocks() < needed) {
            if (!evict(spared)) {
                return false;
            }
        }
        return true;
    }

    private boolean evict(Optional<Checkpoint> spared) {
        Optional<Checkpoint> victim = cache.evict(spared);
        victim.ifPresent(
                checkpoint -> {
                    checkpoint.release();
                    release(checkpoint.slot(), checkpoint.blockTable());
                });
        checkpointEvictions += victim.isPresent() ? 1 : 0;
        return victim.isPresent();
    }

    private SequenceState state(int slot, int maxTokens, BlockTable table) {
        MemorySegment[] recurrent = new MemorySegment[shape.linearLayers()];
        MemorySegment[] conv = new MemorySegment[shape.linearLayers()];
        for (int i = 0; i < recurrent.length; i++) {
            recurrent[i] = recurrentStates.recurrent(slot, i);
            conv[i] = recurrentStates.conv(slot, i);
        }
        return new SequenceState(
                slot,
                maxTokens,
                table,
                recurrent,
                conv,
                new PendingHidden(recurrentStates.pending(slot)));
    }

    private BlockTable table(int slot) {
        long bytes = tableEntries * Long.BYTES;
        return new BlockTable(tables.asSlice(slot * bytes, bytes));
    }

    /// Keeps a checkpoint of a sequence that goes on. Does nothing if there is one already, or no room for one.
    ///
    /// @param tokens begins with the `state.position()` tokens that the sequence has seen
    public void checkpoint(SequenceState state, int[] tokens) {
        int length = state.position();
        if (maxCheckpoints == 0 || length == 0 || cache.contains(tokens, length)) {
            return;
        }
        makeRoomForOne();
        int slot = recurrentStates.copy(state.slot());
        BlockTable table = table(slot);
        table.setUnused();
        blocks.share(state.blockTable(), blocks.blocksFor(length), table);
        cache.put(tokens, new Checkpoint(slot, table, length));
        writeNext();
    }

    /// Ends a sequence and makes a checkpoint of what it has seen, without a copy.
    ///
    /// @param tokens begins with the `state.position()` tokens that the sequence has seen
    public void closeToCheckpoint(SequenceState state, int[] tokens) {
        int length = state.position();
        if (maxCheckpoints == 0 || length == 0 || cache.contains(tokens, length)) {
            close(state);
            return;
        }
        openSequences--;
        makeRoomForOne();
        blocks.truncate(state.blockTable(), blocks.blocksFor(length));
        blocks.retire(state.blockTable());
        cache.put(tokens, new Checkpoint(state.slot(), state.blockTable(), length));
        writeNext();
    }

    /// Begins to write the checkpoint that would be given up next, if memory is getting short.
    private void writeNext() {
        boolean isShort =
                cache.size() > maxCheckpoints / 2 || blocks.freeBlocks() < blocks.blocks() / 4;
        if (files.isEmpty() || !isShort || !files.get().isReady()) {
            return;
        }
        Optional<PrefixCache.Entry<Checkpoint>> next = nextUnwritten();
        while (next.isPresent()) {
            Checkpoint checkpoint = next.get().checkpoint();
            int[] tokens = next.get().tokens();
            checkpoint.offered = true;
            if (!files.get().contains(tokens)) {
                List<MemorySegment> parts =
                        parts(checkpoint.slot(), checkpoint.blockTable(), tokens.length);
                files.get().write(tokens, checkpoint, parts);
                return;
            }
            next = nextUnwritten();
        }
    }

    private Optional<PrefixCache.Entry<Checkpoint>> nextUnwritten() {
        return cache.leastValuable(
                checkpoint ->
                        checkpoint.tokens() >= CheckpointFiles.MIN_TOKENS && !checkpoint.offered);
    }

    private void makeRoomForOne() {
        if (cache.size() == maxCheckpoints) {
            evict(Optional.empty());
        }
    }

    /// Takes a sequence's memory back; that of one which is being loaded as soon as it is let go of.
    public void close(SequenceState state) {
        if (state.isLoading()) {
            state.load().callOff();
            abandoned.add(state);
            freeAbandoned();
        } else {
            openSequences--;
            release(state.slot(), state.blockTable());
        }
    }

    private void freeAbandoned() {
        for (SequenceState state : List.copyOf(abandoned)) {
            if (state.load().isOver()) {
                abandoned.remove(state);
                state.loaded();
                close(state);
            }
        }
    }

    private void release(int slot, BlockTable table) {
        blocks.truncate(table, 0);
        recurrentStates.release(slot);
    }

    /// Bytes that are free when the checkpoint is given up.
    private long bytesOf(Checkpoint checkpoint) {
        return shape.slotBytes() + blocks.heldAlone(checkpoint.blockTable()) * blocks.blockBytes();
    }

    /// Keys and values of one full-attention layer, all blocks.
    public MemorySegment keyValues(int fullLayer) {
        return blocks.layer(fullLayer);
    }

    /// Keys and values of a layer of the prediction module, all blocks. It is behind the model by the rows of
    /// [SequenceState#pending].
    public MemorySegment predictionKeyValues(int layer) {
        return blocks.layer(shape.fullLayers() + layer);
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

    /// Blocks that there are.
    public int blocks() {
        return blocks.blocks();
    }

    /// Blocks that open sequences hold.
    public int usedBlocks() {
        return blocks.blocks() - blocks.unusedBlocks();
    }

    /// Sequences that are open.
    public int openSequences() {
        return openSequences;
    }

    /// Sequences that began at a checkpoint.
    public long checkpointHits() {
        return checkpointHits;
    }

    /// Checkpoints that were given up.
    public long checkpointEvictions() {
        return checkpointEvictions;
    }

    /// Sizes of what is kept of a sequence.
    public StateShape shape() {
        return shape;
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

    /// Blocks that neither a sequence nor a checkpoint holds.
    public int freeBlocks() {
        return blocks.freeBlocks();
    }

    /// Sequences that can still be opened, if there are blocks for them.
    public int freeSequences() {
        return maxSequences - openSequences;
    }

    /// Checkpoints that are kept now.
    public int checkpoints() {
        return cache.size();
    }

    /// Waits until no checkpoint is on its way to the disk. Any thread may.
    public void awaitStored() throws InterruptedException {
        if (files.isPresent()) {
            files.get().awaitWritten();
        }
    }

    /// Checkpoints that are on disk.
    public int storedCheckpoints() {
        return files.map(CheckpointFiles::size).orElse(0);
    }

    /// Sequences that began at a checkpoint from the disk.
    public long checkpointLoads() {
        return checkpointLoads;
    }

    @Override
    public void close() {
        files.ifPresent(CheckpointFiles::close);
        closeMemory();
    }

    private void closeMemory() {
        blocks.close();
        recurrentStates.close();
        arena.close();
    }
}
