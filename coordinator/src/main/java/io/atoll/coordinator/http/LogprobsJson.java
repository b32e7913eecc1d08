package io.atoll.coordinator.http;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.atoll.attention.step.TokenLogprob;
import io.atoll.coordinator.sequence.TokenLogprobs;
import io.atoll.model.tokenizer.Tokenizer;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.List;

/// Writes logprobs in the shapes of the two endpoints.
final class LogprobsJson {
    /// JSON has no infinity; this stands for "as good as impossible", as OpenAI's own answers have it.
    private static final float LOWEST = -9999;

    private final Json json;
    private final Tokenizer tokenizer;

    LogprobsJson(Json json, Tokenizer tokenizer) {
        this.json = json;
        this.tokenizer = tokenizer;
    }

    /// `{"content": [{"token", "logprob", "bytes", "top_logprobs": [{"token", "logprob", "bytes"}]}]}`
    ObjectNode chat(List<TokenLogprobs> tokens) {
        ObjectNode logprobs = json.object();
        ArrayNode content = logprobs.putArray("content");
        for (TokenLogprobs token : tokens) {
            ObjectNode entry = entry(token.chosen());
            ArrayNode top = entry.putArray("top_logprobs");
            token.top().forEach(likely -> top.add(entry(likely)));
            content.add(entry);
        }
        logprobs.putNull("refusal");
        return logprobs;
    }

    private ObjectNode entry(TokenLogprob token) {
        byte[] bytes = bytes(token);
        ObjectNode entry =
                json.object()
                        .put("token", new String(bytes, StandardCharsets.UTF_8))
                        .put("logprob", logprob(token));
        ArrayNode list = entry.putArray("bytes");
        for (byte value : bytes) {
            list.add(value & 0xFF);
        }
        return entry;
    }

    /// `{"tokens", "token_logprobs", "top_logprobs", "text_offset"}`, lists as long as the tokens
    ///
    /// @param offset characters of text before the first token
    /// @param echoed how many of the tokens are of the prompt
    ObjectNode text(List<TokenLogprobs> tokens, int offset, int echoed) {
        ObjectNode logprobs = json.object();
        ArrayNode texts = logprobs.putArray("tokens");
        ArrayNode chosen = logprobs.putArray("token_logprobs");
        ArrayNode tops = logprobs.putArray("top_logprobs");
        ArrayNode offsets = logprobs.putArray("text_offset");
        int at = offset;
        for (int i = 0; i < tokens.size(); i++) {
            TokenLogprobs token = tokens.get(i);
            texts.add(text(token.chosen()));
            offsets.add(at);
            at += length(token, i < echoed);
            if (Float.isNaN(token.chosen().logprob())) { // a prompt's first token
                chosen.addNull();
                tops.addNull();
                continue;
            }
            chosen.add(logprob(token.chosen()));
            ObjectNode top = tops.addObject();
            token.top().forEach(likely -> top.put(text(likely), logprob(likely)));
        }
        return logprobs;
    }

    /// Characters that tokens add to a text, of which the first `echoed` are of the prompt.
    int length(List<TokenLogprobs> tokens, int echoed) {
        int length = 0;
        for (int i = 0; i < tokens.size(); i++) {
            length += length(tokens.get(i), i < echoed);
        }
        return length;
    }

    /// A special token is shown in a prompt, and adds nothing to an answer.
    private int length(TokenLogprobs token, boolean echoed) {
        boolean hidden = !echoed && tokenizer.isSpecial(token.chosen().token());
        return hidden ? 0 : new String(bytes(token.chosen()), StandardCharsets.UTF_8).length();
    }

    /// Among the likely ids there may be some that a vocabulary leaves out.
    private byte[] bytes(TokenLogprob token) {
        return tokenizer.isToken(token.token()) ? tokenizer.bytes(token.token()) : new byte[0];
    }

    /// A token's text, or its bytes if they are no whole characters: keys must differ.
    private String text(TokenLogprob token) {
        byte[] bytes = bytes(token);
        try {
            return StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(bytes)).toString();
        } catch (CharacterCodingException e) {
            StringBuilder text = new StringBuilder("bytes:");
            for (byte value : bytes) {
                text.append("\\x%02x".formatted(value));
            }
            return text.toString();
        }
    }

    private static float logprob(TokenLogprob token) {
        return Math.max(LOWEST, token.logprob());
    }
}
