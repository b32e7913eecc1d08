package io.atoll.kernels;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;
import static java.lang.foreign.ValueLayout.JAVA_SHORT;

import java.lang.foreign.MemorySegment;

/// How the keys and values of one attention layer lie in memory: blocks `[2, kvHeads, blockTokens, headDim]`, keys before values.
/// Where a sequence's blocks are says a table of byte offsets.
///
/// A block's rows are numbered by head: row `h` holds the keys of head `h`, row `kvHeads + h` its values.
///
/// @param blockTokens positions of one block; divides [Kernels#ATTENTION_SEGMENT]
public record KvLayout(KvFormat format, int kvHeads, int blockTokens, int headDim) {
    public KvLayout {
        if (kvHeads <= 0 || headDim <= 0) {
            throw new IllegalArgumentException(
                    "heads must be positive: kvHeads=" + kvHeads + " headDim=" + headDim);
        }
        if (blockTokens <= 0 || Kernels.ATTENTION_SEGMENT % blockTokens != 0) {
            throw new IllegalArgumentException(
                    "blockTokens must divide " + Kernels.ATTENTION_SEGMENT + ": " + blockTokens);
        }
    }

    /// Bytes of one block.
    public long blockBytes() {
        return 2L * kvHeads * blockTokens * headDim * format.elementBytes();
    }

    /// Bytes of one position of one head, keys or values.
    public long headBytes() {
        return (long) headDim * format.elementBytes();
    }

    /// Byte offset, in the memory of all blocks, of a position in a row of its block.
    ///
    /// @param blockOffsets int64, the byte offset of each block of the sequence
    public long offset(MemorySegment blockOffsets, int position, int row) {
        long block = blockOffsets.getAtIndex(JAVA_LONG, position / blockTokens);
        return block + ((long) row * blockTokens + position % blockTokens) * headBytes();
    }

    /// Writes one position's keys and values `[kvHeads, headDim]` f32, rounding them if the format says so.
    ///
    /// @param pool memory of all blocks
    public void store(
            Kernels kernels,
            MemorySegment keys,
            MemorySegment values,
            MemorySegment pool,
            MemorySegment blockOffsets,
            int position) {
        for (int head = 0; head < kvHeads; head++) {
            storeHead(kernels, keys, head, pool, offset(blockOffsets, position, head));
            storeHead(kernels, values, head, pool, offset(blockOffsets, position, kvHeads + head));
        }
    }

    private void storeHead(
            Kernels kernels, MemorySegment heads, int head, MemorySegment pool, long to) {
        long bytes = (long) headDim * Float.BYTES;
        switch (format) {
            case F32 -> MemorySegment.copy(heads, head * bytes, pool, to, bytes);
            case BF16 ->
                    kernels.toBf16(
                            heads.asSlice(head * bytes, bytes),
                            pool.asSlice(to, headBytes()),
                            headDim);
        }
    }

    /// Reads one position's keys and values `[kvHeads, headDim]` as f32.
    public void load(
            MemorySegment pool,
            MemorySegment blockOffsets,
            int position,
            MemorySegment keys,
            MemorySegment values) {
        for (int head = 0; head < kvHeads; head++) {
            loadHead(pool, offset(blockOffsets, position, head), keys, head);
            loadHead(pool, offset(blockOffsets, position, kvHeads + head), values, head);
        }
    }

    private void loadHead(MemorySegment pool, long from, MemorySegment heads, int head) {
        for (int i = 0; i < headDim; i++) {
            float value =
                    switch (format) {
                        case F32 -> pool.get(JAVA_FLOAT, from + (long) i * Float.BYTES);
                        case BF16 ->
                                Float.intBitsToFloat(
                                        pool.get(JAVA_SHORT, from + (long) i * Short.BYTES) << 16);
                    };
            heads.setAtIndex(JAVA_FLOAT, (long) head * headDim + i, value);
        }
    }
}
