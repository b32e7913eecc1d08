package io.atoll.model.grammar;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;

/// A vocabulary for JSON: every byte, pieces that cross the borders of strings and characters, one stop token at the end. And ways
/// to cut a text into its tokens.
final class Vocabularies {
    private static final List<String> PIECES =
            List.of(
                    "{\"", "\":", "\": ", "\",", "\", \"", "\"}", "\"},", "\"]", "}}", "}]", "],",
                    "[]", "{}", "[{\"", "\n", "\n  ", "\n    ", "  ", " \"", ",\"", ", ", "\":\"",
                    "\": \"", "\": {\"", "true", "false", "null", "tr", "ue", "nul", "12", "00",
                    "-1", "1.5", "0.", ".0", "e+", "E-", "name", "na", "me\"", "aa", "ab", "bc\"",
                    "\\\"", "\\u", "\\u00", "\\ud8", "\\n", "\\\\", "é", "日本", "本\"", "😀", "\"😀",
                    "-0", "2024-", "-02-", "29", "T12:", "\\", "\\ude", "00Z\"");

    static final TokenTrie JSON = json();
    static final int STOP = JSON.vocabularySize() - 1;

    private Vocabularies() {}

    private static TokenTrie json() {
        List<byte[]> tokens = new ArrayList<>();
        for (int value = 0; value < 256; value++) {
            tokens.add(new byte[] {(byte) value});
        }
        for (String piece : PIECES) {
            tokens.add(piece.getBytes(StandardCharsets.UTF_8));
        }
        byte[] split = "日é😀".getBytes(StandardCharsets.UTF_8);
        for (int from = 0; from < split.length; from++) {
            for (int to = from + 2; to <= split.length; to++) {
                tokens.add(Arrays.copyOfRange(split, from, to));
            }
        }
        tokens.add("<stop>".getBytes(StandardCharsets.UTF_8));
        return new TokenTrie(tokens.toArray(new byte[0][]), tokens.size() - 1);
    }

    /// Cuts a text into tokens, any that fit, at random.
    static List<Integer> cut(String text, Random random) {
        byte[] utf8 = text.getBytes(StandardCharsets.UTF_8);
        List<Integer> tokens = new ArrayList<>();
        for (int at = 0; at < utf8.length; ) {
            List<Integer> fitting = new ArrayList<>();
            for (int token = 0; token < STOP; token++) {
                byte[] bytes = JSON.bytes(token);
                if (at + bytes.length <= utf8.length
                        && Arrays.equals(utf8, at, at + bytes.length, bytes, 0, bytes.length)) {
                    fitting.add(token);
                }
            }
            int token = fitting.get(random.nextInt(fitting.size()));
            tokens.add(token);
            at += JSON.bytes(token).length;
        }
        return tokens;
    }

    static TokenConstraint compile(Constraint constraint) {
        return TokenConstraint.compile(constraint, JSON, GrammarLimits.DEFAULT);
    }

    /// Whether the text is a whole one, fed in random tokens.
    static boolean accepts(TokenConstraint constraint, String text, Random random) {
        TokenMatcher matcher = constraint.matcher();
        for (int token : cut(text, random)) {
            if (!matcher.accept(token)) {
                return false;
            }
        }
        return matcher.accept(STOP);
    }

    static boolean accepts(Constraint constraint, String text) {
        return accepts(compile(constraint), text, new Random(text.hashCode()));
    }
}
