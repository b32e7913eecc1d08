package io.atoll.model.grammar;

import java.util.Arrays;
import java.util.Comparator;

/// Some tokens as a tree over their bytes. Immutable.
///
/// The nodes lie in the order of a walk that visits a node before its children. A node's subtree is the nodes from itself to
/// [#end], and the tokens of the subtree are neighbours, too.
final class TokenTree {
    private final byte[][] bytesOf;
    private final int longest;
    private final byte[] label;
    private final short[] depth;
    private final int[] end;
    private final int[] firstToken; // [nodes + 1]
    private final int[] tokens; // ordered by their bytes

    /// @param bytesOf the bytes of each token of the vocabulary
    /// @param ids the tokens of this tree
    TokenTree(byte[][] bytesOf, Ints ids) {
        this.bytesOf = bytesOf;
        tokens =
                Arrays.stream(ids.toArray())
                        .boxed()
                        .sorted(Comparator.comparing(id -> bytesOf[id], Arrays::compareUnsigned))
                        .mapToInt(id -> id)
                        .toArray();
        int nodes = 0;
        int longestToken = 0;
        for (int i = 0; i < tokens.length; i++) {
            nodes += bytesOf[tokens[i]].length - shared(i);
            longestToken = Math.max(longestToken, bytesOf[tokens[i]].length);
        }
        if (longestToken > Short.MAX_VALUE) {
            throw new IllegalArgumentException("a token of " + longestToken + " bytes");
        }
        longest = longestToken;
        label = new byte[nodes];
        depth = new short[nodes];
        end = new int[nodes];
        firstToken = new int[nodes + 1];
        build();
    }

    /// How many leading bytes the token at `i` has in common with the one before it.
    private int shared(int i) {
        if (i == 0) {
            return 0;
        }
        byte[] before = bytesOf[tokens[i - 1]];
        byte[] here = bytesOf[tokens[i]];
        int differs = Arrays.mismatch(before, here);
        return differs < 0 ? here.length : Math.min(differs, before.length);
    }

    private void build() {
        int[] open = new int[longest + 1]; // the node at each depth of the current path
        int openDepth = 0;
        int node = 0;
        for (int i = 0; i < tokens.length; i++) {
            byte[] here = bytesOf[tokens[i]];
            int common = shared(i);
            while (openDepth > common) {
                end[open[openDepth--]] = node;
            }
            for (int at = common; at < here.length; at++) {
                label[node] = here[at];
                depth[node] = (short) (at + 1);
                firstToken[node] = i;
                open[++openDepth] = node++;
            }
        }
        while (openDepth > 0) {
            end[open[openDepth--]] = node;
        }
        firstToken[node] = tokens.length;
    }

    int nodes() {
        return label.length;
    }

    /// Bytes of the longest token.
    int longest() {
        return longest;
    }

    /// The last byte of the node's path, unsigned.
    int label(int node) {
        return label[node] & 0xFF;
    }

    /// Bytes of the node's path.
    int depth(int node) {
        return depth[node];
    }

    /// The first node after the node's subtree.
    int end(int node) {
        return end[node];
    }

    /// Position of the first token whose bytes begin with the node's path.
    int firstToken(int node) {
        return firstToken[node];
    }

    /// Position after the last token that is exactly the node's path.
    int lastToken(int node) {
        return firstToken[node + 1];
    }

    /// The bytes that lead to the node.
    byte[] path(int node) {
        return Arrays.copyOf(bytesOf[tokens[firstToken[node]]], depth[node]);
    }

    /// Sets the bit of each token of the tree.
    void setAll(long[] bits) {
        for (int token : tokens) {
            bits[token >> 6] |= 1L << token;
        }
    }

    int token(int position) {
        return tokens[position];
    }
}
