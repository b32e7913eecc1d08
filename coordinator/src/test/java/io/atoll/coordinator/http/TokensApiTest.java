package io.atoll.coordinator.http;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import io.atoll.coordinator.TestCoordinator.Reply;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/// `/tokenize` and `/detokenize`.
final class TokensApiTest extends ApiTest {
    @Test
    void textsAreTokensAndBack() throws Exception {
        JsonNode text = answer("/tokenize", "{'prompt': 'Hello there', 'return_token_strs': true}");
        int count = text.path("count").intValue();
        assertTrue(count > 0);
        assertEquals(count, text.path("tokens").size());
        StringBuilder joined = new StringBuilder();
        text.path("token_strs").forEach(piece -> joined.append(piece.textValue()));
        assertEquals("Hello there", joined.toString());
        assertEquals(4096, text.path("max_model_len").intValue());
        JsonNode back = answer("/detokenize", "{'tokens': " + text.path("tokens") + "}");
        assertEquals("Hello there", back.path("prompt").textValue());
    }

    @Test
    void conversationIsTokenizedAsItWouldBeAnswered() throws Exception {
        say("Hi.");
        answer(CHAT, HELLO + "}");
        JsonNode tokens = answer("/tokenize", HELLO + "}");
        int[] ids = new int[tokens.path("tokens").size()];
        for (int i = 0; i < ids.length; i++) {
            ids[i] = tokens.path("tokens").path(i).intValue();
        }
        assertArrayEquals(coordinator.worker().prompt(1), ids);
        assertEquals(prompt(1), tokens.path("prompt").textValue());
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            quoteCharacter = '"',
            value = {
                "/tokenize | {} | prompt",
                "/tokenize | {'prompt': 'a', 'messages': []} | prompt",
                "/tokenize | {'prompt': 5} | prompt",
                "/tokenize | {'messages': []} | messages",
                "/detokenize | {} | tokens",
                "/detokenize | {'tokens': [1, 'a']} | tokens[1]",
                "/detokenize | {'tokens': [99999999]} | tokens[0]",
            })
    void badTokenRequestIsRefusedByName(String path, String body, String param) throws Exception {
        Reply reply = coordinator.post(path, body);
        assertEquals(400, reply.status(), reply.body());
        assertEquals(param, reply.json().at("/error/param").textValue());
    }
}
