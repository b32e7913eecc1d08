package io.atoll.attention.state;

import io.atoll.kernels.KvLayout;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/// All KV blocks of one worker. Owns the memory: `close()` frees every block.
///
/// A block holds `blockTokens` positions of one sequence **in every full-attention layer**: block `b` lies at the same
/// offset in each layer's memory, so a sequence needs one table of offsets for all layers. In a layer it is what
/// [KvLayout] says, as the attention kernel reads it.
///
/// A block can have several holders, sequences and checkpoints that begin with the same tokens; it is free when the last has let
/// go. Nobody writes to a position that another holder knows of.
final class KvBlockPool implements AutoCloseable {
    private final Arena arena = Arena.ofShared();
    private final MemorySegment[] layers;
    private final long blockBytes;
    private final int blockTokens;

    // The first `free` entries are the blocks that nobody holds; the one on top is lent next.
    private final int[] freeBlocks;
    private int free;
    private final int[] holders; // of each block
    private final int[] users; // of each block: the holders that are in use
    private int used; // blocks with a user

    /// @param fullLayers layers with keys and values
    KvBlockPool(KvLayout layout, int fullLayers, int blocks) {
        this.blockTokens = layout.blockTokens();
        blockBytes = layout.blockBytes();
        layers = new MemorySegment[fullLayers];
        try {
            for (int i = 0; i < layers.length; i++) {
                layers[i] = LazyMemory.allocate(blocks * blockBytes, "KV blocks", arena);
            }
        } catch (OutOfMemoryError e) {
            arena.close();
            throw e;
        }
        freeBlocks = new int[blocks];
        for (int i = 0; i < blocks; i++) {
            freeBlocks[i] = blocks - 1 - i;
        }
        free = blocks;
        holders = new int[blocks];
        users = new int[blocks];
    }

    /// The memory of one full-attention layer; offsets of a [BlockTable] point into it.
    MemorySegment layer(int fullLayer) {
        return layers[fullLayer];
    }

    int blockTokens() {
        return blockTokens;
    }

    int freeBlocks() {
        return free;
    }

    int blocks() {
        return freeBlocks.length;
    }

    /// Blocks that `tokens` positions need.
    int blocksFor(int tokens) {
        return (int) (((long) tokens + blockTokens - 1) / blockTokens);
    }

    /// Lends fresh blocks. There must be enough.
    ///
    /// @param table takes their offsets
    void append(int count, BlockTable table) {
        if (count > free) {
            throw new IllegalStateException("need " + count + " blocks, free are " + free);
        }
        for (int i = 0; i < count; i++) {
            table.append(freeBlocks[--free] * blockBytes);
            hold(table, table.blocks() - 1);
        }
    }

    /// Lends the first `count` blocks of one table to another, too.
    void share(BlockTable from, int count, BlockTable to) {
        for (int i = 0; i < count; i++) {
            to.append(from.offset(i));
            hold(to, to.blocks() - 1);
        }
    }

    private void hold(BlockTable table, int i) {
        int block = index(table, i);
        holders[block]++;
        if (table.inUse() && users[block]++ == 0) {
            used++;
        }
    }

    /// A table's blocks stay held, but no longer by an open sequence.
    void retire(BlockTable table) {
        for (int i = 0; i < table.blocks(); i++) {
            leave(index(table, i));
        }
        table.setUnused();
    }

    private void leave(int block) {
        if (--users[block] == 0) {
            used--;
        }
    }

    /// Blocks that no open sequence holds, free ones included.
    int unusedBlocks() {
        return holders.length - used;
    }

    /// How many of the first `count` blocks of a table an open sequence holds.
    int usedBlocks(BlockTable table, int count) {
        int found = 0;
        for (int i = 0; i < count; i++) {
            found += users[index(table, i)] > 0 ? 1 : 0;
        }
        return found;
    }

    /// Copies a block, in every layer.
    void copy(long from, long to) {
        for (MemorySegment layer : layers) {
            MemorySegment.copy(layer, from, layer, to, blockBytes);
        }
    }

    /// Blocks of a table that have no other holder.
    int heldAlone(BlockTable table) {
        int alone = 0;
        for (int i = 0; i < table.blocks(); i++) {
            alone += holders[index(table, i)] == 1 ? 1 : 0;
        }
        return alone;
    }

    /// Lets go of all blocks of a table but the first `count`.
    void truncate(BlockTable table, int count) {
        for (int i = table.blocks() - 1; i >= count; i--) {
            int block = index(table, i);
            if (table.inUse()) {
                leave(block);
            }
            if (--holders[block] == 0) {
                freeBlocks[free++] = block;
            }
        }
        table.truncate(count);
    }

    private int index(BlockTable table, int i) {
        return (int) (table.offset(i) / blockBytes);
    }

    /// Bytes of one block, all layers together.
    long blockBytes() {
        return blockBytes * layers.length;
    }

    @Override
    public void close() {
        arena.close();
    }
}
