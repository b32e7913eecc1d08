package io.atoll.coordinator.http;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.atoll.cluster.config.ApiKeysFile;
import io.atoll.coordinator.LogLines;
import io.atoll.coordinator.TestCoordinator;
import io.atoll.coordinator.TestModel;
import io.atoll.coordinator.gate.GateSettings;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

@Timeout(60)
final class AccessLogTest {
    private static final String CHAT = "/v1/chat/completions";
    private static final String PROMPT =
            "{'messages': [{'role': 'user', 'content': 'zebra'}], 'max_tokens': 3";

    @Test
    void aLineSaysWhoWhatHowLongAndHowManyTokens(@TempDir Path directory) throws Exception {
        Path file = directory.resolve("keys.yaml");
        Files.writeString(
                file, "- {name: alice, sha256: " + ApiKeysFile.hash("secret-giraffe") + "}");
        GateSettings gate = new GateSettings(Optional.of(file), Optional.empty(), List.of(), true);
        try (LogLines log = new LogLines("atoll.access");
                TestCoordinator coordinator = new TestCoordinator(gate)) {
            coordinator.worker().script(TestModel.tokens("lion lion lion lion"));
            coordinator.exchange(
                    "POST", CHAT + "?q=okapi", PROMPT + "}", "x-api-key", "secret-giraffe");
            String line = log.next();
            assertTrue(
                    line.matches(
                            "key=alice POST /v1/chat/completions status=200 ms=\\d+\\.\\d"
                                    + " prompt=\\d+ cached=0 output=3 finish=length"),
                    line);
            coordinator.get("/health/live");
            coordinator.exchange("GET", "/v1/models", "", "x-api-key", "secret-rhino");
            String refused = log.next();
            assertTrue(
                    refused.matches(
                            "key=- GET /v1/models status=401 ms=\\d+\\.\\d prompt=0 cached=0"
                                    + " output=0 finish=-"),
                    refused);
            for (String secret : List.of("zebra", "lion", "okapi", "giraffe", "rhino")) {
                assertFalse((line + refused).contains(secret), line + refused);
            }
        }
    }

    @Test
    void aClientThatLeavesHasALine() throws Exception {
        try (LogLines log = new LogLines("atoll.access");
                TestCoordinator coordinator = new TestCoordinator()) {
            coordinator.worker().hold();
            try (InputStream body =
                    coordinator.postForStream(CHAT, PROMPT + ", 'stream': true}").body()) {
                coordinator.worker().awaitStep();
                assertTrue(body.read() >= 0);
            }
            String line = log.next();
            assertTrue(line.endsWith(" output=0 finish=cancelled"), line);
        }
    }

    @Test
    void itCanBeTurnedOff() throws Exception {
        GateSettings gate = new GateSettings(Optional.empty(), Optional.empty(), List.of(), false);
        LogLines log = new LogLines("atoll.access");
        try (log;
                TestCoordinator coordinator = new TestCoordinator(gate)) {
            assertEquals(200, coordinator.get("/v1/models").status());
        } // closed, so what was to be logged is
        assertEquals(List.of(), log.soFar());
    }
}
