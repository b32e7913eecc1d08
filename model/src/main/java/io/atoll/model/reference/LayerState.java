package io.atoll.model.reference;

import io.atoll.kernels.Kernels;
import io.atoll.model.config.TextConfig;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/// What one decoder layer keeps of one sequence (model specification B.5). Owned by its [Session].
public sealed interface LayerState {
    /// Frees the memory.
    void close();

    /// Of a Gated DeltaNet layer; its size does not grow.
    final class Delta implements LayerState {
        private final Arena arena = Arena.ofShared();
        private final MemorySegment conv;
        private final MemorySegment recurrent;

        Delta(TextConfig config) {
            conv = arena.allocate(4L * (config.convKernel() - 1) * config.convDim(), 64);
            recurrent =
                    arena.allocate(4L * config.linearValueDim() * config.linearKeyHeadDim(), 64);
        }

        /// The inputs of the convolution just before the next token, `[convKernel - 1, convDim]`, oldest first.
        public MemorySegment conv() {
            return conv;
        }

        /// The associative memory `[valueHeads, keyDim, valueDim]`.
        public MemorySegment recurrent() {
            return recurrent;
        }

        @Override
        public void close() {
            arena.close();
        }
    }

    /// Keys (after norm and rotation) and values of an attention layer, in blocks `[2, kvHeads, BLOCK_TOKENS, headDim]` that lie next
    /// to each other.
    final class KeyValues implements LayerState {
        static final int BLOCK_TOKENS = Kernels.ATTENTION_SEGMENT;

        private final int kvHeads;
        private final int headDim;
        private final long blockBytes;
        private Arena arena = Arena.ofShared();
        private MemorySegment pool;
        private MemorySegment blockOffsets;
        private int tokens;

        KeyValues(TextConfig config) {
            kvHeads = config.keyValueHeads();
            headDim = config.headDim();
            blockBytes = 2L * kvHeads * BLOCK_TOKENS * headDim * Float.BYTES;
            pool = arena.allocate(blockBytes, 64);
            blockOffsets = arena.allocate(ValueLayout.JAVA_LONG, 1);
        }

        MemorySegment pool() {
            return pool;
        }

        MemorySegment blockOffsets() {
            return blockOffsets;
        }

        /// Adds the next token's `[kvHeads, headDim]` key and value.
        void append(MemorySegment key, MemorySegment value) {
            if (tokens * blockBytes == pool.byteSize() * BLOCK_TOKENS) {
                grow();
            }
            long headBytes = (long) Float.BYTES * headDim;
            for (int head = 0; head < kvHeads; head++) {
                MemorySegment.copy(key, head * headBytes, pool, offset(0, head, tokens), headBytes);
                MemorySegment.copy(
                        value, head * headBytes, pool, offset(1, head, tokens), headBytes);
            }
            tokens++;
        }

        private void grow() {
            Arena larger = Arena.ofShared();
            MemorySegment largerPool = larger.allocate(2 * pool.byteSize(), 64);
            MemorySegment.copy(pool, 0, largerPool, 0, pool.byteSize());
            long blocks = largerPool.byteSize() / blockBytes;
            MemorySegment largerOffsets = larger.allocate(ValueLayout.JAVA_LONG, blocks);
            for (long block = 0; block < blocks; block++) {
                largerOffsets.setAtIndex(ValueLayout.JAVA_LONG, block, block * blockBytes);
            }
            arena.close();
            arena = larger;
            pool = largerPool;
            blockOffsets = largerOffsets;
        }

        private long offset(int keyOrValue, int head, int position) {
            long block = position / BLOCK_TOKENS;
            long vector =
                    ((long) keyOrValue * kvHeads + head) * BLOCK_TOKENS + position % BLOCK_TOKENS;
            return block * blockBytes + vector * headDim * Float.BYTES;
        }

        /// Keys of all tokens so far, `[tokens, kvHeads, headDim]`.
        public float[] keys() {
            return vectors(0);
        }

        /// Values of all tokens so far, `[tokens, kvHeads, headDim]`.
        public float[] values() {
            return vectors(1);
        }

        private float[] vectors(int keyOrValue) {
            float[] result = new float[Math.multiplyExact(tokens, kvHeads * headDim)];
            for (int position = 0; position < tokens; position++) {
                for (int head = 0; head < kvHeads; head++) {
                    MemorySegment.copy(
                            pool,
                            ValueLayout.JAVA_FLOAT,
                            offset(keyOrValue, head, position),
                            result,
                            (position * kvHeads + head) * headDim,
                            headDim);
                }
            }
            return result;
        }

        @Override
        public void close() {
            arena.close();
        }
    }
}
