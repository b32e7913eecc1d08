package io.atoll.model.tokenizer;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.atoll.model.Seeds;
import java.nio.charset.StandardCharsets;
import java.util.HashSet;
import java.util.Set;
import org.junit.jupiter.api.Test;

class Utf8DecoderTest {
    // Bytes on both sides of every border in the table of well-formed sequences.
    private static final int[] BORDERS = {
        0x00, 0x41, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xC1, 0xC2, 0xDF, 0xE0, 0xE1,
        0xEC, 0xED, 0xEE, 0xEF, 0xF0, 0xF1, 0xF3, 0xF4, 0xF5, 0xFF
    };

    @Test
    void everyMaximalSubpartOfABrokenSequenceIsReplaced() {
        Set<String> wellFormed = HashSet.newHashSet(1 << 21);
        Set<String> prefixes = HashSet.newHashSet(1 << 16);
        for (int point = 0; point <= Character.MAX_CODE_POINT; point++) {
            if (point < Character.MIN_SURROGATE || point > Character.MAX_SURROGATE) {
                String bytes = latin1(Character.toString(point).getBytes(StandardCharsets.UTF_8));
                wellFormed.add(bytes);
                for (int length = 1; length < bytes.length(); length++) {
                    prefixes.add(bytes.substring(0, length));
                }
            }
        }
        Seeds.forAll(
                20_000,
                random -> {
                    byte[] bytes = new byte[random.nextInt(12)];
                    for (int i = 0; i < bytes.length; i++) {
                        bytes[i] = (byte) BORDERS[random.nextInt(BORDERS.length)];
                    }
                    StringBuilder out = new StringBuilder();
                    Utf8Decoder decoder = new Utf8Decoder();
                    for (byte value : bytes) {
                        decoder.decode(new byte[] {value}, out);
                    }
                    decoder.finish(out);
                    assertEquals(
                            decodedByDefinition(latin1(bytes), wellFormed, prefixes),
                            out.toString());
                });
    }

    /// The definition, word for word: the longest run that is, or begins, a well-formed sequence; at least one
    /// byte.
    private static String decodedByDefinition(
            String bytes, Set<String> wellFormed, Set<String> prefixes) {
        StringBuilder out = new StringBuilder();
        for (int at = 0; at < bytes.length(); ) {
            int end = at + 1;
            while (end < bytes.length() && prefixes.contains(bytes.substring(at, end))) {
                String longer = bytes.substring(at, end + 1);
                if (!prefixes.contains(longer) && !wellFormed.contains(longer)) {
                    break;
                }
                end++;
            }
            String run = bytes.substring(at, end);
            out.append(
                    wellFormed.contains(run)
                            ? new String(
                                    run.getBytes(StandardCharsets.ISO_8859_1),
                                    StandardCharsets.UTF_8)
                            : "\uFFFD");
            at = end;
        }
        return out.toString();
    }

    private static String latin1(byte[] bytes) {
        return new String(bytes, StandardCharsets.ISO_8859_1);
    }

    @Test
    void everyCharacterSurvives() {
        StringBuilder out = new StringBuilder();
        Utf8Decoder decoder = new Utf8Decoder();
        for (int point = 0; point <= Character.MAX_CODE_POINT; point++) {
            if (point >= Character.MIN_SURROGATE && point <= Character.MAX_SURROGATE) {
                continue;
            }
            out.setLength(0);
            decoder.decode(Character.toString(point).getBytes(StandardCharsets.UTF_8), out);
            assertEquals(point, out.codePointAt(0));
        }
    }

    @Test
    void brokenSequenceIsGivenOutByTheByteThatBreaksIt() {
        StringBuilder out = new StringBuilder();
        Utf8Decoder decoder = new Utf8Decoder();
        decoder.decode(new byte[] {(byte) 0xF0, (byte) 0x9F}, out);
        assertEquals("", out.toString());
        decoder.decode(new byte[] {'a'}, out);
        assertEquals("\uFFFDa", out.toString());
    }
}
