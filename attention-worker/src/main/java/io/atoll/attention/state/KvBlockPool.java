package io.atoll.attention.state;

import io.atoll.kernels.KvLayout;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/// All KV blocks of one worker. Owns the memory: `close()` frees every block.
///
/// A block holds `blockTokens` positions of one sequence **in every full-attention layer**: block `b` lies at the same
/// offset in each layer's memory, so a sequence needs one table of offsets for all layers. In a layer it is what
/// [KvLayout] says, as the attention kernel reads it.
final class KvBlockPool implements AutoCloseable {
    private final Arena arena = Arena.ofShared();
    private final MemorySegment[] layers;
    private final long blockBytes;
    private final int blockTokens;

    // The first `free` entries are the blocks that nobody holds; the one on top is lent next.
    private final int[] freeBlocks;
    private int free;

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

    /// Lends the blocks of `tokens` positions. There must be enough.
    ///
    /// @param table takes the offsets; must be empty
    void reserve(int tokens, BlockTable table) {
        int count = blocksFor(tokens);
        if (count > free) {
            throw new IllegalStateException("need " + count + " blocks, free are " + free);
        }
        for (int i = 0; i < count; i++) {
            table.append(freeBlocks[--free] * blockBytes);
        }
    }

    /// Takes back every block of a table and empties it.
    void release(BlockTable table) {
        for (int i = table.blocks() - 1; i >= 0; i--) {
            freeBlocks[free++] = (int) (table.offset(i) / blockBytes);
        }
        table.clear();
    }

    @Override
    public void close() {
        arena.close();
    }
}
