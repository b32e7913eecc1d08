package io.atoll.coordinator.http;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.atoll.cluster.config.ApiKeysFile;
import io.atoll.coordinator.TestCoordinator;
import io.atoll.coordinator.TestCoordinator.Reply;
import io.atoll.coordinator.TestModel;
import io.atoll.coordinator.gate.GateSettings;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/// The API with keys in front of it.
@Timeout(60)
final class KeyGateTest {
    private static final String CHAT = "/v1/chat/completions";
    private static final String HELLO =
            "{'messages': [{'role': 'user', 'content': 'Hello'}], 'max_tokens': 3}";

    @TempDir private Path directory;
    private Path file;
    private TestCoordinator coordinator;

    @BeforeEach
    void keys() throws Exception {
        file = directory.resolve("keys.yaml");
        write(
                key("alice", "scopes: [generate]"),
                key("batch", "priority: 10"),
                key("boss", "scopes: [admin]"),
                key("meter", "scopes: [metrics]"),
                key("slow", "requests-per-minute: 2"),
                key("narrow", "max-concurrent: 1"));
        coordinator =
                new TestCoordinator(
                        TestModel.worker(),
                        TestCoordinator.http(Duration.ofMinutes(1)),
                        new GateSettings(Optional.of(file), Optional.empty(), List.of(), true),
                        TestCoordinator.engine(1, 8, 1024));
    }

    @AfterEach
    void close() {
        coordinator.close();
        assertEquals(List.of(), coordinator.worker().complaints());
    }

    @ParameterizedTest
    @CsvSource({
        "POST, /v1/chat/completions",
        "POST, /v1/completions",
        "GET, /v1/models",
        "GET, /v1/models/x",
        "GET, /cluster/workers",
        "GET, /cluster%2Fworkers",
        "GET, /metrics",
        "GET, //metrics",
        "GET, /nothing/here",
        "OPTIONS, /v1/chat/completions",
    })
    void nothingButHealthIsThereWithoutAKey(String method, String path) throws Exception {
        Reply none = coordinator.exchange(method, path, HELLO);
        assertEquals(401, none.status(), none.body());
        assertEquals("Bearer", none.header("www-authenticate"));
        assertEquals("none", none.header("retry-after"));
        assertEquals("invalid_api_key", none.json().path("error").path("code").asText());
        assertEquals("invalid_request_error", none.json().path("error").path("type").asText());
        Reply wrong = coordinator.exchange(method, path, HELLO, "authorization", "Bearer alice");
        assertEquals(401, wrong.status(), wrong.body());
        assertEquals(0, coordinator.worker().steps());
    }

    @Test
    void healthIsOpen() throws Exception {
        assertEquals(200, coordinator.get("/health/live").status());
        coordinator.awaitReadiness(200);
    }

    @Test
    void keysAreTakenAsOpenAisAndAnthropicsClientsSendThem() throws Exception {
        String key = "secret-alice";
        for (String[] header :
                List.of(
                        new String[] {"authorization", "Bearer " + key},
                        new String[] {"authorization", "bearer  " + key},
                        new String[] {"x-api-key", key})) {
            assertEquals(200, coordinator.exchange("POST", CHAT, HELLO, header).status());
        }
        for (String[] header :
                List.of(
                        new String[] {"authorization", key},
                        new String[] {"authorization", "Basic " + key},
                        new String[] {"x-api-key", "Bearer " + key},
                        new String[] {"x-api-key", ""},
                        new String[] {"x-api-key", "x".repeat(4000)})) {
            assertEquals(401, coordinator.exchange("POST", CHAT, HELLO, header).status());
        }
    }

    @ParameterizedTest
    @CsvSource({
        "alice, /v1/models, 200",
        "alice, /metrics, 403",
        "alice, /cluster/workers, 403",
        "alice, /nothing, 404",
        "meter, /v1/models, 403",
        "meter, /metrics, 200",
        "meter, /cluster/workers, 403",
        "boss, /v1/models, 403",
        "boss, /metrics, 200",
        "boss, /cluster/workers, 200",
        "boss, /nothing, 403",
    })
    void aKeyIsGoodForItsScopesAlone(String name, String path, int status) throws Exception {
        Reply reply = coordinator.exchange("GET", path, "", "x-api-key", "secret-" + name);
        assertEquals(status, reply.status(), reply.body());
        if (status == 403) {
            assertEquals("missing_scope", reply.json().path("error").path("code").asText());
            assertTrue(reply.message().contains("'" + name + "' lacks the scope"), reply.body());
        }
    }

    @Test
    void oneRequestTooManyInAMinuteIsToldWhenToComeBack() throws Exception {
        assertEquals(200, as("slow").status());
        assertEquals(200, as("slow").status());
        Reply third = as("slow");
        assertEquals(429, third.status());
        assertEquals("rate_limit_exceeded", third.json().path("error").path("code").asText());
        int seconds = Integer.parseInt(third.header("retry-after"));
        assertTrue(seconds >= 1 && seconds <= 60, "retry-after " + seconds);
        assertTrue(third.message().contains("2 requests in a minute"), third.body());
        assertEquals(200, as("alice").status()); // a limit is a key's own
    }

    @Test
    void oneRequestTooManyAtOnceIsRefusedUntilTheFirstIsOver() throws Exception {
        coordinator.worker().hold();
        CompletableFuture<Reply> first =
                coordinator.exchangeAsync("POST", CHAT, HELLO, "x-api-key", "secret-narrow");
        coordinator.worker().awaitStep();
        Reply second = as("narrow");
        assertEquals(429, second.status());
        assertEquals("1", second.header("retry-after"));
        assertTrue(second.message().contains("1 requests under way"), second.body());
        coordinator.worker().releaseAll();
        assertEquals(200, first.get().status());
        assertEquals(200, awaitAdmission("narrow").status());
    }

    @Test
    void refusedAndBrokenRequestsGiveTheirPlaceBack() throws Exception {
        for (int i = 0; i < 3; i++) {
            // The answer can reach the client a moment before its place is free.
            Reply bad = awaitAdmission("narrow", "{'messages': 1}");
            assertEquals(400, bad.status(), bad.body());
        }
        assertEquals(200, awaitAdmission("narrow").status());
    }

    @Test
    void aClientCanMakeItselfLessUrgentThanItsKeyButNotMore() throws Exception {
        coordinator.worker().hold();
        coordinator.worker().script(TestModel.answer("one two three"));
        CompletableFuture<Reply> batch =
                coordinator.exchangeAsync(
                        "POST",
                        CHAT,
                        "{'messages': [{'role': 'user', 'content': 'Hi'}], 'priority': -50}",
                        "x-api-key",
                        "secret-batch");
        long first = coordinator.worker().awaitOpened();
        coordinator.worker().awaitStep();
        CompletableFuture<Reply> alice =
                coordinator.exchangeAsync("POST", CHAT, HELLO, "x-api-key", "secret-alice");
        while (!metrics().contains("\natoll_num_requests_waiting 1.0\n")) {
            Thread.onSpinWait();
        }
        coordinator.worker().release(1);
        long set = coordinator.worker().awaitClosed();
        assertEquals(first, set, "the one of the less urgent key is set aside");
        coordinator.worker().releaseAll();
        assertEquals(200, alice.get().status());
        assertEquals(200, batch.get().status());
        assertTrue(metrics().contains("\natoll_preemptions_total 1.0\n"), metrics());
    }

    @Test
    void aChangedFileHoldsAtOnceAndABrokenOneChangesNothing() throws Exception {
        assertEquals(200, as("alice").status());
        assertEquals(401, as("bob").status());
        write(key("bob", "max-concurrent: 4"));
        coordinator.coordinator().checkFiles();
        assertEquals(200, as("bob").status());
        assertEquals(401, as("alice").status());
        Files.writeString(file, "- name: [");
        coordinator.coordinator().checkFiles();
        assertEquals(200, as("bob").status());
        Files.delete(file);
        coordinator.coordinator().checkFiles();
        assertEquals(200, as("bob").status());
        assertEquals(401, as("alice").status());
    }

    @Test
    void aNewFileDoesNotForgetWhatAKeyHasUsed() throws Exception {
        assertEquals(200, as("slow").status());
        assertEquals(200, as("slow").status());
        write(key("slow", "requests-per-minute: 3"));
        coordinator.coordinator().checkFiles();
        assertEquals(200, as("slow").status());
        assertEquals(429, as("slow").status());
    }

    @Test
    void refusalsAreCounted() throws Exception {
        coordinator.get("/v1/models");
        as("meter");
        String metrics = metrics();
        assertTrue(
                metrics.contains("atoll_requests_refused_total{code=\"invalid_api_key\"} 1.0"),
                metrics);
        assertTrue(
                metrics.contains("atoll_requests_refused_total{code=\"missing_scope\"} 1.0"),
                metrics);
    }

    private Reply as(String name) throws Exception {
        return coordinator.exchange("POST", CHAT, HELLO, "x-api-key", "secret-" + name);
    }

    private Reply awaitAdmission(String name) throws Exception {
        return awaitAdmission(name, HELLO);
    }

    private Reply awaitAdmission(String name, String body) throws Exception {
        while (true) {
            Reply reply = coordinator.exchange("POST", CHAT, body, "x-api-key", "secret-" + name);
            if (reply.status() != 429) {
                return reply;
            }
        }
    }

    private String metrics() throws Exception {
        return coordinator.exchange("GET", "/metrics", "", "x-api-key", "secret-boss").body();
    }

    private void write(String... keys) throws Exception {
        Files.writeString(file, String.join("", keys));
    }

    /// The key's characters are `secret-NAME`.
    private static String key(String name, String more) {
        String hash = ApiKeysFile.hash("secret-" + name);
        return "- {name: " + name + ", sha256: " + hash + ", " + more + "}\n";
    }
}
