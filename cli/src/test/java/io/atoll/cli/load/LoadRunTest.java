package io.atoll.cli.load;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import io.atoll.cli.client.ApiClient;
import java.io.IOException;
import java.io.StringReader;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.LockSupport;
import java.util.function.Predicate;
import javax.xml.parsers.DocumentBuilderFactory;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.xml.sax.InputSource;

/// A load against a server of this test's own, which knows what it was asked and how it answered.
class LoadRunTest {
    private static final int SESSIONS = 9;
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final String CALL =
            """
            {"choices":[{"delta":{"tool_calls":[{"index":0,"id":"c1","type":"function",\
            "function":{"name":"read_file","arguments":""}}]}}]}\
            """;
    private static final String ARGUMENTS =
            """
            {"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{}"}}]},\
            "finish_reason":"tool_calls"}]}\
            """;

    private final ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor();
    private final List<JsonNode> asked = Collections.synchronizedList(new ArrayList<>());
    private final AtomicInteger failures = new AtomicInteger();
    private final CountDownLatch hanging = new CountDownLatch(1);
    private final CountDownLatch release = new CountDownLatch(1);
    private HttpServer server;
    private volatile Behaviour behaviour = Behaviour.ANSWER;

    private enum Behaviour {
        ANSWER,
        EVERY_THIRD_FAILS,
        BREAK_OFF,
        HANG
    }

    @BeforeEach
    void start() throws IOException {
        server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
        server.setExecutor(threads);
        server.createContext("/v1/chat/completions", this::chat);
        server.start();
    }

    @AfterEach
    void stop() {
        release.countDown();
        server.stop(0);
        threads.shutdownNow();
    }

    private void chat(HttpExchange exchange) throws IOException {
        JsonNode request = JSON.readTree(exchange.getRequestBody());
        asked.add(request);
        if (behaviour == Behaviour.EVERY_THIRD_FAILS && asked.size() % 3 == 0) {
            failures.incrementAndGet();
            byte[] body =
                    "{\"error\":{\"code\":\"overloaded\",\"message\":\"later\"}}"
                            .getBytes(StandardCharsets.UTF_8);
            exchange.sendResponseHeaders(429, body.length);
            exchange.getResponseBody().write(body);
            exchange.close();
            return;
        }
        exchange.sendResponseHeaders(200, 0);
        if (behaviour == Behaviour.HANG) {
            send(exchange, "{\"choices\":[{\"delta\":{\"content\":\"a\"}}]}");
            hanging.countDown();
            try {
                release.await();
            } catch (InterruptedException _) {
                Thread.currentThread().interrupt();
            }
        } else if (behaviour == Behaviour.BREAK_OFF) {
            send(exchange, "{\"choices\":[{\"delta\":{\"content\":\"a\"}}]}");
        } else {
            send(exchange, "{\"choices\":[{\"delta\":{\"reasoning_content\":\"so\"}}]}");
            send(exchange, CALL);
            send(exchange, ARGUMENTS);
            send(
                    exchange,
                    "{\"choices\":[],\"usage\":{\"prompt_tokens\":100,\"completion_tokens\":5,"
                            + "\"prompt_tokens_details\":{\"cached_tokens\":25}}}");
            send(exchange, "[DONE]");
        }
        exchange.close();
    }

    private static void send(HttpExchange exchange, String event) throws IOException {
        exchange.getResponseBody()
                .write(("data: " + event + "\n\n").getBytes(StandardCharsets.UTF_8));
        exchange.getResponseBody().flush();
    }

    private static LoadSettings settings(OptionalDouble rate, int sessions, Duration timeout) {
        return new LoadSettings(
                "m<1>",
                3,
                rate,
                2,
                sessions,
                Duration.ofHours(1),
                3,
                Duration.ofMillis(5),
                20,
                10,
                8,
                false,
                timeout,
                new LoadSettings.Slo(Optional.of(Duration.ofHours(1)), Optional.empty()),
                7);
    }

    private LoadResult load(LoadSettings settings) throws InterruptedException {
        try (ApiClient client = client()) {
            return new LoadRun(settings, client).run();
        }
    }

    private ApiClient client() {
        return new ApiClient(
                URI.create("http://127.0.0.1:" + server.getAddress().getPort() + "/v1"));
    }

    private static LoadSettings closed() {
        return settings(OptionalDouble.empty(), SESSIONS, Duration.ofHours(1));
    }

    @Test
    void everyRequestIsInTheResult() throws Exception {
        LoadResult result = load(closed());
        int n = asked.size();
        assertEquals(SESSIONS * 3, n, "sessions of three turns");
        assertEquals(SESSIONS, result.sessions());
        assertEquals(n, result.requests().size());
        assertEquals(n, result.outcomes().get("ok"));
        JsonNode json = JSON.readTree(result.toJson());
        assertEquals(100L * n, json.path("prompt_tokens").asLong());
        assertEquals(0.25, json.path("cached_share").asDouble());
        assertEquals(5L * n, json.path("completion_tokens").asLong());
        assertEquals(n, json.path("good_requests").asInt());
        assertTrue(result.requests().stream().allMatch(r -> r.gapNanos().length == 2));
        assertTrue(
                result.requests().stream()
                        .allMatch(r -> r.firstNanos() >= 0 && r.firstNanos() <= r.totalNanos()));
    }

    @Test
    void sessionsGrowAndAnswerTheModelsCalls() throws Exception {
        load(closed());
        List<JsonNode> third = asked.stream().filter(r -> r.path("messages").size() == 6).toList();
        assertEquals(SESSIONS, third.size());
        JsonNode messages = third.getFirst().path("messages");
        assertEquals("system", messages.path(0).path("role").asText());
        assertEquals("user", messages.path(1).path("role").asText());
        assertEquals("so", messages.path(2).path("reasoning_content").asText());
        assertEquals("c1", messages.path(2).path("tool_calls").path(0).path("id").asText());
        assertEquals("{}", messages.at("/2/tool_calls/0/function/arguments").asText());
        assertEquals("tool", messages.path(3).path("role").asText());
        assertEquals("c1", messages.path(3).path("tool_call_id").asText());
        for (JsonNode request : asked) {
            assertEquals(messages.path(0), request.at("/messages/0"), "the system prompt differs");
            assertTrue(request.path("messages").size() <= 6, "more turns than were asked for");
        }
    }

    @Test
    void aSeedAsksTheSame() throws Exception {
        load(closed());
        List<JsonNode> first = firstTurns();
        asked.clear();
        load(closed());
        List<JsonNode> second = firstTurns();
        assertEquals(SESSIONS, new HashSet<>(first).size(), "sessions of their own");
        assertEquals(new HashSet<>(first), new HashSet<>(second));
    }

    private List<JsonNode> firstTurns() {
        return asked.stream().filter(r -> r.path("messages").size() == 2).toList();
    }

    @Test
    void refusedRequestsAreCountedByKind() throws Exception {
        behaviour = Behaviour.EVERY_THIRD_FAILS;
        LoadResult result = load(closed());
        assertEquals(asked.size(), result.requests().size());
        assertEquals(failures.get(), result.outcomes().getOrDefault("429 overloaded", 0));
        assertEquals(asked.size() - failures.get(), result.outcomes().getOrDefault("ok", 0));
        assertEquals(asked.size() - failures.get(), result.good());
    }

    @Test
    void brokenStreamsAreNotAnswers() throws Exception {
        behaviour = Behaviour.BREAK_OFF;
        LoadResult result = load(closed());
        assertEquals(asked.size(), result.requests().size());
        assertEquals(asked.size(), result.outcomes().get("stream ended early"));
        assertTrue(result.toText().contains("stream ended early"), result.toText());
    }

    @Test
    void aServerThatHangsEndsInTimeouts() throws Exception {
        behaviour = Behaviour.HANG;
        LoadResult result = load(settings(OptionalDouble.empty(), 3, Duration.ofMillis(100)));
        assertEquals(3, result.requests().size());
        assertEquals(asked.size(), result.requests().size());
        assertEquals(asked.size(), result.outcomes().get("timeout"));
    }

    @Test
    void stoppingCutsWhatRunsAndReportsIt() throws Exception {
        behaviour = Behaviour.HANG;
        LoadResult result = loadUntil(closed(), _ -> hanging.getCount() == 0);
        assertTrue(result.stopped());
        assertFalse(result.requests().isEmpty());
        assertEquals(result.requests().size(), result.outcomes().get("stopped"));
    }

    @Test
    void theOpenLoopCountsArrivalsItDoesNotStart() throws Exception {
        behaviour = Behaviour.HANG;
        LoadSettings settings = settings(OptionalDouble.of(200), SESSIONS, Duration.ofHours(1));
        LoadResult result =
                loadUntil(settings, p -> p.notStarted() >= 5 && hanging.getCount() == 0);
        assertEquals(2, result.sessions(), "as many as may be open");
        assertTrue(result.sessionsNotStarted() >= 5);
        assertEquals(result.requests().size(), result.outcomes().get("stopped"));
    }

    @Test
    void theOpenLoopRunsEverySession() throws Exception {
        LoadResult result = load(settings(OptionalDouble.of(100), SESSIONS, Duration.ofHours(1)));
        assertEquals(SESSIONS, result.sessions());
        assertEquals(SESSIONS * 3, result.outcomes().get("ok"));
    }

    private LoadResult loadUntil(LoadSettings settings, Predicate<LoadRun.Progress> enough)
            throws InterruptedException {
        try (ApiClient client = client()) {
            LoadRun run = new LoadRun(settings, client);
            Thread stopper =
                    Thread.startVirtualThread(
                            () -> {
                                while (!enough.test(run.progress())) {
                                    LockSupport.parkNanos(1_000_000);
                                }
                                run.stop();
                            });
            LoadResult result = run.run();
            stopper.join();
            return result;
        }
    }

    @Test
    void theReportIsOnePage() throws Exception {
        behaviour = Behaviour.EVERY_THIRD_FAILS;
        String page = HtmlReport.of(load(closed()));
        assertTrue(page.contains("<h1>m&lt;1&gt;</h1>"));
        assertFalse(page.contains("http:") || page.contains("https:") || page.contains("<script"));
        int plots = 0;
        for (int at = page.indexOf("<svg"); at >= 0; at = page.indexOf("<svg", at + 1)) {
            String svg = page.substring(at, page.indexOf("</svg>", at) + "</svg>".length());
            DocumentBuilderFactory.newInstance()
                    .newDocumentBuilder()
                    .parse(new InputSource(new StringReader(svg)));
            assertFalse(svg.contains("NaN"), svg);
            plots++;
        }
        assertEquals(6, plots);
    }

    @Test
    void aLoadWithoutAnyAnswerStillHasAReport() throws Exception {
        behaviour = Behaviour.BREAK_OFF;
        LoadResult result = load(closed());
        assertFalse(HtmlReport.of(result).contains("NaN"));
        assertTrue(JSON.readTree(result.toJson()).at("/end_to_end_ms/p50").isNull());
    }
}
