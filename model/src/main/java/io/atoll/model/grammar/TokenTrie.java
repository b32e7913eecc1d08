package io.atoll.model.grammar;

import io.atoll.model.tokenizer.Tokenizer;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/// The tokens of a vocabulary that may stand inside a constrained text, and the tokens that end an answer. Added tokens, special or
/// not, stand inside only where they are asked for: their text can be spelled with ordinary ones. Immutable.
///
/// Most tokens are runs of characters of one [CharacterRun], such as letters. They are kept apart from the others, because inside
/// a string they are all allowed at once.
public final class TokenTrie {
    /// Runs are kept in two trees, so that the few very long ones do not ask for more room than is left in a bounded string.
    static final int SHORT_RUN = 16;

    private final int vocabularySize;
    private final byte[][] bytesOf;
    private final BitSet stops;
    private final long[] allButStops;
    private final List<Part> parts;
    private final int longest;

    /// A part of the vocabulary.
    ///
    /// @param run what its tokens are runs of; empty for the part of all others
    /// @param mostCharacters characters of its longest token, if it is of runs
    /// @param all a bit for each of its tokens
    record Part(TokenTree tree, Optional<CharacterRun> run, int mostCharacters, long[] all) {}

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
        allButStops = new long[maskWords()];
        for (int id = 0; id < vocabularySize; id++) {
            if (!stops.get(id)) {
                allButStops[id >> 6] |= 1L << id;
            }
        }
        parts = split();
        longest = parts.stream().mapToInt(part -> part.tree.longest()).max().orElse(0);
    }

    /// The tokens of a tokenizer.
    ///
    /// @param stopTokens those that end an answer
    public static TokenTrie of(Tokenizer tokenizer, int... stopTokens) {
        return of(tokenizer, Set.of(), stopTokens);
    }

    /// The tokens of a tokenizer, and some of the added ones.
    ///
    /// @param markup texts of added tokens that may stand inside: those that a model writes in calls
    /// @param stopTokens those that end an answer
    public static TokenTrie of(Tokenizer tokenizer, Set<String> markup, int... stopTokens) {
        byte[][] bytes = new byte[tokenizer.size()][];
        for (int id = 0; id < bytes.length; id++) {
            boolean ordinary = tokenizer.isToken(id) && !tokenizer.isAdded(id);
            bytes[id] = ordinary ? tokenizer.bytes(id) : new byte[0];
        }
        for (String text : markup) {
            tokenizer
                    .tokenId(text)
                    .ifPresent(id -> bytes[id] = text.getBytes(StandardCharsets.UTF_8));
        }
        return new TokenTrie(bytes, stopTokens);
    }

    private List<Part> split() {
        List<CharacterRun> runs = CharacterRun.ALL;
        Ints[] ids = new Ints[2 * runs.size() + 1];
        int[] most = new int[ids.length];
        for (int i = 0; i < ids.length; i++) {
            ids[i] = new Ints();
        }
        for (int id = 0; id < vocabularySize; id++) {
            if (bytesOf[id].length == 0) {
                continue;
            }
            int part = ids.length - 1;
            Optional<String> text = text(bytesOf[id]);
            int characters = text.map(t -> t.codePointCount(0, t.length())).orElse(0);
            Optional<CharacterRun> run = text.flatMap(CharacterRun::of);
            if (run.isPresent()) {
                part = 2 * run.get().number() + (characters > SHORT_RUN ? 1 : 0);
            }
            ids[part].add(id);
            most[part] = Math.max(most[part], characters);
        }
        List<Part> result = new ArrayList<>();
        for (int i = 0; i < ids.length; i++) {
            if (ids[i].size() > 0) {
                TokenTree tree = new TokenTree(bytesOf, ids[i]);
                long[] all = new long[maskWords()];
                tree.setAll(all);
                Optional<CharacterRun> run =
                        i / 2 < runs.size() ? Optional.of(runs.get(i / 2)) : Optional.empty();
                result.add(new Part(tree, run, most[i], all));
            }
        }
        return List.copyOf(result);
    }

    private static Optional<String> text(byte[] bytes) {
        try {
            return Optional.of(
                    StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(bytes)).toString());
        } catch (CharacterCodingException e) {
            return Optional.empty(); // a part of a character
        }
    }

    /// The largest id plus one.
    public int vocabularySize() {
        return vocabularySize;
    }

    /// 64-bit words of a mask over the vocabulary.
    public int maskWords() {
        return (vocabularySize + 63) / 64;
    }

    /// The mask of every token that does not end an answer. Not to be changed.
    public long[] allButStops() {
        return allButStops;
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

    List<Part> parts() {
        return parts;
    }

    /// Bytes of the longest token.
    int longest() {
        return longest;
    }
}
