package io.atoll.coordinator.http;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.atoll.attention.step.StepOutcome;
import io.atoll.coordinator.TestCoordinator;
import io.atoll.coordinator.TestCoordinator.Reply;
import io.atoll.coordinator.TestModel;
import io.atoll.proto.ErrorCode;
import io.atoll.proto.Failure;
import java.io.IOException;
import java.io.InputStream;
import java.net.http.HttpResponse;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/// Clients of every kind at a worker that stalls, fails and throws: each request has an end, and nothing is left behind.
final class EveryRequestEndsTest {
    private static final Duration REQUEST_TIMEOUT = Duration.ofSeconds(2);
    private static final int CLIENTS = 12;

    private final long seed = Long.getLong("seed", System.nanoTime());
    private final int requests = Boolean.getBoolean("slow") ? 200 : 10; // of each client
    private final TestCoordinator coordinator =
            new TestCoordinator(
                    TestModel.worker(4096),
                    TestCoordinator.http(REQUEST_TIMEOUT),
                    TestCoordinator.engine(4, 6, 64));
    private final Map<String, AtomicInteger> ends = new ConcurrentHashMap<>();

    @Test
    @Timeout(value = 10, unit = TimeUnit.MINUTES)
    void whateverHappens() throws Exception {
        AtomicBoolean over = new AtomicBoolean();
        try (ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor()) {
            Future<?> trouble = threads.submit(() -> makeTrouble(over));
            List<Future<?>> clients = new ArrayList<>();
            for (int i = 0; i < CLIENTS; i++) {
                Random random = new Random(seed * 31 + i);
                clients.add(
                        threads.submit(
                                () -> {
                                    for (int r = 0; r < requests; r++) {
                                        note(request(random));
                                    }
                                    return null;
                                }));
            }
            for (Future<?> client : clients) {
                client.get(); // fails if a request had no end in its time
            }
            over.set(true);
            trouble.get();
        }
        int noted = ends.values().stream().mapToInt(AtomicInteger::get).sum();
        assertEquals(CLIENTS * requests, noted, () -> ends + " -Dseed=" + seed);

        coordinator.worker().setUnavailable(Optional.empty());
        coordinator.worker().releaseAll();
        coordinator.awaitReadiness(200);
        while (coordinator.worker().hasOpenSequences()) {
            TimeUnit.MILLISECONDS.sleep(5);
        }
        // Failures that were set up and have met nobody yet.
        String last = ApiTest.HELLO + ", 'max_tokens': 3}";
        while (coordinator.post(ApiTest.CHAT, last).status() != 200) {
            TimeUnit.MILLISECONDS.sleep(1);
        }
        String metrics = coordinator.get("/metrics").body();
        for (String gauge : List.of("atoll_num_requests_running", "atoll_num_requests_waiting")) {
            assertTrue(metrics.contains(gauge + " "), metrics);
            assertEquals(0, value(metrics, gauge), () -> gauge + " -Dseed=" + seed);
        }
        coordinator.close();
        assertEquals(List.of(), coordinator.worker().complaints(), () -> "-Dseed=" + seed);
        assertTrue(!coordinator.worker().hasOpenSequences());
    }

    private static double value(String metrics, String name) {
        return metrics.lines()
                .filter(line -> line.startsWith(name + " ") || line.startsWith(name + "{"))
                .mapToDouble(line -> Double.parseDouble(line.substring(line.lastIndexOf(' ') + 1)))
                .sum();
    }

    private void note(String end) {
        ends.computeIfAbsent(end, _ -> new AtomicInteger()).incrementAndGet();
    }

    /// One request of one kind of client, and how it ended.
    private String request(Random random) throws Exception {
        int tokens = 1 + random.nextInt(300);
        String body =
                ApiTest.HELLO
                        + ", 'ignore_eos': true, 'max_tokens': "
                        + tokens
                        + ", 'n': "
                        + (1 + random.nextInt(2))
                        + ", 'priority': "
                        + random.nextInt(3);
        return switch (random.nextInt(4)) {
            case 0 -> "whole " + coordinator.post(ApiTest.CHAT, body + "}").status();
            case 1 -> {
                CompletableFuture<Reply> reply = coordinator.postAsync(ApiTest.CHAT, body + "}");
                TimeUnit.MILLISECONDS.sleep(random.nextInt(40));
                yield reply.cancel(true) ? "cancelled" : "whole " + reply.get().status();
            }
            case 2 -> stream(body, Integer.MAX_VALUE, random.nextInt(4));
            default -> stream(body, 1 + random.nextInt(2000), 0);
        };
    }

    /// Reads a stream, perhaps slowly, perhaps not to its end.
    private String stream(String body, int most, int pauseMillis) throws Exception {
        HttpResponse<InputStream> response =
                coordinator.postForStream(ApiTest.CHAT, body + ", 'stream': true}");
        StringBuilder read = new StringBuilder();
        byte[] piece = new byte[512];
        try (InputStream in = response.body()) {
            for (int n = in.read(piece); n >= 0; n = in.read(piece)) {
                for (int i = 0; i < n; i++) {
                    read.append((char) piece[i]);
                }
                if (read.length() > most) {
                    return "left";
                }
                TimeUnit.MILLISECONDS.sleep(pauseMillis);
            }
        } catch (IOException e) {
            return "cut";
        }
        if (response.statusCode() != 200) {
            return "stream " + response.statusCode();
        }
        String all = read.toString();
        boolean done = all.endsWith("data: [DONE]\n\n");
        assertTrue(done || all.contains("\"error\""), () -> "no end: " + all + " -Dseed=" + seed);
        return done ? "stream complete" : "stream failed";
    }

    private void makeTrouble(AtomicBoolean over) {
        Random random = new Random(seed);
        try {
            while (!over.get()) {
                switch (random.nextInt(20)) {
                    case 0 -> {
                        coordinator.worker().hold();
                        TimeUnit.MILLISECONDS.sleep(random.nextInt(150));
                        coordinator.worker().releaseAll();
                    }
                    case 1 ->
                            coordinator
                                    .worker()
                                    .forceNext(
                                            new StepOutcome.Failed(
                                                    new Failure(
                                                            ErrorCode.NO_LIVE_REPLICA,
                                                            "a worker was lost")));
                    case 2 -> coordinator.worker().throwNext(new IllegalStateException("a bug"));
                    case 3 -> {
                        coordinator
                                .worker()
                                .setUnavailable(
                                        Optional.of(
                                                new Failure(ErrorCode.NO_LIVE_REPLICA, "gone")));
                        TimeUnit.MILLISECONDS.sleep(random.nextInt(30));
                        coordinator.worker().setUnavailable(Optional.empty());
                    }
                    default -> {}
                }
                TimeUnit.MILLISECONDS.sleep(random.nextInt(60));
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }
}
