package io.atoll.coordinator;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.atoll.coordinator.engine.EngineSettings;
import io.atoll.coordinator.gate.GateSettings;
import io.atoll.coordinator.http.HttpSettings;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;

final class CoordinatorSettingsTest {
    @Test
    void defaultsAreThese() {
        CoordinatorSettings defaults = CoordinatorSettings.defaults();
        assertEquals(
                new CoordinatorSettings(
                        new HttpSettings(
                                "127.0.0.1",
                                8080,
                                1024, // connections
                                8 * 1024 * 1024, // bytes of a body
                                64, // nested JSON
                                262_144, // prompt tokens
                                32_768, // output tokens
                                Duration.ofMinutes(2), // queue
                                Duration.ofMinutes(10), // request
                                Duration.ofSeconds(30), // read a body
                                Duration.ofSeconds(30), // write to a client
                                Duration.ofSeconds(10)), // silence of a stream
                        new GateSettings(
                                Optional.empty(), // no API keys
                                Optional.empty(), // no TLS
                                List.of(), // no CORS
                                true), // access log
                        new EngineSettings(
                                64, // running
                                256, // queued beyond
                                512, // rows of a step
                                Duration.ofMillis(500), // decode delay
                                2048, // rows from checkpoint to checkpoint
                                1024, // buffered events
                                Duration.ofSeconds(60), // step
                                Duration.ofSeconds(30)), // drain
                        Optional.empty(), // no traces
                        Optional.empty()), // no workers to look after
                defaults);
    }
}
