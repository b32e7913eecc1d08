package io.atoll.coordinator;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.atoll.coordinator.cluster.ClusterSettings;
import io.atoll.coordinator.cluster.ClusterSettings.WorkerAddress;
import io.atoll.coordinator.engine.EngineSettings;
import io.atoll.coordinator.gate.GateSettings;
import io.atoll.coordinator.http.HttpSettings;
import io.atoll.coordinator.trace.TraceSettings;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;

/// A coordinator on a free port with a [FakeAttentionWorker], and a client for it.
///
/// Bodies are JSON with single quotes, which become double ones.
public final class TestCoordinator implements AutoCloseable {
    /// A cluster whose worker never answers.
    private static final ClusterSettings NOBODY =
            ClusterSettings.alone(
                    "test",
                    List.of(new WorkerAddress("w1", "127.0.0.1", 1)),
                    4,
                    1,
                    ClusterSettings.DEFAULT_POLL,
                    Duration.ofSeconds(30));

    private static final ObjectMapper JSON = new ObjectMapper();

    private final FakeAttentionWorker worker;
    private final Coordinator coordinator;
    private final HttpClient client =
            HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();

    public TestCoordinator() {
        this(TestModel.worker(), http(Duration.ofMinutes(1)), EngineSettings.defaults());
    }

    public TestCoordinator(FakeAttentionWorker worker, HttpSettings http, EngineSettings engine) {
        this(worker, http, GateSettings.defaults(), engine);
    }

    /// Behind a gate.
    public TestCoordinator(GateSettings gate) {
        this(TestModel.worker(), http(Duration.ofMinutes(1)), gate, EngineSettings.defaults());
    }

    public TestCoordinator(
            FakeAttentionWorker worker,
            HttpSettings http,
            GateSettings gate,
            EngineSettings engine) {
        this(worker, http, gate, engine, Optional.empty());
    }

    /// Whose requests are traced.
    public TestCoordinator(TraceSettings traces) {
        this(
                TestModel.worker(),
                http(Duration.ofMinutes(1)),
                GateSettings.defaults(),
                EngineSettings.defaults(),
                Optional.of(traces));
    }

    private TestCoordinator(
            FakeAttentionWorker worker,
            HttpSettings http,
            GateSettings gate,
            EngineSettings engine,
            Optional<TraceSettings> traces) {
        this.worker = worker;
        try {
            this.coordinator =
                    new Coordinator(
                            new CoordinatorSettings(
                                    http, gate, engine, traces, Optional.of(NOBODY)),
                            worker,
                            TestModel.model());
            coordinator.start();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /// So short that tests see some, and long enough that most answers have none.
    public static final Duration HEARTBEAT = Duration.ofMillis(300);

    /// Settings for a test: a free port, and bodies of 1 MiB.
    public static HttpSettings http(Duration requestTimeout) {
        Duration patience = Duration.ofSeconds(20);
        return new HttpSettings(
                "127.0.0.1",
                0,
                100,
                1 << 20,
                64,
                10_000_000,
                10_000_000,
                requestTimeout,
                requestTimeout,
                patience,
                patience,
                HEARTBEAT);
    }

    public static EngineSettings engine(int maxRunning, int maxQueued, int maxBufferedEvents) {
        return new EngineSettings(
                maxRunning,
                maxQueued,
                512,
                Duration.ofSeconds(1),
                0,
                maxBufferedEvents,
                Duration.ofSeconds(60),
                Duration.ofSeconds(20));
    }

    public FakeAttentionWorker worker() {
        return worker;
    }

    public Coordinator coordinator() {
        return coordinator;
    }

    public int port() {
        return coordinator.port();
    }

    public Reply get(String path) throws Exception {
        return Reply.of(client.send(request(path).GET().build(), BodyHandlers.ofString()));
    }

    public Reply post(String path, String body) throws Exception {
        return post(path, body, "application/json");
    }

    public Reply post(String path, String body, String contentType) throws Exception {
        return Reply.of(client.send(postOf(path, body, contentType), BodyHandlers.ofString()));
    }

    /// A request with headers: name, value, name, value.
    public Reply exchange(String method, String path, String body, String... headers)
            throws Exception {
        return Reply.of(
                client.send(requestOf(method, path, body, headers), BodyHandlers.ofString()));
    }

    public CompletableFuture<Reply> exchangeAsync(
            String method, String path, String body, String... headers) {
        return client.sendAsync(requestOf(method, path, body, headers), BodyHandlers.ofString())
                .thenApply(Reply::of);
    }

    public CompletableFuture<Reply> postAsync(String path, String body) {
        return client.sendAsync(postOf(path, body, "application/json"), BodyHandlers.ofString())
                .thenApply(Reply::of);
    }

    /// Returns with the headers; the body can be read or closed.
    public HttpResponse<InputStream> postForStream(String path, String body) throws Exception {
        return client.send(postOf(path, body, "application/json"), BodyHandlers.ofInputStream());
    }

    /// The bytes of a request, for a test that needs the socket.
    public byte[] rawPost(String path, String body) {
        byte[] json = body.replace('\'', '"').getBytes(StandardCharsets.UTF_8);
        String head =
                "POST "
                        + path
                        + " HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                        + "Content-Length: "
                        + json.length
                        + "\r\n\r\n";
        return (head + new String(json, StandardCharsets.UTF_8)).getBytes(StandardCharsets.UTF_8);
    }

    /// Asks for readiness until the status is this one.
    public void awaitReadiness(int status) throws Exception {
        while (get("/health/ready").status() != status) {
            Thread.onSpinWait();
        }
    }

    @Override
    public void close() {
        worker.releaseAll();
        coordinator.close();
        client.close();
    }

    private HttpRequest requestOf(String method, String path, String body, String... headers) {
        HttpRequest.Builder request =
                request(path)
                        .header("content-type", "application/json")
                        .method(
                                method,
                                HttpRequest.BodyPublishers.ofString(body.replace('\'', '"')));
        for (int i = 0; i < headers.length; i += 2) {
            request.header(headers[i], headers[i + 1]);
        }
        return request.build();
    }

    private HttpRequest postOf(String path, String body, String contentType) {
        return request(path)
                .header("content-type", contentType)
                .POST(HttpRequest.BodyPublishers.ofString(body.replace('\'', '"')))
                .build();
    }

    private HttpRequest.Builder request(String path) {
        return HttpRequest.newBuilder(URI.create("http://127.0.0.1:" + port() + path))
                .timeout(Duration.ofSeconds(30));
    }

    /// What came back.
    public record Reply(int status, HttpResponse<?> response, String body) {
        static Reply of(HttpResponse<String> response) {
            return new Reply(response.statusCode(), response, response.body());
        }

        public String header(String name) {
            return response.headers().firstValue(name).orElse("none");
        }

        public JsonNode json() throws Exception {
            return JSON.readTree(body);
        }

        public String message() throws Exception {
            return json().path("error").path("message").asText();
        }

        /// The JSON of every server-sent event but `[DONE]`.
        public List<JsonNode> events() throws Exception {
            List<JsonNode> events = new ArrayList<>();
            for (String event : body.split("\n\n", -1)) {
                if (event.isEmpty() || event.startsWith(":") || event.equals("data: [DONE]")) {
                    continue;
                }
                if (!event.startsWith("data: ")) {
                    throw new AssertionError("not an event: " + event);
                }
                events.add(JSON.readTree(event.substring("data: ".length())));
            }
            return events;
        }
    }
}
