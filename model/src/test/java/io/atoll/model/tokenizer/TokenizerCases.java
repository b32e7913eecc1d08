package io.atoll.model.tokenizer;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.util.Objects;
import java.util.stream.IntStream;

/// Golden cases: what the reference tokenizer gives.
final class TokenizerCases {
    private TokenizerCases() {}

    static JsonNode resource(String name) {
        try (InputStream stream = TokenizerCases.class.getResourceAsStream("/tokenizer/" + name)) {
            return new JsonMapper().readTree(Objects.requireNonNull(stream, name)).get("cases");
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    static int[] ids(JsonNode list) {
        return IntStream.range(0, list.size()).map(i -> list.get(i).intValue()).toArray();
    }

    /// @param expected the object with `ids` and, where decoding does not give the text back, what it gives
    static void assertEncodes(Tokenizer tokenizer, String text, JsonNode expected) {
        int[] ids = ids(expected.get("ids"));
        String decoded = expected.path("decoded").asText(text);
        assertArrayEquals(ids, tokenizer.encode(text), text);
        assertEquals(decoded, tokenizer.decode(ids, false));
        assertEquals(
                expected.path("decoded_skip_special").asText(decoded), tokenizer.decode(ids, true));
    }

    static void assertStreams(Tokenizer tokenizer, JsonNode expected) {
        String note = expected.get("note").textValue();
        int[] ids = ids(expected.get("ids"));
        StreamDecoder decoder = new StreamDecoder(tokenizer, false);
        for (int i = 0; i < ids.length; i++) {
            assertEquals(
                    expected.get("chunks").get(i).textValue(),
                    decoder.next(ids[i]),
                    note + ", token " + i);
        }
        assertEquals(expected.get("tail").textValue(), decoder.finish(), note);
        assertEquals(expected.get("text").textValue(), tokenizer.decode(ids, false), note);
    }
}
