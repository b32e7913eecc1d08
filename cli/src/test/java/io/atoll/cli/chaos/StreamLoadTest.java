package io.atoll.cli.chaos;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import io.atoll.cli.client.ApiClient;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/// The judge of the chaos script sees what it is there to see.
class StreamLoadTest {
    private static final Duration PATIENCE = Duration.ofSeconds(30);
    private static final int UNDISTURBED = 4;

    private final AtomicInteger requests = new AtomicInteger();
    private final List<String> complaints = new CopyOnWriteArrayList<>();
    private volatile String laterAnswers = "right";
    private volatile int laterStatus = 200;
    private HttpServer server;
    private ApiClient client;
    private StreamLoad load;

    @BeforeEach
    void start() throws Exception {
        server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
        server.createContext("/v1/chat/completions", this::answer);
        server.start();
        client = new ApiClient(URI.create("http://127.0.0.1:" + server.getAddress().getPort()));
        load = new StreamLoad(client, "m", 2, 1, complaints::add);
    }

    @AfterEach
    void stop() {
        client.close();
        server.stop(0);
    }

    private void answer(HttpExchange exchange) throws IOException {
        boolean first = requests.incrementAndGet() <= UNDISTURBED;
        String text = first ? "right" : laterAnswers;
        byte[] body =
                ("data: {\"choices\": [{\"delta\": {\"content\": \""
                                + text
                                + "\"}}], \"usage\": {\"completion_tokens\": 3}}\n\n"
                                + "data: [DONE]\n\n")
                        .getBytes(StandardCharsets.UTF_8);
        exchange.sendResponseHeaders(first ? 200 : laterStatus, body.length);
        exchange.getResponseBody().write(body);
        exchange.close();
    }

    private StreamLoad.Totals run() throws Exception {
        assertEquals(3 * UNDISTURBED, load.ask());
        load.start();
        while (load.totals().sent() < 10) {
            Thread.sleep(1);
        }
        assertTrue(load.finish(PATIENCE));
        return load.totals();
    }

    @Test
    void answersThatStayTheSameAreFlawless() throws Exception {
        StreamLoad.Totals totals = run();
        assertTrue(totals.isFlawless(), totals::toString);
        assertEquals(totals.sent(), totals.answered());
        assertEquals(List.of(), complaints);
        assertTrue(load.longestGap().isPositive());
    }

    @Test
    void anAnswerThatChangesIsSeen() throws Exception {
        laterAnswers = "wrong";
        StreamLoad.Totals totals = run();
        assertFalse(totals.isFlawless());
        assertEquals(totals.sent(), totals.changed());
        assertEquals(totals.sent(), totals.answered());
        assertTrue(complaints.getFirst().startsWith("changed: "), complaints::toString);
    }

    @Test
    void aRequestThatFailsIsSeen() throws Exception {
        laterStatus = 503;
        StreamLoad.Totals totals = run();
        assertFalse(totals.isFlawless());
        assertEquals(totals.sent(), totals.failed());
        assertEquals(0, totals.answered());
    }
}
