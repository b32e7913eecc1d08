package io.atoll.coordinator.http;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.atoll.coordinator.TestCoordinator;
import io.atoll.coordinator.TestCoordinator.Reply;
import io.atoll.coordinator.gate.GateSettings;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/// Web pages that use the API from a browser. Headers of a browser are set by hand: Java's client leaves Origin to its caller.
@Timeout(60)
final class CrossOriginTest {
    private static final String OURS = "https://chat.example.org";
    private static final String ALLOWED = "access-control-allow-origin";

    @Test
    void noPageMayUntilItsOriginIsSet() throws Exception {
        try (TestCoordinator coordinator = new TestCoordinator()) {
            Reply reply = coordinator.exchange("GET", "/v1/models", "", "origin", OURS);
            assertEquals(200, reply.status());
            assertEquals("none", reply.header(ALLOWED));
            assertEquals("none", preflight(coordinator, OURS).header(ALLOWED));
        }
    }

    @Test
    void exactOriginsMayAndOthersMayNot(@TempDir Path directory) throws Exception {
        Path none = Files.writeString(directory.resolve("keys.yaml"), "[]");
        GateSettings gate =
                new GateSettings(
                        Optional.of(none),
                        Optional.empty(),
                        List.of(OURS, "http://localhost:3000"),
                        true);
        try (TestCoordinator coordinator = new TestCoordinator(gate)) {
            for (String origin : gate.corsOrigins()) {
                Reply asked = preflight(coordinator, origin); // comes without a key
                assertEquals(200, asked.status(), asked.body());
                assertEquals(origin, asked.header(ALLOWED));
                assertEquals(
                        "authorization, content-type",
                        asked.header("access-control-allow-headers"));
                assertTrue(asked.header("access-control-allow-methods").contains("POST"));
                Reply refused = coordinator.exchange("GET", "/v1/models", "", "origin", origin);
                assertEquals(401, refused.status());
                assertEquals(origin, refused.header(ALLOWED), "the page may read the refusal");
            }
            for (String other :
                    List.of(
                            "https://chat.example.org.evil.org",
                            "http://chat.example.org",
                            "null")) {
                assertEquals("none", preflight(coordinator, other).header(ALLOWED));
                Reply reply = coordinator.exchange("GET", "/v1/models", "", "origin", other);
                assertEquals("none", reply.header(ALLOWED));
            }
        }
    }

    private static Reply preflight(TestCoordinator coordinator, String origin) throws Exception {
        return coordinator.exchange(
                "OPTIONS",
                "/v1/chat/completions",
                "",
                "origin",
                origin,
                "access-control-request-method",
                "POST",
                "access-control-request-headers",
                "authorization, content-type");
    }
}
