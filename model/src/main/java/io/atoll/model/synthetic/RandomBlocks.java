package io.atoll.model.synthetic;

import io.atoll.model.gguf.GgufWriter;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;
import java.util.random.RandomGenerator;

/// Random weights in blocks of Q4_K or Q6_K (model spec C.6), of mean 0 and a given standard deviation.
///
/// The integers are uniform bits. The scales of a block come from one of 256 patterns drawn at the start, because drawing them
/// for each block would take longer than the rest.
abstract sealed class RandomBlocks implements GgufWriter.Contents {
    private static final VarHandle LONGS =
            MethodHandles.byteArrayViewVarHandle(long[].class, ByteOrder.LITTLE_ENDIAN);
    private static final VarHandle SHORTS =
            MethodHandles.byteArrayViewVarHandle(short[].class, ByteOrder.LITTLE_ENDIAN);
    private static final int PATTERNS = 256;

    private final int blockBytes;
    private long state;

    private RandomBlocks(int blockBytes, long seed) {
        this.blockBytes = blockBytes;
        this.state = seed;
    }

    /// Weights `d sc (n - 7.5)`: `n` is uniform in 0..15, `sc` in 32..63, and the minimum cancels the mean.
    static RandomBlocks q4k(double deviation, long seed) {
        return new Q4K(deviation, seed);
    }

    /// Weights `d sc (q - 32)`: `q` is uniform in 0..63, `sc` in 64..127 with a random sign, which cancels the mean.
    static RandomBlocks q6k(double deviation, long seed) {
        return new Q6K(deviation, seed);
    }

    @Override
    public void next(byte[] target, int bytes) {
        int whole = bytes / Long.BYTES * Long.BYTES;
        for (int at = 0; at < whole; at += Long.BYTES) {
            LONGS.set(target, at, nextLong());
        }
        for (int at = whole; at < bytes; at++) {
            target[at] = (byte) nextLong();
        }
        for (int at = 0; at < bytes; at += blockBytes) {
            writeScales(target, at);
        }
    }

    /// Puts scales where a block has random bits so far.
    abstract void writeScales(byte[] target, int block);

    /// The next number of Steele, Lea and Flood's SplitMix64 (OOPSLA 2014).
    private long nextLong() {
        state += 0x9E3779B97F4A7C15L;
        long z = (state ^ (state >>> 30)) * 0xBF58476D1CE4E5B9L;
        z = (z ^ (z >>> 27)) * 0x94D049BB133111EBL;
        return z ^ (z >>> 31);
    }

    private static final class Q4K extends RandomBlocks {
        private static final int BYTES = 144;
        private static final int SCALES = 4;
        private static final int SCALE_BYTES = 12;
        private static final double NIBBLE_DEVIATION = Math.sqrt((16 * 16 - 1) / 12.0);
        private static final double MEAN_NIBBLE = 7.5;

        private final byte[] patterns = new byte[PATTERNS * SCALE_BYTES];
        private final short scale;
        private final short minimum;

        private Q4K(double deviation, long seed) {
            super(BYTES, seed);
            RandomGenerator random = new java.util.SplittableRandom(~seed);
            scale = Float.floatToFloat16((float) (deviation / NIBBLE_DEVIATION / rms(32, 63)));
            minimum = Float.floatToFloat16((float) (MEAN_NIBBLE * Float.float16ToFloat(scale)));
            for (int pattern = 0; pattern < PATTERNS; pattern++) {
                int[] of = random.ints(8, 32, 64).toArray();
                int at = pattern * SCALE_BYTES;
                for (int j = 0; j < 4; j++) {
                    // A sub-block's scale and minimum are the same number; the upper bits of the
                    // last four stand above the first four.
                    byte first = (byte) (of[j] | (of[j + 4] >> 4) << 6);
                    patterns[at + j] = first;
                    patterns[at + 4 + j] = first;
                    patterns[at + 8 + j] = (byte) ((of[j + 4] & 15) | (of[j + 4] & 15) << 4);
                }
            }
        }

        @Override
        void writeScales(byte[] target, int block) {
            int pattern = target[block] & (PATTERNS - 1);
            SHORTS.set(target, block, scale);
            SHORTS.set(target, block + 2, minimum);
            System.arraycopy(patterns, pattern * SCALE_BYTES, target, block + SCALES, SCALE_BYTES);
        }
    }

    private static final class Q6K extends RandomBlocks {
        private static final int BYTES = 210;
        private static final int SCALES = 192;
        private static final int SCALE_BYTES = 16;
        private static final int SCALE = 208;
        private static final double LEVEL_DEVIATION = Math.sqrt((64 * 64 - 1) / 12.0);

        private final byte[] patterns = new byte[PATTERNS * SCALE_BYTES];
        private final short scale;

        private Q6K(double deviation, long seed) {
            super(BYTES, seed);
            RandomGenerator random = new java.util.SplittableRandom(~seed);
            scale = Float.floatToFloat16((float) (deviation / LEVEL_DEVIATION / rms(64, 127)));
            for (int i = 0; i < patterns.length; i++) {
                int size = random.nextInt(64, 128);
                patterns[i] = (byte) (random.nextBoolean() ? size : -size);
            }
        }

        @Override
        void writeScales(byte[] target, int block) {
            int pattern = target[block + SCALE] & (PATTERNS - 1);
            System.arraycopy(patterns, pattern * SCALE_BYTES, target, block + SCALES, SCALE_BYTES);
            SHORTS.set(target, block + SCALE, scale);
        }
    }

    /// Root mean square of the integers from `low` to `high`.
    private static double rms(int low, int high) {
        double sum = 0;
        for (int i = low; i <= high; i++) {
            sum += (double) i * i;
        }
        return Math.sqrt(sum / (high - low + 1));
    }
}
