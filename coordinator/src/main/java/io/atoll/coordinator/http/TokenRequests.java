package io.atoll.coordinator.http;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.linecorp.armeria.common.HttpResponseWriter;
import io.atoll.attention.step.AttentionWorkerInfo;
import io.atoll.coordinator.sequence.ServedModel;
import java.nio.charset.StandardCharsets;
import java.util.List;

/// `/tokenize` and `/detokenize`, as vLLM has them: what a text or a conversation is for the model, and back.
final class TokenRequests {
    private final ServedModel model;
    private final AttentionWorkerInfo info;
    private final ChatRequests chats;
    private final Json json;

    /// @param chats renders conversations
    TokenRequests(ServedModel model, AttentionWorkerInfo info, ChatRequests chats, Json json) {
        this.model = model;
        this.info = info;
        this.chats = chats;
        this.json = json;
    }

    /// The tokens of `prompt`, or of the prompt that `messages` make.
    void tokenize(Caller caller, JsonFields body, HttpResponseWriter out) {
        CommonParameters.checkModel(body, model);
        boolean strings = body.bool("return_token_strs", false);
        if (body.has("prompt") == body.has("messages")) {
            throw RequestException.invalid("prompt", "or messages must be given, and not both");
        }
        ObjectNode answer = json.object();
        String text;
        if (body.has("messages")) {
            text = chats.render(body).prompt();
            answer.put("prompt", text);
        } else {
            text = body.requiredString("prompt");
        }
        int[] tokens = model.tokenizer().encode(text);
        answer.put("count", tokens.length).put("max_model_len", info.maxSequenceTokens());
        ArrayNode ids = answer.putArray("tokens");
        for (int token : tokens) {
            ids.add(token);
        }
        if (strings) {
            ArrayNode texts = answer.putArray("token_strs");
            for (int token : tokens) {
                texts.add(new String(model.tokenizer().bytes(token), StandardCharsets.UTF_8));
            }
        }
        out.close(HttpApi.ok(json.write(answer)));
    }

    /// The text of `tokens`, special ones included.
    void detokenize(Caller caller, JsonFields body, HttpResponseWriter out) {
        CommonParameters.checkModel(body, model);
        List<JsonFields.Element> elements =
                body.array("tokens").orElseThrow(() -> body.missing("tokens"));
        int[] tokens = JsonFields.tokens(elements, model.tokenizer());
        String text = model.tokenizer().decode(tokens, false);
        out.close(HttpApi.ok(json.write(json.object().put("prompt", text))));
    }
}
