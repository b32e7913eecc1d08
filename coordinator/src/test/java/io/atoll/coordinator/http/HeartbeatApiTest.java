package io.atoll.coordinator.http;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/// A stream that has begun is never silent for long.
@Timeout(60)
final class HeartbeatApiTest extends ApiTest {
    @ParameterizedTest
    @ValueSource(ints = {1, 3})
    void silentStreamGetsComments(int choices) throws Exception {
        coordinator.worker().hold();
        for (int i = 0; i < choices; i++) {
            say("Hi.");
        }
        String body = HELLO + ", 'stream': true, 'n': " + choices + "}";
        HttpRequest request =
                HttpRequest.newBuilder(
                                URI.create(
                                        "http://127.0.0.1:"
                                                + coordinator.coordinator().port()
                                                + CHAT))
                        .header("Content-Type", "application/json")
                        .POST(HttpRequest.BodyPublishers.ofString(body.replace('\'', '"')))
                        .build();
        int comments = 0;
        List<String> data = new ArrayList<>();
        try (HttpClient client = HttpClient.newHttpClient();
                Stream<String> lines =
                        client.send(request, HttpResponse.BodyHandlers.ofLines()).body()) {
            for (String line : (Iterable<String>) lines::iterator) {
                if (line.startsWith(":")) {
                    comments++;
                    if (comments == 2) {
                        coordinator.worker().releaseAll();
                    }
                } else if (!line.isEmpty()) {
                    data.add(line);
                }
            }
        }
        assertTrue(comments >= 2, "comments: " + comments);
        assertEquals("data: [DONE]", data.getLast());
        assertEquals(
                choices,
                data.stream().filter(line -> line.contains("\"finish_reason\":\"stop\"")).count());
    }
}
