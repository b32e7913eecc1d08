package io.atoll.model.grammar;

import io.atoll.model.tokenizer.Tokenizer;
import java.util.Arrays;
import java.util.BitSet;

/// The tokens of a vocabulary that may stand inside a constrained text, as a tree over their bytes, and the tokens that end an
/// answer. Added tokens, special or not, never stand inside: their text can be spelled with ordinary ones. Immutable.
///
/// The nodes lie in the order of a walk that visits a node before its children. A node's subtree is the nodes from itself to
/// [#end], and the tokens of the subtree are neighbours, too.
public final class TokenTrie {
    private final int vocabularySize;
    private final byte[][] bytesOf;
    private final BitSet stops;
    private final int longest;
    private final byte[] label;
    private final short[] depth;
    private final int[] end;
    private final int[] firstToken; // [nodes + 1]
    private final int[] tokens; // ordered by their bytes

    /// @param bytesOf for each token its bytes, or an empty array if it may not stand inside; not to be changed
    /// @param stopTokens those that end an answer
    public TokenTrie(byte[][] bytesOf, int... stopTokens) {
        vocabularySize = bytesOf.length;
        this.bytesOf = bytesOf.clone();
        stops = new BitSet(vocabularySize);
        for (int stop : stopTokens) {
            if (stop < 0 || stop >= vocabularySize) {
                throw new IllegalArgumentException(
                        "no token has this id: "
                                + stop
                                + ", the vocabulary ends at "
                                + vocabularySize);
            }
            stops.set(stop);
            this.bytesOf[stop] = new byte[0];
        }
        Integer[] order = new Integer[vocabularySize];
        int count = 0;
        int longestToken = 0;
        for (int id = 0; id < vocabularySize; id++) {
            if (this.bytesOf[id].length > 0) {
                order[count++] = id;
                longestToken = Math.max(longestToken, this.bytesOf[id].length);
            }
        }
        if (longestToken > Short.MAX_VALUE) {
            throw new IllegalArgumentException("a token of " + longestToken + " bytes");
        }
        longest = longestToken;
        Arrays.sort(
                order,
                0,
                count,
                (a, b) -> Arrays.compareUnsigned(this.bytesOf[a], this.bytesOf[b]));
        tokens = new int[count];
        for (int i = 0; i < count; i++) {
            tokens[i] = order[i];
        }
        int nodes = 0;
        for (int i = 0; i < count; i++) {
            nodes += this.bytesOf[tokens[i]].length - shared(i);
        }
        label = new byte[nodes];
        depth = new short[nodes];
        end = new int[nodes];
        firstToken = new int[nodes + 1];
        build();
    }

    /// The tokens of a tokenizer.
    ///
    /// @param stopTokens those that end an answer
    public static TokenTrie of(Tokenizer tokenizer, int... stopTokens) {
        byte[][] bytes = new byte[tokenizer.size()][];
        for (int id = 0; id < bytes.length; id++) {
            boolean ordinary = tokenizer.isToken(id) && !tokenizer.isAdded(id);
            bytes[id] = ordinary ? tokenizer.bytes(id) : new byte[0];
        }
        return new TokenTrie(bytes, stopTokens);
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

    /// The largest id plus one.
    public int vocabularySize() {
        return vocabularySize;
    }

    /// 64-bit words of a mask over the vocabulary.
    public int maskWords() {
        return (vocabularySize + 63) / 64;
    }

    /// Whether the token ends an answer.
    public boolean isStop(int token) {
        return token >= 0 && stops.get(token);
    }

    /// The token's bytes, empty if it may not stand inside. Not to be changed.
    byte[] bytes(int token) {
        return bytesOf[token];
    }

    /// Ids of the tokens that end an answer, as a set that is not to be changed.
    BitSet stops() {
        return stops;
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

    int token(int position) {
        return tokens[position];
    }
}
