package io.atoll.model.tokenizer;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import io.atoll.model.DemoModel;
import io.atoll.model.Seeds;
import io.atoll.model.gguf.DemoGguf;
import io.atoll.model.gguf.GgufBuilder;
import io.atoll.model.gguf.GgufException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledIfSystemProperty;
import org.junit.jupiter.api.io.TempDir;

class GgufVocabularyTest {
    private static final int NORMAL = 1;
    private static final int UNKNOWN = 2;
    private static final int CONTROL = 3;
    private static final int USER_DEFINED = 4;
    private static final int UNUSED = 5;

    @TempDir Path directory;

    @Test
    void demoVocabularyInsideAGgufFileGivesTheSameIds() throws IOException {
        Path file =
                write(
                        DemoGguf.vocabulary(
                                new GgufBuilder(), DemoModel.path().resolve("tokenizer.json")));
        try (Tokenizer tokenizer = Tokenizer.fromGguf(file)) {
            assertEquals(2036, tokenizer.size());
            assertTrue(tokenizer.isSpecial(tokenizer.tokenId("<|im_end|>").orElseThrow()));
            assertFalse(tokenizer.isSpecial(tokenizer.tokenId("<think>").orElseThrow()));
            for (JsonNode row : TokenizerCases.resource("encode.json")) {
                TokenizerCases.assertEncodes(tokenizer, row.get("text").textValue(), row);
            }
            for (JsonNode row : TokenizerCases.resource("stream.json")) {
                TokenizerCases.assertStreams(tokenizer, row);
            }
        }
    }

    /// A full-size vocabulary is too large to keep here. `-Datoll.fixtures=DIR` names a directory with
    /// `tokenizer/qwen35-vocab.gguf`, `encode.json` and `stream.json`.
    @Test
    @EnabledIfSystemProperty(named = "atoll.fixtures", matches = ".+")
    void fullSizeVocabularyGivesTheReferencesIds() throws IOException {
        Path fixtures = Path.of(System.getProperty("atoll.fixtures"), "tokenizer");
        try (Tokenizer big = Tokenizer.fromGguf(fixtures.resolve("qwen35-vocab.gguf"))) {
            assertEquals(151_646, big.size());
            JsonMapper mapper = new JsonMapper();
            for (JsonNode row :
                    mapper.readTree(fixtures.resolve("encode.json").toFile()).get("cases")) {
                TokenizerCases.assertEncodes(big, row.get("text").textValue(), row.get("big"));
            }
            for (JsonNode row :
                    mapper.readTree(fixtures.resolve("stream.json").toFile()).get("cases")) {
                if (row.get("vocabulary").textValue().equals("big")) {
                    TokenizerCases.assertStreams(big, row);
                }
            }
        }
    }

    /// As many tokens and rows as the family's releases have: every pair of bytes, and triples that end in `a`, `b` or `c`.
    @Test
    void vocabularyOfAReleasesSizeIsNeitherCutNorRenumbered() throws IOException {
        int rows = 248_320;
        int added = 33;
        int size = 248_044;
        String[] symbols = new String[256];
        for (char symbol = 0; symbol < 0x144; symbol++) {
            byte[] meant = new byte[1];
            if (ByteSymbols.decode(String.valueOf(symbol), meant, 0) == 1) {
                symbols[meant[0] & 0xFF] = String.valueOf(symbol);
            }
        }
        List<String> bytes = List.of(symbols);
        List<String> tokens = new ArrayList<>(bytes);
        List<String> merges = new ArrayList<>();
        for (String last : List.of("", "a", "b", "c")) {
            for (int pair = 0; pair < 1 << 16 && tokens.size() < size - added; pair++) {
                String first = bytes.get(pair >> 8);
                String second = bytes.get(pair & 0xFF);
                tokens.add(first + second + last);
                merges.add(last.isEmpty() ? first + " " + second : first + second + " " + last);
            }
        }
        List<Integer> kinds = new ArrayList<>(Collections.nCopies(tokens.size(), NORMAL));
        for (int i = 0; i < added; i++) {
            tokens.add("<|extra_" + i + "|>");
            kinds.add(CONTROL);
        }
        while (tokens.size() < rows) {
            tokens.add("[PAD" + tokens.size() + "]");
            kinds.add(UNUSED);
        }
        try (Tokenizer tokenizer = Tokenizer.fromGguf(write(vocabulary(tokens, kinds, merges)))) {
            assertEquals(size, tokenizer.size());
            int abb = 256 + (1 << 16) + (1 << 16) + 'a' * 256 + 'b';
            assertArrayEquals(new int[] {abb}, tokenizer.encode("abb"));
            assertArrayEquals(new int[] {size - 1}, tokenizer.encode("<|extra_32|>"));
            String text = "Grüße, 世界! <|extra_7|> 12 abc";
            assertEquals(text, tokenizer.decode(tokenizer.encode(text), false));
        }
    }

    @Test
    void unusedAndPaddingRowsAreNoTokens() throws IOException {
        List<String> tokens =
                new ArrayList<>(List.of("a", "b", "ab", "<x>", "[PAD4]", "[PAD9]", "[PAD6]"));
        List<Integer> kinds =
                List.of(NORMAL, NORMAL, NORMAL, CONTROL, USER_DEFINED, UNUSED, UNUSED);
        try (Tokenizer tokenizer =
                Tokenizer.fromGguf(write(vocabulary(tokens, kinds, List.of("a b"))))) {
            assertEquals(4, tokenizer.size());
            assertEquals("<x>ab", tokenizer.decode(tokenizer.encode("<x>ab"), false));
        }
    }

    @Test
    void otherKindsOfVocabularyAreRefused() throws IOException {
        assertRefused(
                "tokenizer.ggml.model", new GgufBuilder().string("tokenizer.ggml.model", "llama"));
        assertRefused("tokenizer.ggml.model", new GgufBuilder());
        assertRefused(
                "tokenizer.ggml.pre",
                new GgufBuilder()
                        .string("tokenizer.ggml.model", "gpt2")
                        .string("tokenizer.ggml.pre", "qwen2"));
    }

    @Test
    void damagedVocabularyIsRefused() throws IOException {
        List<String> tokens = List.of("a", "b", "ab");
        List<Integer> kinds = Collections.nCopies(3, NORMAL);
        assertRefused("tokenizer.ggml.token_type", vocabulary(tokens, List.of(NORMAL), List.of()));
        assertRefused(
                "tokenizer.ggml.token_type",
                vocabulary(tokens, List.of(NORMAL, UNKNOWN, NORMAL), List.of()));
        assertRefused(
                "tokenizer.ggml.tokens", vocabulary(List.of("a", "b", "a"), kinds, List.of()));
        for (String merge : List.of("ab", "a c", "c b", "b a", "", "a  b")) {
            assertRefused("tokenizer.ggml.merges", vocabulary(tokens, kinds, List.of(merge)));
        }
        Path absent = directory.resolve("absent.gguf");
        assertThrows(GgufException.class, () -> Tokenizer.fromGguf(absent));
    }

    @Test
    void randomDamageGivesOnlyTypedErrors() {
        byte[] sound =
                vocabulary(
                                List.of("a", "b", "c", "ab", "abc", "<x>", "<y>", "[PAD7]"),
                                List.of(
                                        NORMAL,
                                        NORMAL,
                                        NORMAL,
                                        NORMAL,
                                        NORMAL,
                                        CONTROL,
                                        USER_DEFINED,
                                        UNUSED),
                                List.of("a b", "ab c"))
                        .toArray();
        Path file = directory.resolve("v.gguf");
        Seeds.forAll(
                2000,
                random -> {
                    byte[] damaged = sound.clone();
                    for (int i = random.nextInt(1, 5); i > 0; i--) {
                        int value = random.nextBoolean() ? random.nextInt(128) : random.nextInt();
                        damaged[random.nextInt(damaged.length)] = (byte) value;
                    }
                    try {
                        Files.write(file, damaged);
                        // What the rewriting lets through, the reader of tokenizer.json must bear.
                        Vocabulary.parse(GgufVocabulary.read(file).tokenizerJson(), file);
                    } catch (TokenizerException | GgufException expected) {
                        assertEquals(file, expected.file());
                    } catch (IOException e) {
                        throw new AssertionError(e);
                    }
                });
    }

    private void assertRefused(String where, GgufBuilder gguf) throws IOException {
        Path file = write(gguf);
        TokenizerException refusal =
                assertThrows(TokenizerException.class, () -> Tokenizer.fromGguf(file));
        assertEquals(where, refusal.where(), refusal.getMessage());
        assertEquals(file, refusal.file());
    }

    private Path write(GgufBuilder gguf) throws IOException {
        Path file = directory.resolve("v.gguf");
        Files.write(file, gguf.toArray());
        return file;
    }

    private static GgufBuilder vocabulary(
            List<String> tokens, List<Integer> kinds, List<String> merges) {
        return new GgufBuilder()
                .string("general.architecture", "qwen35moe")
                .string("tokenizer.ggml.model", "gpt2")
                .string("tokenizer.ggml.pre", "qwen35")
                .strings("tokenizer.ggml.tokens", tokens.toArray(String[]::new))
                .integers(
                        "tokenizer.ggml.token_type",
                        GgufBuilder.I32,
                        4,
                        kinds.stream().mapToLong(Integer::longValue).toArray())
                .strings("tokenizer.ggml.merges", merges.toArray(String[]::new));
    }
}
