package io.atoll.cli.client;

import com.fasterxml.jackson.core.JacksonException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.net.ConnectException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.TreeMap;

/// Talks to one endpoint. Safe for several threads; a streamed call blocks its caller until the answer has ended.
public final class ApiClient implements AutoCloseable {
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final Duration ANSWER_TIMEOUT = Duration.ofSeconds(10);

    private final URI base;
    private final Optional<String> key;
    private final HttpClient http =
            HttpClient.newBuilder()
                    .version(HttpClient.Version.HTTP_1_1)
                    .connectTimeout(Duration.ofSeconds(5))
                    .build();

    /// @param base the endpoint, with or without a final `/v1`
    public ApiClient(URI base) {
        this(base, Optional.empty());
    }

    /// @param base the endpoint, with or without a final `/v1`
    /// @param key the API key to send along
    public ApiClient(URI base, Optional<String> key) {
        this.key = key;
        String text = base.toString().replaceAll("/+$", "").replaceAll("/v1$", "");
        this.base = URI.create(text + "/");
    }

    /// Receives a streamed answer piece by piece.
    public interface Listener {
        /// Lets the pieces pass; the whole text is in the [Answer] all the same.
        Listener SILENT =
                new Listener() {
                    @Override
                    public void reasoning(String text) {}

                    @Override
                    public void content(String text) {}
                };

        void reasoning(String text);

        void content(String text);

        /// A part of the answer came, whatever it holds: reasoning, content or a piece of a tool call.
        ///
        /// @param sinceStartNanos time since the request was sent
        default void part(long sinceStartNanos) {}
    }

    /// A tool call of an answer.
    ///
    /// @param arguments JSON text
    public record ToolCall(String id, String name, String arguments) {}

    /// How a streamed answer ended.
    ///
    /// @param content all content, without the reasoning
    /// @param cachedTokens how many of the prompt's tokens were not computed again
    /// @param firstTokenNanos from sending the request to the first piece of text or of a call; -1 if there was none
    /// @param totalNanos from sending the request to the end
    public record Answer(
            String content,
            String reasoning,
            List<ToolCall> toolCalls,
            String finishReason,
            int promptTokens,
            int cachedTokens,
            int completionTokens,
            long firstTokenNanos,
            long totalNanos) {
        /// Tokens after the first, over the time they took; 0 if there are fewer than two.
        public double tokensPerSecond() {
            return completionTokens < 2 || firstTokenNanos < 0
                    ? 0
                    : (completionTokens - 1) * 1e9 / Math.max(1, totalNanos - firstTokenNanos);
        }
    }

    /// Sends a chat request and hands over the answer as it comes.
    ///
    /// @param request the request's body; `stream` and `stream_options` are set here
    public Answer chat(ObjectNode request, Listener listener)
            throws IOException, InterruptedException {
        request.put("stream", true);
        request.putObject("stream_options").put("include_usage", true);
        long start = System.nanoTime();
        HttpResponse<InputStream> response =
                send(
                        request("v1/chat/completions")
                                .header("Content-Type", "application/json")
                                .POST(HttpRequest.BodyPublishers.ofString(request.toString()))
                                .build());
        try (BufferedReader lines =
                new BufferedReader(
                        new InputStreamReader(response.body(), StandardCharsets.UTF_8))) {
            if (response.statusCode() != 200) {
                throw error(response.statusCode(), lines.lines().reduce("", String::concat));
            }
            return read(lines, listener, start);
        }
    }

    private static Answer read(BufferedReader lines, Listener listener, long start)
            throws IOException {
        StringBuilder content = new StringBuilder();
        StringBuilder reasoning = new StringBuilder();
        TreeMap<Integer, CallPieces> calls = new TreeMap<>();
        String finish = "";
        int promptTokens = 0;
        int cachedTokens = 0;
        int completionTokens = 0;
        long first = -1;
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            if (!line.startsWith("data:")) {
                continue;
            }
            String data = line.substring("data:".length()).strip();
            if (data.equals("[DONE]")) {
                return new Answer(
                        content.toString(),
                        reasoning.toString(),
                        calls.values().stream().map(CallPieces::call).toList(),
                        finish,
                        promptTokens,
                        cachedTokens,
                        completionTokens,
                        first,
                        System.nanoTime() - start);
            }
            JsonNode chunk = JSON.readTree(data);
            if (chunk.has("error")) {
                throw error(200, data);
            }
            JsonNode choice = chunk.path("choices").path(0);
            String thought = choice.path("delta").path("reasoning_content").asText("");
            String text = choice.path("delta").path("content").asText("");
            JsonNode called = choice.path("delta").path("tool_calls");
            if (!(thought.isEmpty() && text.isEmpty() && called.isEmpty())) {
                long now = System.nanoTime() - start;
                first = first < 0 ? now : first;
                listener.part(now);
            }
            for (JsonNode piece : called) {
                calls.computeIfAbsent(piece.path("index").asInt(), _ -> new CallPieces())
                        .add(piece);
            }
            if (!thought.isEmpty()) {
                reasoning.append(thought);
                listener.reasoning(thought);
            }
            if (!text.isEmpty()) {
                content.append(text);
                listener.content(text);
            }
            finish = choice.path("finish_reason").asText(finish);
            promptTokens = chunk.path("usage").path("prompt_tokens").asInt(promptTokens);
            cachedTokens =
                    chunk.path("usage")
                            .path("prompt_tokens_details")
                            .path("cached_tokens")
                            .asInt(cachedTokens);
            completionTokens =
                    chunk.path("usage").path("completion_tokens").asInt(completionTokens);
        }
        throw new ApiException(200, "", "the stream ended early: the connection was lost");
    }

    /// A tool call while its pieces come.
    private static final class CallPieces {
        private String id = "";
        private String name = "";
        private final StringBuilder arguments = new StringBuilder();

        void add(JsonNode piece) {
            id = piece.path("id").asText(id);
            name = piece.path("function").path("name").asText(name);
            arguments.append(piece.path("function").path("arguments").asText(""));
        }

        ToolCall call() {
            return new ToolCall(id, name, arguments.toString());
        }
    }

    /// Reads a JSON document.
    ///
    /// @param path relative to the endpoint, such as `v1/models`
    public JsonNode get(String path) throws IOException, InterruptedException {
        return json(request(path).timeout(ANSWER_TIMEOUT).GET().build());
    }

    /// Reads a JSON document that may be a while in coming.
    ///
    /// @param wait how long the endpoint was asked to wait
    public JsonNode get(String path, Duration wait) throws IOException, InterruptedException {
        return json(request(path).timeout(ANSWER_TIMEOUT.plus(wait)).GET().build());
    }

    /// Sends a JSON object and reads the answer.
    public JsonNode post(String path, ObjectNode body) throws IOException, InterruptedException {
        return json(
                request(path)
                        .timeout(ANSWER_TIMEOUT)
                        .header("Content-Type", "application/json")
                        .POST(HttpRequest.BodyPublishers.ofString(body.toString()))
                        .build());
    }

    /// A new object for [#post].
    public static ObjectNode object() {
        return JSON.createObjectNode();
    }

    private JsonNode json(HttpRequest request) throws IOException, InterruptedException {
        HttpResponse<InputStream> response = send(request);
        try (InputStream body = response.body()) {
            String text = new String(body.readAllBytes(), StandardCharsets.UTF_8);
            if (response.statusCode() != 200) {
                throw error(response.statusCode(), text);
            }
            return JSON.readTree(text);
        }
    }

    /// Empty when the endpoint says that it can serve, else what it says, or that nobody answers.
    public Optional<String> notReady() throws InterruptedException {
        try {
            get("health/ready");
            return Optional.empty();
        } catch (IOException e) {
            return Optional.of(e.getMessage());
        }
    }

    private HttpRequest.Builder request(String path) {
        HttpRequest.Builder request = HttpRequest.newBuilder(base.resolve(path));
        key.ifPresent(value -> request.header("Authorization", "Bearer " + value));
        return request;
    }

    private HttpResponse<InputStream> send(HttpRequest request)
            throws IOException, InterruptedException {
        try {
            return http.send(request, HttpResponse.BodyHandlers.ofInputStream());
        } catch (ConnectException _) {
            throw new ApiException(0, "", "nobody answers at " + base);
        }
    }

    private static ApiException error(int status, String body) {
        try {
            JsonNode error = JSON.readTree(body).path("error");
            if (error.hasNonNull("message")) {
                return new ApiException(
                        status, error.path("code").asText(""), error.path("message").asText());
            }
        } catch (JacksonException _) {
            // Not JSON: the status and the text itself say more than a parser's complaint.
        }
        String text = body.strip();
        return new ApiException(status, "", "HTTP " + status + (text.isEmpty() ? "" : ": " + text));
    }

    /// Cuts what still runs.
    @Override
    public void close() {
        // An interrupted call can leave an answer that nobody reads, and close() alone would wait
        // for its end.
        http.shutdownNow();
        http.close();
    }
}
