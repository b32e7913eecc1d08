package io.atoll.tests;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.atoll.cli.Main;
import io.atoll.cli.client.ApiClient;
import io.atoll.cli.client.ApiException;
import io.atoll.cli.process.LocalCluster;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.function.Predicate;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.MethodOrderer;
import org.junit.jupiter.api.Order;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.TestMethodOrder;
import org.junit.jupiter.api.io.TempDir;

/// Experts change workers while a stream runs: no request fails and no token changes.
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
@TestMethodOrder(MethodOrderer.OrderAnnotation.class)
class LiveChangesTest {
    private static final Path MODEL =
            Path.of(System.getProperty("atoll.root")).resolve("demo-model");
    private static final List<String> THIRDS = List.of("1/3", "2/3", "3/3");
    private static final int TOKENS = 1000;

    @TempDir private static Path directory;
    private LocalCluster cluster;
    private ApiClient client;
    private String undisturbed;

    @BeforeAll
    void start() throws Exception {
        cluster =
                LocalCluster.start(
                        new LocalCluster.Plan(
                                MODEL,
                                THIRDS,
                                0,
                                "",
                                "  threads: 1\n  reconnect-grace: 60s\n  combine-deadline: 60s\n"),
                        directory);
        client = new ApiClient(cluster.url());
        undisturbed = Story.told(client, TOKENS, new CountDownLatch(1));
    }

    @AfterAll
    void stop() {
        client.close();
        cluster.close();
    }

    private CompletableFuture<String> story() throws InterruptedException {
        CountDownLatch started = new CountDownLatch(1);
        CompletableFuture<String> story =
                CompletableFuture.supplyAsync(() -> Story.told(client, TOKENS, started));
        assertTrue(started.await(60, TimeUnit.SECONDS), "no token came");
        return story;
    }

    private JsonNode worker(String name) throws Exception {
        for (JsonNode worker : client.get("cluster/status").path("workers")) {
            if (worker.path("name").asText().equals(name)) {
                return worker;
            }
        }
        throw new AssertionError("no worker " + name);
    }

    private void await(String what, Predicate<JsonNode> condition) throws Exception {
        long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(60);
        JsonNode status = client.get("cluster/status");
        while (!condition.test(status)) {
            assertTrue(System.nanoTime() < end, what + " did not happen: " + status);
            TimeUnit.MILLISECONDS.sleep(50);
            status = client.get("cluster/status");
        }
    }

    private void awaitSettled() throws Exception {
        await(
                "settling",
                status -> status.path("settled").asBoolean() && status.path("alarms").isEmpty());
    }

    private ObjectNode onWorker(String name) {
        return ApiClient.object().put("worker", name);
    }

    @Test
    void drainedWorkersAreRestartedOneAfterTheOtherUnderAStream() throws Exception {
        awaitSettled();
        for (int i = 0; i < 3; i++) {
            String name = "w" + (i + 1);
            String held = worker(name).path("held").asText();
            CompletableFuture<String> story = story();
            client.post("cluster/drain", onWorker(name));
            await(
                    "drain",
                    status ->
                            status.path("workers").findParents("name").stream()
                                    .anyMatch(
                                            each ->
                                                    each.path("name").asText().equals(name)
                                                            && each.path("experts").asInt() == 0));
            cluster.stopWorker(i);
            cluster.restartWorker(i, "none");
            client.post("cluster/undrain", onWorker(name));
            assertEquals(undisturbed, story.get(120, TimeUnit.SECONDS), name);
            awaitSettled();
            assertEquals(held, worker(name).path("held").asText());
        }
    }

    @Test
    void killedSoleHolderIsReplacedWhileTheStreamWaits() throws Exception {
        awaitSettled();
        CompletableFuture<String> story = story();
        cluster.killWorker(1);
        assertEquals(undisturbed, story.get(120, TimeUnit.SECONDS));
        await("replacement", status -> status.path("without_copy").asInt() == 0);
        cluster.restartWorker(1, THIRDS.get(1));
        awaitSettled();
        assertEquals(
                worker("w1").path("wanted").asText(),
                worker("w1").path("held").asText(),
                "what was loaded for w2 is released");
    }

    /// Afterwards every worker has replicas of all, so it comes last.
    @Test
    @Order(Integer.MAX_VALUE)
    void movesReplicasAndARebalanceChangeNoToken() throws Exception {
        awaitSettled();
        CompletableFuture<String> story = story();
        for (int round = 0; round < 2; round++) {
            move("0-7", "w1", "w2");
            awaitSettled();
            move("0-7", "w2", "w1");
            awaitSettled();
        }
        client.post("cluster/replicate", ApiClient.object().put("experts", "31").put("to", "w1"));
        awaitSettled();
        assertTrue(worker("w1").path("held").asText().endsWith("31"));
        JsonNode plan = client.post("cluster/rebalance", ApiClient.object().put("dry_run", true));
        assertTrue(plan.path("copies").asInt() > 0, "there is room for replicas: " + plan);
        client.post("cluster/rebalance", ApiClient.object().put("dry_run", false));
        awaitSettled();
        assertEquals(undisturbed, story.get(120, TimeUnit.SECONDS));
        assertEquals(undisturbed, Story.told(client, TOKENS, new CountDownLatch(1)));
    }

    private void move(String experts, String from, String to) throws Exception {
        client.post(
                "cluster/move",
                ApiClient.object().put("experts", experts).put("from", from).put("to", to));
    }

    @Test
    void whatCannotBeIsRefusedWithItsReason() throws Exception {
        awaitSettled();
        assertRefused(
                "no expert worker is named 'w9'; there are [w1, w2, w3]",
                () -> client.post("cluster/drain", onWorker("w9")));
        assertRefused("range 40 is not within 0-31", () -> move("40", "w1", "w2"));
        assertRefused("w2 should not hold 0-1", () -> move("0-1", "w2", "w3"));
        assertRefused("worker", () -> client.post("cluster/drain", ApiClient.object()));
    }

    private static void assertRefused(
            String reason, org.junit.jupiter.api.function.Executable call) {
        ApiException refusal = assertThrows(ApiException.class, call);
        assertEquals(400, refusal.status());
        assertTrue(refusal.getMessage().contains(reason), refusal.getMessage());
    }

    @Test
    void commandsSayWhatThereIs() throws Exception {
        awaitSettled();
        StringWriter errors = new StringWriter();
        var command = Main.commandLine();
        command.setErr(new PrintWriter(errors));
        assertEquals(0, command.execute("status", "--url", cluster.url().toString()));
        assertEquals(0, command.execute("events", "--url", cluster.url().toString()));
        assertEquals(0, command.execute("placement", "--url", cluster.url().toString()));
        assertEquals(1, command.execute("drain", "w9", "--url", cluster.url().toString()));
        assertTrue(errors.toString().contains("no expert worker is named 'w9'"), errors.toString());
    }
}
