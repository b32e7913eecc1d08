package io.atoll.model.reference;

import io.atoll.kernels.Kernels;
import io.atoll.kernels.KvFormat;
import io.atoll.kernels.KvLayout;
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

    /// Keys (after norm and rotation) and values of an attention layer, in blocks that lie next to each other.
    final class KeyValues implements LayerState {
        private final KvLayout layout;
        private Arena arena = Arena.ofShared();
        private MemorySegment pool;
        private MemorySegment blockOffsets;
        private int tokens;

        KeyValues(TextConfig config, KvFormat format) {
            layout =
                    new KvLayout(
                            format,
                            config.keyValueHeads(),
                            Kernels.ATTENTION_SEGMENT,
                            config.headDim());
            pool = arena.allocate(layout.blockBytes(), 64);
            blockOffsets = arena.allocate(ValueLayout.JAVA_LONG, 1);
        }

        KvLayout layout() {
            return layout;
        }

        MemorySegment pool() {
            return pool;
        }

        MemorySegment blockOffsets() {
            return blockOffsets;
        }

        /// Adds the next token's `[kvHeads, headDim]` key and value.
        void append(Kernels kernels, MemorySegment key, MemorySegment value) {
            if (tokens * layout.blockBytes() == pool.byteSize() * layout.blockTokens()) {
                grow();
            }
            layout.store(kernels, key, value, pool, blockOffsets, tokens);
            tokens++;
        }

        /// Forgets all tokens but the first `count`.
        void truncate(int count) {
            tokens = count;
        }

        private void grow() {
            Arena larger = Arena.ofShared();
            MemorySegment largerPool = larger.allocate(2 * pool.byteSize(), 64);
            MemorySegment.copy(pool, 0, largerPool, 0, pool.byteSize());
            long blocks = largerPool.byteSize() / layout.blockBytes();
            MemorySegment largerOffsets = larger.allocate(ValueLayout.JAVA_LONG, blocks);
            for (long block = 0; block < blocks; block++) {
                largerOffsets.setAtIndex(ValueLayout.JAVA_LONG, block, block * layout.blockBytes());
            }
            arena.close();
            arena = larger;
            pool = largerPool;
            blockOffsets = largerOffsets;
        }

        /// Keys of all tokens so far, `[tokens, kvHeads, headDim]`.
        public float[] keys() {
            return vectors(true);
        }

        /// Values of all tokens so far, `[tokens, kvHeads, headDim]`.
        public float[] values() {
            return vectors(false);
        }

        private float[] vectors(boolean wantKeys) {
            int width = layout.kvHeads() * layout.headDim();
            float[] result = new float[Math.multiplyExact(tokens, width)];
            try (Arena one = Arena.ofConfined()) {
                MemorySegment key = one.allocate(ValueLayout.JAVA_FLOAT, width);
                MemorySegment value = one.allocate(ValueLayout.JAVA_FLOAT, width);
                for (int position = 0; position < tokens; position++) {
                    layout.load(pool, blockOffsets, position, key, value);
                    MemorySegment.copy(
                            wantKeys ? key : value,
                            ValueLayout.JAVA_FLOAT,
                            0,
                            result,
                            position * width,
                            width);
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
