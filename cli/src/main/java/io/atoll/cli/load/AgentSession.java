package io.atoll.cli.load;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.atoll.cli.client.ApiClient;
import java.util.List;
import java.util.random.RandomGenerator;
import java.util.random.RandomGeneratorFactory;

/// One agent's conversation: a system prompt and tools that all sessions share, then turns that grow. A turn answers the calls that
/// the model made, or is a user's message where it made none. Everything but the model's answers follows from the seed.
final class AgentSession {
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final List<String> WORDS =
            List.of(
                    ("the file test returns value error line build module function class object"
                         + " check result input output path number list because when after before"
                         + " still open closed right left server client request answer token cache"
                         + " state memory thread queue which should never always")
                            .split(" "));

    private final LoadSettings settings;
    private final RandomGenerator random;
    private final ArrayNode messages = JSON.createArrayNode();
    private List<ApiClient.ToolCall> open = List.of();
    private int turn;

    AgentSession(LoadSettings settings, int number) {
        this.settings = settings;
        random = generator(settings.seed() * 1_000_003 + number);
        messages.addObject()
                .put("role", "system")
                .put("content", words(generator(settings.seed()), settings.systemWords()));
    }

    private static RandomGenerator generator(long seed) {
        return RandomGeneratorFactory.of("L64X128MixRandom").create(seed);
    }

    boolean hasNext() {
        return turn < settings.turns();
    }

    /// Turns asked so far.
    int turn() {
        return turn;
    }

    /// The request of the next turn.
    ObjectNode next() {
        turn++;
        if (open.isEmpty()) {
            messages.addObject()
                    .put("role", "user")
                    .put("content", words(random, length(settings.turnWords())));
        }
        for (ApiClient.ToolCall call : open) {
            messages.addObject()
                    .put("role", "tool")
                    .put("tool_call_id", call.id())
                    .put("content", words(random, length(settings.turnWords())));
        }
        ObjectNode request = JSON.createObjectNode().put("model", settings.model());
        request.set("messages", messages.deepCopy());
        ArrayNode tools = request.putArray("tools");
        addTool(tools, "read_file", "Reads a file.", "path");
        addTool(tools, "run_command", "Runs a command and returns what it prints.", "command");
        request.put("max_completion_tokens", length(settings.outputTokens()));
        request.put("seed", random.nextLong());
        if (!settings.naturalEnds()) {
            request.put("ignore_eos", true);
        }
        return request;
    }

    private static void addTool(ArrayNode tools, String name, String what, String argument) {
        ObjectNode function = tools.addObject().put("type", "function").putObject("function");
        function.put("name", name).put("description", what);
        ObjectNode parameters = function.putObject("parameters").put("type", "object");
        parameters.putObject("properties").putObject(argument).put("type", "string");
        parameters.putArray("required").add(argument);
    }

    /// Takes what the model answered into the conversation.
    void answered(ApiClient.Answer answer) {
        ObjectNode message = messages.addObject().put("role", "assistant");
        message.put("content", answer.content());
        if (!answer.reasoning().isEmpty()) {
            message.put("reasoning_content", answer.reasoning());
        }
        open = answer.toolCalls();
        if (!open.isEmpty()) {
            ArrayNode calls = message.putArray("tool_calls");
            for (ApiClient.ToolCall call : open) {
                calls.addObject()
                        .put("id", call.id())
                        .put("type", "function")
                        .putObject("function")
                        .put("name", call.name())
                        .put("arguments", call.arguments());
            }
        }
    }

    /// A pause before the next turn.
    long thinkNanos() {
        return (long) (settings.think().toNanos() * random.nextExponential());
    }

    /// Lengths spread as people's do: a few are much longer than the mean. The factor's own mean is 1.
    private int length(int mean) {
        double factor = Math.exp(0.5 * random.nextGaussian() - 0.125);
        return (int) Math.max(1, Math.min(4L * mean, Math.round(mean * factor)));
    }

    private static String words(RandomGenerator random, int count) {
        StringBuilder text = new StringBuilder();
        for (int i = 0; i < count; i++) {
            text.append(i == 0 ? "" : " ").append(WORDS.get(random.nextInt(WORDS.size())));
        }
        return text.toString();
    }
}
