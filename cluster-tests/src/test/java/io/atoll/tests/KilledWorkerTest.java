package io.atoll.tests;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.atoll.cli.client.ApiClient;
import io.atoll.cli.client.ApiException;
import io.atoll.cli.process.LocalCluster;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.io.TempDir;

/// A cluster of processes whose worker dies by `kill -9`. Each test leaves the cluster whole.
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
class KilledWorkerTest {
    private static final Path MODEL = Path.of(System.getProperty("atoll.root"), "demo-model");
    private static final String SECOND_HALF = "2/2";

    /// Tokens enough for a fault to fall among them.
    private static final int LONG_STORY = 800;

    @TempDir private static Path directory;
    private LocalCluster cluster;
    private ApiClient client;

    @BeforeAll
    void start() throws Exception {
        cluster =
                LocalCluster.start(
                        new LocalCluster.Plan(
                                MODEL,
                                List.of("1/2", SECOND_HALF),
                                0,
                                "  request-timeout: 60s\n",
                                "  threads: 1\n  reconnect-grace: 1s\n"),
                        directory);
        client = new ApiClient(cluster.url());
    }

    @AfterAll
    void stop() {
        client.close();
        cluster.close();
    }

    @Test
    void streamOfAKilledWorkerEndsWithATypedErrorAndTheClusterServesAgain() throws Exception {
        String before = ask(200, new CountDownLatch(1)).content();
        CountDownLatch started = new CountDownLatch(1);
        CompletableFuture<ApiClient.Answer> answer =
                CompletableFuture.supplyAsync(() -> unchecked(6000, started));
        assertTrue(started.await(30, TimeUnit.SECONDS), "no token came");

        // Nobody may take its experts over.
        client.post("cluster/cordon", ApiClient.object().put("worker", "w1"));
        cluster.killWorker(1);

        Throwable failure =
                assertThrows(ExecutionException.class, () -> answer.get(20, TimeUnit.SECONDS))
                        .getCause()
                        .getCause();
        ApiException error = (ApiException) failure;
        assertEquals("no_live_replica", error.code(), error.getMessage());
        assertTrue(error.getMessage().contains("w2"), error.getMessage());

        ApiException refused =
                assertThrows(ApiException.class, () -> ask(10, new CountDownLatch(1)));
        assertEquals(503, refused.status(), refused.getMessage());
        assertEquals("no_live_replica", refused.code());
        assertFalse(client.notReady().isEmpty());

        cluster.restartWorker(1, SECOND_HALF);
        cluster.awaitServing(Duration.ofSeconds(30));
        assertEquals(before, ask(200, new CountDownLatch(1)).content());
    }

    @Test
    void workerThatIsBackWithinTheGraceCostsAPauseAndNoToken() throws Exception {
        LocalCluster patient =
                LocalCluster.start(
                        new LocalCluster.Plan(
                                MODEL,
                                List.of("1/2", SECOND_HALF),
                                0,
                                "",
                                "  threads: 1\n  reconnect-grace: 60s\n  combine-deadline: 60s\n"),
                        directory.resolve("patient"));
        try (patient;
                ApiClient patientClient = new ApiClient(patient.url())) {
            String undisturbed = Story.told(patientClient, LONG_STORY, new CountDownLatch(1));
            CountDownLatch started = new CountDownLatch(1);
            CompletableFuture<String> answer =
                    CompletableFuture.supplyAsync(
                            () -> Story.told(patientClient, LONG_STORY, started));
            assertTrue(started.await(30, TimeUnit.SECONDS), "no token came");
            patient.killWorker(1);
            patient.restartWorker(1, SECOND_HALF);
            assertEquals(undisturbed, answer.get(60, TimeUnit.SECONDS));
        }
    }

    /// Two of three workers hold each expert: whichever is killed or freezes, its rows go to another, and no token changes.
    @Test
    void withReplicasAKilledAndAFrozenWorkerCostNoRequestAndNoToken() throws Exception {
        List<String> twoThirds = List.of("0-21", "11-31", "0-10,22-31");
        LocalCluster replicated =
                LocalCluster.start(
                        new LocalCluster.Plan(
                                MODEL,
                                twoThirds,
                                0,
                                "  request-timeout: 60s\n",
                                "  threads: 1\n  failure-deadline: 1s\n"),
                        Files.createDirectory(directory.resolve("replicated")));
        try (replicated;
                ApiClient replicatedClient = new ApiClient(replicated.url())) {
            String undisturbed = Story.told(replicatedClient, LONG_STORY, new CountDownLatch(1));
            for (int worker = 0; worker < 3; worker++) {
                CountDownLatch started = new CountDownLatch(1);
                CompletableFuture<String> answer =
                        CompletableFuture.supplyAsync(
                                () -> Story.told(replicatedClient, LONG_STORY, started));
                assertTrue(started.await(30, TimeUnit.SECONDS), "no token came");
                if (worker == 1) {
                    replicated.freezeWorker(worker);
                } else {
                    replicated.killWorker(worker);
                }
                assertEquals(undisturbed, answer.get(60, TimeUnit.SECONDS), "worker " + worker);
                if (worker == 1) {
                    replicated.thawWorker(worker);
                } else {
                    replicated.restartWorker(worker, twoThirds.get(worker));
                }
                replicated.awaitAllWorkers(Duration.ofSeconds(30));
            }
        }
    }

    private ApiClient.Answer unchecked(int tokens, CountDownLatch started) {
        try {
            return ask(tokens, started);
        } catch (Exception e) {
            throw new IllegalStateException(e);
        }
    }

    private ApiClient.Answer ask(int tokens, CountDownLatch started) throws Exception {
        return client.chat(Story.request(tokens), Story.listener(started));
    }
}
