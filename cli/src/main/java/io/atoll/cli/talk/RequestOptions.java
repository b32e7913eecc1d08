package io.atoll.cli.talk;

import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import picocli.CommandLine.Option;

/// The options of a request that `chat` and `generate` share.
final class RequestOptions {
    @Option(
            names = "--max-tokens",
            paramLabel = "N",
            description = "Most tokens of an answer; default: what the server allows.")
    private Integer maxTokens;

    @Option(
            names = "--temperature",
            paramLabel = "T",
            description = "0 is greedy; default: the model's own.")
    private Double temperature;

    @Option(names = "--top-p", paramLabel = "P", description = "Default: the model's own.")
    private Double topP;

    @Option(names = "--seed", paramLabel = "N", description = "Makes sampling repeatable.")
    private Long seed;

    @Option(names = "--no-thinking", description = "Ask the model to answer at once.")
    private boolean noThinking;

    @Option(names = "--system", paramLabel = "TEXT", description = "A system message.")
    private String system;

    /// An empty chat request with these options: `messages` has the system message, if there is one.
    ObjectNode request(String model) {
        ObjectNode request = JsonNodeFactory.instance.objectNode();
        request.put("model", model);
        if (maxTokens != null) {
            request.put("max_tokens", maxTokens);
        }
        if (temperature != null) {
            request.put("temperature", temperature);
        }
        if (topP != null) {
            request.put("top_p", topP);
        }
        if (seed != null) {
            request.put("seed", seed);
        }
        if (noThinking) {
            request.putObject("chat_template_kwargs").put("enable_thinking", false);
        }
        request.putArray("messages");
        if (system != null) {
            request.withArray("messages").addObject().put("role", "system").put("content", system);
        }
        return request;
    }
}
