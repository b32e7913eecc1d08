package io.atoll.model.tokenizer;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import io.atoll.model.DemoModel;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.OptionalInt;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class TokenizerTest {
    private static Tokenizer demo;

    @TempDir Path directory;

    @BeforeAll
    static void load() {
        demo = Tokenizer.load(DemoModel.path().resolve("tokenizer.json"));
    }

    @AfterAll
    static void close() {
        demo.close();
    }

    @Test
    void idsAndTextsAreTheReferences() {
        for (JsonNode row : TokenizerCases.resource("encode.json")) {
            TokenizerCases.assertEncodes(demo, row.get("text").textValue(), row);
        }
    }

    @Test
    void paddingRowsOfTheEmbeddingAreNoTokens() {
        assertEquals(2036, demo.size());
        assertTrue(demo.isToken(2035));
        assertFalse(demo.isToken(2036));
        assertFalse(demo.isToken(-1));
        IllegalArgumentException refusal =
                assertThrows(
                        IllegalArgumentException.class,
                        () -> demo.decode(new int[] {5, 2036}, true));
        assertTrue(refusal.getMessage().contains("2036"), refusal.getMessage());
        assertThrows(IllegalArgumentException.class, () -> demo.bytes(-1));
    }

    @Test
    void tokensAreFoundByNameAndKnowTheirBytes() {
        assertEquals(OptionalInt.of(2018), demo.tokenId("<|im_end|>"));
        assertEquals(OptionalInt.empty(), demo.tokenId("<|nothing|>"));
        assertEquals("<|im_end|>", new String(demo.bytes(2018), StandardCharsets.UTF_8));
        int newline = demo.tokenId("Ċ").orElseThrow();
        assertArrayEquals(new byte[] {'\n'}, demo.bytes(newline));
        assertArrayEquals(new int[] {newline}, demo.encode("\n"));
    }

    @Test
    void everyByteHasAToken() {
        boolean[] seen = new boolean[256];
        for (int id = 0; id < 256; id++) {
            assertEquals(1, demo.bytes(id).length);
            seen[demo.bytes(id)[0] & 0xFF] = true;
        }
        for (boolean byteSeen : seen) {
            assertTrue(byteSeen);
        }
    }

    @Test
    void thinkingAndToolMarksSurviveWhereSpecialTokensAreLeftOut() {
        int[] ids = demo.encode("<think>\nok\n</think>\n\n<tool_call></tool_call><|im_end|>");
        assertEquals("<think>\nok\n</think>\n\n<tool_call></tool_call>", demo.decode(ids, true));
        assertTrue(demo.isSpecial(2018));
        assertFalse(demo.isSpecial(demo.tokenId("<think>").orElseThrow()));
        assertFalse(demo.isSpecial(-1));
    }

    @Test
    void longTextIsNotCut() {
        String text = "word ".repeat(50_000);
        assertEquals(text, demo.decode(demo.encode(text), false));
    }

    @Test
    void loneSurrogateBecomesAReplacementAndHarmsNothingElse() {
        assertArrayEquals(demo.encode("a\uFFFDb😀\u0000"), demo.encode("a\uD800b😀\u0000"));
        assertArrayEquals(demo.encode("\uFFFD"), demo.encode("\uDC00"));
        assertArrayEquals(demo.encode("x\uFFFD"), demo.encode("x\uD83D"));
    }

    @Test
    void closedTokenizerRefusesToEncode() {
        Tokenizer tokenizer = Tokenizer.load(DemoModel.path().resolve("tokenizer.json"));
        tokenizer.close();
        tokenizer.close();
        assertThrows(IllegalStateException.class, () -> tokenizer.encode("a"));
    }

    @Test
    void missingFileIsNamed() {
        Path file = directory.resolve("tokenizer.json");
        TokenizerException refusal =
                assertThrows(TokenizerException.class, () -> Tokenizer.load(file));
        assertEquals(file + ": file: is missing", refusal.getMessage());
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "\"type\": \"BPE\" | \"type\": \"WordPiece\" | model.type",
                "\"decoder\": { | \"other\": { | decoder.type",
                "\"vocab\": { | \"vocabulary\": { | model.vocab",
                "\"!\": 0, | \"!\": 1, | model.vocab",
                "\"!\": 0, | \"!\": -1, | model.vocab",
                "\"!\": 0, | \"!\": 0.5, | model.vocab",
                "\"!\": 0, | \"!\": 999999999, | model.vocab",
                "\"id\": 2017, | \"id\": 2016, | added_tokens",
                "\"id\": 2035, | \"id\": 2040, | added_tokens",
                "\"content\": \"<think>\", | '' | added_tokens",
                "\"merges\": [ | \"merges\": [[\"never\", \"seen\"], | file",
            })
    void damagedVocabularyIsRefused(String from, String to, String where) throws IOException {
        String sound = Files.readString(DemoModel.path().resolve("tokenizer.json"));
        assertTrue(sound.contains(from), from);
        Path file = directory.resolve("tokenizer.json");
        Files.writeString(file, sound.replaceFirst(java.util.regex.Pattern.quote(from), to));
        TokenizerException refusal =
                assertThrows(TokenizerException.class, () -> Tokenizer.load(file));
        assertEquals(where, refusal.where(), refusal.getMessage());
    }

    @ParameterizedTest
    @ValueSource(
            strings = {"", "[]", "{", "{}", "{\"model\": 3}", "{\"added_tokens\": [3]}", "{} {}"})
    void damagedFileIsRefused(String content) throws IOException {
        Path file = directory.resolve("tokenizer.json");
        Files.writeString(file, content);
        assertThrows(TokenizerException.class, () -> Tokenizer.load(file));
    }
}
