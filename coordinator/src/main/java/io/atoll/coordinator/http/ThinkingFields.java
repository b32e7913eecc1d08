package io.atoll.coordinator.http;

import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;

/// Whether the model thinks before it answers, and how much: `reasoning_effort`, `chat_template_kwargs`, `thinking_budget`.
final class ThinkingFields {
    private static final String SWITCH = "enable_thinking"; // what the family's templates read
    private static final List<String> EFFORTS =
            List.of("none", "minimal", "low", "medium", "high", "xhigh");
    private static final List<String> EFFORTS_WITHOUT_THINKING = List.of("none", "minimal");

    private ThinkingFields() {}

    /// Most tokens of reasoning, if the request bounds them.
    static OptionalInt budget(JsonFields body) {
        return body.integer("thinking_budget", 1, Integer.MAX_VALUE);
    }

    /// The options of the template. What `chat_template_kwargs` says counts more than the effort, which only turns thinking on
    /// or off; templates may read it as `reasoning_effort`, too.
    static Map<String, Object> templateOptions(JsonFields body, Json json) {
        Map<String, Object> options = new HashMap<>();
        body.string("reasoning_effort")
                .ifPresent(
                        effort -> {
                            if (!EFFORTS.contains(effort)) {
                                throw RequestException.invalid(
                                        "reasoning_effort",
                                        "must be one of " + EFFORTS + ": " + effort);
                            }
                            options.put("reasoning_effort", effort);
                            options.put(SWITCH, !EFFORTS_WITHOUT_THINKING.contains(effort));
                        });
        body.object("chat_template_kwargs")
                .ifPresent(
                        given -> {
                            given.bool(SWITCH, true);
                            options.putAll(
                                    json.mapping(body.node("chat_template_kwargs").orElseThrow()));
                        });
        return options;
    }
}
