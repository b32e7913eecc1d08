package io.atoll.coordinator.http;

/// How urgent a request is: lower goes first, and may have higher set aside.
///
/// `service_tier` is OpenAI's field; `priority` is a number, as in vLLM, and counts where both are given.
final class Priority {
    private static final int DEFAULT = 0;
    private static final int PRIORITY_TIER = -10;
    private static final int FLEX_TIER = 10;
    private static final int MOST = 100;

    private Priority() {}

    static int of(JsonFields body) {
        int tier = body.string("service_tier").map(Priority::tier).orElse(DEFAULT);
        return body.integer("priority", -MOST, MOST).orElse(tier);
    }

    private static int tier(String name) {
        return switch (name) {
            case "auto", "default" -> DEFAULT;
            case "priority" -> PRIORITY_TIER;
            case "flex" -> FLEX_TIER;
            default ->
                    throw RequestException.invalid(
                            "service_tier",
                            "must be one of auto, default, flex, priority: " + name);
        };
    }
}
