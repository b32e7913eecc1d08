package io.atoll.tests;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.atoll.cli.client.ApiClient;
import java.util.concurrent.CountDownLatch;

/// A long answer of the demo model at temperature 1, in which any change in any logit's bits is likely to show.
final class Story {
    private Story() {}

    static ObjectNode request(int tokens) {
        ObjectNode request = ApiClient.object();
        request.put("model", "demo-model");
        request.put("max_tokens", tokens).put("ignore_eos", true);
        request.put("temperature", 1.0).put("seed", 5);
        request.putArray("messages")
                .addObject()
                .put("role", "user")
                .put("content", "Tell me a story.");
        return request;
    }

    /// @param started counted down at the first piece
    static ApiClient.Listener listener(CountDownLatch started) {
        return new ApiClient.Listener() {
            @Override
            public void reasoning(String text) {
                started.countDown();
            }

            @Override
            public void content(String text) {
                started.countDown();
            }
        };
    }

    /// The text, on whatever thread.
    static String told(ApiClient client, int tokens, CountDownLatch started) {
        try {
            return client.chat(request(tokens), listener(started)).content();
        } catch (Exception e) {
            throw new IllegalStateException(e);
        }
    }
}
