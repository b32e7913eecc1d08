package io.atoll.tests;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.atoll.cli.client.ApiClient;
import io.atoll.cli.client.ApiException;
import io.atoll.cli.process.AtollProcess;
import io.atoll.cluster.config.HostPort;
import java.io.IOException;
import java.net.ServerSocket;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// Processes that find each other: a worker without the model's files joins and is given experts, and the second of two coordinators
/// takes over.
class MembershipClusterTest {
    private static final Path MODEL = Path.of(System.getProperty("atoll.root"), "demo-model");
    private static final Duration START = Duration.ofSeconds(90);
    private static final long PATIENCE_NANOS = Duration.ofSeconds(60).toNanos();

    @TempDir private Path directory;
    private final List<AtollProcess> processes = new ArrayList<>();

    private AtollProcess start(String name, String... arguments) throws Exception {
        AtollProcess process =
                AtollProcess.start(name, directory.resolve(name + ".log"), List.of(arguments));
        processes.add(process);
        return process;
    }

    private static String answer(ApiClient client) throws Exception {
        ObjectNode request = ApiClient.object();
        request.put("model", "demo-model").put("max_tokens", 60).put("seed", 11);
        request.put("temperature", 0.9).put("ignore_eos", true);
        request.putArray("messages")
                .addObject()
                .put("role", "user")
                .put("content", "Tell me a story.");
        ApiClient.Answer answer = client.chat(request, ApiClient.Listener.SILENT);
        return answer.reasoning() + "|" + answer.content();
    }

    private static void awaitReady(ApiClient client) throws Exception {
        long end = System.nanoTime() + PATIENCE_NANOS;
        Optional<String> reason = client.notReady();
        while (reason.isPresent()) {
            assertTrue(System.nanoTime() < end, reason.get());
            TimeUnit.MILLISECONDS.sleep(10);
            reason = client.notReady();
        }
    }

    /// The status once it is settled with this many live workers.
    private static JsonNode awaitSettled(ApiClient client, int live) throws Exception {
        long end = System.nanoTime() + PATIENCE_NANOS;
        while (true) {
            JsonNode status = client.get("cluster/status");
            long now =
                    status.path("workers")
                            .valueStream()
                            .filter(worker -> worker.path("life").asText().equals("live"))
                            .count();
            if (now == live && status.path("settled").asBoolean()) {
                return status;
            }
            assertTrue(System.nanoTime() < end, status.toString());
            TimeUnit.MILLISECONDS.sleep(20);
        }
    }

    @Test
    void workerJoinsAndTheSecondCoordinatorTakesOver() throws Exception {
        Path config = config("cluster.yaml", MODEL);
        Path elsewhere = config("elsewhere.yaml", directory.resolve("no-model"));
        try {
            AtollProcess w1 = worker(config, "w1", 0, "*");
            AtollProcess c1 = coordinator(config, "c1");
            w1.awaitReady(START);
            HostPort firstAt = c1.awaitReady(START);
            AtollProcess c2 = coordinator(config, "c2");
            AtollProcess w2 = worker(elsewhere, "w2", freePort(), "none");
            HostPort secondAt = c2.awaitReady(START);
            w2.awaitReady(START);
            try (ApiClient first = new ApiClient(URI.create("http://" + firstAt));
                    ApiClient second = new ApiClient(URI.create("http://" + secondAt))) {
                joinAndTakeOver(first, second, c1);
            }
        } finally {
            processes.reversed().forEach(AtollProcess::close);
        }
    }

    private Path config(String name, Path model) throws IOException {
        return Files.writeString(
                directory.resolve(name),
                """
                cluster-id: join-test
                model: '%s'
                membership: {members: [127.0.0.1], port: 17841}
                """
                        .formatted(model));
    }

    private static int freePort() throws IOException {
        try (ServerSocket socket = new ServerSocket(0)) {
            return socket.getLocalPort();
        }
    }

    private AtollProcess worker(Path config, String name, int port, String experts)
            throws Exception {
        return start(
                name,
                "expert-worker",
                "--config=" + config,
                "--name=" + name,
                "--listen=127.0.0.1:" + port,
                "--label=rack=" + name,
                "--threads=1",
                "--experts=" + experts);
    }

    private AtollProcess coordinator(Path config, String name) throws Exception {
        return start(
                name,
                "coordinator",
                "--config=" + config,
                "--name=" + name,
                "--listen=127.0.0.1:0");
    }

    private static void joinAndTakeOver(ApiClient first, ApiClient second, AtollProcess leader)
            throws Exception {
        awaitReady(first);
        String expected = answer(first);
        JsonNode joined = awaitSettled(first, 2);
        assertEquals(0, joined.path("workers").get(1).path("experts").asInt());
        JsonNode nodes = first.get("cluster/nodes").path("nodes");
        assertEquals(4, nodes.size(), nodes.toString());
        assertEquals(
                List.of("c1"),
                nodes.valueStream()
                        .filter(node -> node.path("leads").asBoolean())
                        .map(node -> node.path("name").asText())
                        .toList());
        assertTrue(nodes.toString().contains("\"rack\":\"w2\""), nodes.toString());

        String refusal = second.notReady().orElseThrow();
        assertTrue(refusal.contains("stands by for coordinator c1"), refusal);
        ApiException refused = assertThrows(ApiException.class, () -> answer(second));
        assertTrue(refused.getMessage().contains("stands by"), refused.getMessage());

        first.post("cluster/rebalance", ApiClient.object());
        JsonNode balanced = awaitSettled(first, 2);
        int moved = balanced.path("workers").get(1).path("experts").asInt();
        assertTrue(moved > 50, balanced.toString());
        assertEquals(expected, answer(first));

        leader.kill();
        awaitReady(second);
        assertEquals(expected, answer(second));
        JsonNode taken = awaitSettled(second, 2);
        assertTrue(taken.path("epoch").asLong() > balanced.path("epoch").asLong());
        for (int i = 0; i < 2; i++) {
            assertEquals(
                    wanted(balanced, "w" + (i + 1)),
                    wanted(taken, "w" + (i + 1)),
                    "what should be held must outlive the coordinator");
        }
        assertFalse(wanted(taken, "w2").isEmpty());
    }

    private static String wanted(JsonNode status, String name) {
        return status.path("workers")
                .valueStream()
                .filter(worker -> worker.path("name").asText().equals(name))
                .map(worker -> worker.path("wanted").asText())
                .findFirst()
                .orElse("");
    }
}
