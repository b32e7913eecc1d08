package io.atoll.model.grammar;

import java.util.Arrays;
import java.util.List;

/// The tokens that a column allows whoever has called its rules, and the places in the vocabulary where that is not known.
/// Immutable.
final class LocalMask {
    // One of the two forms: bits where there are many tokens, a list where there are few.
    private final long[] bits;
    private final int[] few;
    private final List<Escape> escapes;

    /// Nodes of one of the vocabulary's trees at which a rule of an unknown caller is completed, all with the same column.
    ///
    /// @param tree number of the part of the vocabulary
    /// @param path the bytes that lead to one of the nodes; the column there stands for all of them
    /// @param nodes the nodes, none in another's subtree
    record Escape(int tree, byte[] path, int[] nodes) {}

    /// @param allowed one bit for each token; copied
    LocalMask(long[] allowed, List<Escape> escapes) {
        this.escapes = List.copyOf(escapes);
        int count = 0;
        for (long word : allowed) {
            count += Long.bitCount(word);
        }
        if (count > 2 * allowed.length) {
            bits = allowed.clone();
            few = new int[0];
            return;
        }
        bits = new long[0];
        few = new int[count];
        int next = 0;
        for (int word = 0; word < allowed.length; word++) {
            for (long rest = allowed[word]; rest != 0; rest &= rest - 1) {
                few[next++] = 64 * word + Long.numberOfTrailingZeros(rest);
            }
        }
    }

    List<Escape> escapes() {
        return escapes;
    }

    long bytes() {
        long bytes = 8L * bits.length + 4L * few.length;
        for (Escape escape : escapes) {
            bytes += 48 + escape.path.length + 4L * escape.nodes.length;
        }
        return bytes;
    }

    void copyTo(long[] out) {
        if (bits.length > 0) {
            System.arraycopy(bits, 0, out, 0, bits.length);
            return;
        }
        Arrays.fill(out, 0);
        for (int token : few) {
            out[token >> 6] |= 1L << token;
        }
    }
}
