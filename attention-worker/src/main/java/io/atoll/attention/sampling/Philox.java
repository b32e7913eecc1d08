package io.atoll.attention.sampling;

/// Philox4x32-10, a counter-based generator: each output is a keyed mix of a counter, so any draw can be made on its own,
/// in any order and on any machine (Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3", SC 2011).
final class Philox {
    private static final int ROUNDS = 10;
    private static final int MULTIPLIER_0 = 0xD2511F53;
    private static final int MULTIPLIER_1 = 0xCD9E8D57;
    private static final int WEYL_0 = 0x9E3779B9; // golden ratio
    private static final int WEYL_1 = 0xBB67AE85; // sqrt(3) - 1

    private Philox() {}

    /// A number in [0, 1) with 53 random bits: the first two words of the block with `seed` as key (low word first) and
    /// `position` as counter.
    static double uniform(long seed, long position) {
        int[] block =
                block(
                        (int) position,
                        (int) (position >>> 32),
                        0,
                        0,
                        (int) seed,
                        (int) (seed >>> 32));
        long bits = ((block[0] & 0xFFFFFFFFL) << 32) | (block[1] & 0xFFFFFFFFL);
        return (bits >>> 11) * 0x1p-53;
    }

    /// The four words of one block.
    static int[] block(int c0, int c1, int c2, int c3, int k0, int k1) {
        for (int round = 0; round < ROUNDS; round++) {
            long product0 = (MULTIPLIER_0 & 0xFFFFFFFFL) * (c0 & 0xFFFFFFFFL);
            long product1 = (MULTIPLIER_1 & 0xFFFFFFFFL) * (c2 & 0xFFFFFFFFL);
            c0 = (int) (product1 >>> 32) ^ c1 ^ k0;
            c1 = (int) product1;
            c2 = (int) (product0 >>> 32) ^ c3 ^ k1;
            c3 = (int) product0;
            k0 += WEYL_0;
            k1 += WEYL_1;
        }
        return new int[] {c0, c1, c2, c3};
    }
}
