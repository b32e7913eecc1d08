package io.atoll.coordinator.metrics;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.atoll.attention.step.AttentionLoad;
import io.atoll.attention.step.AttentionLoad.StepTimes;
import io.atoll.attention.step.ExpertWorkerStatus;
import io.atoll.attention.step.StepOutcome;
import io.atoll.cluster.config.ApiKeysFile;
import io.atoll.coordinator.TestCoordinator;
import io.atoll.coordinator.TestCoordinator.Reply;
import io.atoll.coordinator.TestModel;
import io.atoll.coordinator.gate.GateSettings;
import io.atoll.proto.ErrorCode;
import io.atoll.proto.Failure;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/// `GET /metrics`, read as Prometheus reads it.
@Timeout(60)
final class ServerMetricsTest {
    private static final String CHAT = "/v1/chat/completions";
    private static final String HELLO =
            "{'messages': [{'role': 'user', 'content': 'Hello'}], 'max_tokens': 4}";

    /// A sample: name, labels, value.
    private static final Pattern SAMPLE =
            Pattern.compile("([a-zA-Z_:][a-zA-Z0-9_:]*)(\\{[^}]*})? (\\S+)");

    @Test
    void numbersAreThoseOfTheRequestsSent() throws Exception {
        try (TestCoordinator coordinator = new TestCoordinator()) {
            coordinator.worker().script(TestModel.answer("one two three four five six"));
            coordinator.worker().script(TestModel.answer("Hi"));
            coordinator.worker().cache(5);
            int prompt = ask(coordinator).json().path("usage").path("prompt_tokens").asInt();
            int output = 4;
            Reply second = ask(coordinator);
            output += second.json().path("usage").path("completion_tokens").asInt();
            Map<String, Double> seen = scrapeIdle(coordinator);
            assertEquals(1, seen.get(ended("length", "")));
            assertEquals(1, seen.get(ended("stop", "")));
            assertEquals(2 * prompt, seen.get("atoll_prompt_tokens_total"));
            assertEquals(10, seen.get("atoll_prompt_tokens_cached_total"));
            assertEquals(output, seen.get("atoll_generation_tokens_total"));
            assertEquals(2, seen.get("atoll_time_to_first_token_seconds_count"));
            assertEquals(output - 2, seen.get("atoll_inter_token_latency_seconds_count"));
            assertEquals(2, seen.get("atoll_request_time_per_output_token_seconds_count"));
            assertEquals(2, seen.get("atoll_e2e_request_latency_seconds_count"));
            assertEquals(2, seen.get("atoll_request_queue_time_seconds_count"));
            assertEquals(0, seen.get("atoll_steps_failed_total"));
            assertEquals(2 * (prompt - 5), seen.get("atoll_rows_total{kind=\"prefill\"}"));
            assertEquals(output - 2, seen.get("atoll_rows_total{kind=\"decode\"}"));
            assertEquals(2 * (prompt - 5) + output - 2, seen.get("atoll_step_rows_sum"));
            assertEquals(
                    seen.get("atoll_step_rows_count"),
                    seen.get("atoll_step_duration_seconds_count"));
            assertTrue(
                    seen.get("atoll_time_to_first_token_seconds_sum")
                            <= seen.get("atoll_e2e_request_latency_seconds_sum"));
            assertEquals(2, seen.get("atoll_time_to_first_token_seconds_bucket{le=\"+Inf\"}"));
        }
    }

    @Test
    void whatDoesNotCompleteIsCountedByItsReason() throws Exception {
        try (TestCoordinator coordinator = new TestCoordinator()) {
            coordinator
                    .worker()
                    .forceNext(
                            new StepOutcome.Failed(
                                    new Failure(ErrorCode.NO_LIVE_REPLICA, "layer=1")));
            assertEquals(503, ask(coordinator).status());
            coordinator
                    .worker()
                    .setUnavailable(
                            Optional.of(new Failure(ErrorCode.ATTENTION_UNAVAILABLE, "gone")));
            coordinator.awaitReadiness(503);
            assertEquals(503, ask(coordinator).status());
            coordinator.worker().setUnavailable(Optional.empty());
            coordinator.awaitReadiness(200);
            coordinator.worker().hold();
            try (InputStream body =
                    coordinator
                            .postForStream(CHAT, HELLO.replace("}]", "}], 'stream': true"))
                            .body()) {
                coordinator.worker().awaitStep();
                assertTrue(body.read() >= 0);
            }
            Map<String, Double> seen = scrape(coordinator);
            while (!seen.containsKey(ended("cancelled", "cancelled"))) {
                seen = scrape(coordinator);
            }
            coordinator.worker().releaseAll();
            seen = scrapeIdle(coordinator);
            assertEquals(1, seen.get(ended("failed", "no_live_replica")));
            assertEquals(1, seen.get(ended("failed", "attention_unavailable")));
            assertEquals(1, seen.get(ended("cancelled", "cancelled")));
            assertEquals(1, seen.get("atoll_steps_failed_total"));
            assertEquals(0, seen.get("atoll_e2e_request_latency_seconds_count"));
        }
    }

    private static String ended(String outcome, String code) {
        return "atoll_requests_total{code=\"" + code + "\",outcome=\"" + outcome + "\"}";
    }

    /// The answer leaves before its step is counted.
    private static Map<String, Double> scrapeIdle(TestCoordinator coordinator) throws Exception {
        Map<String, Double> seen = scrape(coordinator);
        while (present(seen) > 0) {
            seen = scrape(coordinator);
        }
        return seen;
    }

    @Test
    void runningAndWaitingAreToldApart() throws Exception {
        try (TestCoordinator coordinator = new TestCoordinator()) {
            coordinator.worker().hold();
            int all = TestModel.MAX_SEQUENCES + 2;
            for (int i = 0; i < all; i++) {
                var _ = coordinator.postAsync(CHAT, HELLO);
            }
            coordinator.worker().awaitStep();
            while (present(scrape(coordinator)) < all) {
                Thread.onSpinWait();
            }
            coordinator.worker().release(1);
            coordinator.worker().awaitStep();
            Map<String, Double> seen = scrape(coordinator);
            assertEquals(TestModel.MAX_SEQUENCES, seen.get("atoll_num_requests_running"));
            assertEquals(2, seen.get("atoll_num_requests_waiting"));
        }
    }

    private static double present(Map<String, Double> samples) {
        return samples.get("atoll_num_requests_running")
                + samples.get("atoll_num_requests_waiting");
    }

    @Test
    void workersNumbersAreTakenOver() throws Exception {
        try (TestCoordinator coordinator = new TestCoordinator()) {
            report(coordinator);
            Map<String, Double> seen = scrape(coordinator);
            assertEquals(30, seen.get("atoll_kv_blocks{holder=\"sequences\"}"));
            assertEquals(20, seen.get("atoll_kv_blocks{holder=\"checkpoints\"}"));
            assertEquals(50, seen.get("atoll_kv_blocks{holder=\"none\"}"));
            assertEquals(3, seen.get("atoll_checkpoints"));
            assertEquals(4, seen.get("atoll_checkpoint_hits_total"));
            assertEquals(5, seen.get("atoll_checkpoint_evictions_total"));
            assertEquals(1.5, seen.get("atoll_step_part_seconds_total{part=\"mixer\"}"));
            assertEquals(2, seen.get("atoll_step_part_seconds_total{part=\"experts\"}"));
            assertEquals(1, seen.get("atoll_expert_worker_live{worker=\"w1\"}"));
            assertEquals(7, seen.get("atoll_expert_dispatches_total{worker=\"w1\"}"));
            assertEquals(0.5, seen.get("atoll_expert_compute_seconds_total{worker=\"w1\"}"));
            assertEquals(2.5, seen.get("atoll_expert_round_trip_seconds_total{worker=\"w1\"}"));
            assertEquals(11, seen.get("atoll_expert_failures_total{worker=\"w1\"}"));
        }
    }

    @Test
    void pageListsExactlyWhatIsExposed(@TempDir Path directory) throws Exception {
        Path keys = directory.resolve("keys.yaml");
        String hash = ApiKeysFile.hash("secret");
        Files.writeString(keys, "[{name: a, sha256: " + hash + ", scopes: [generate, metrics]}]");
        GateSettings gate = new GateSettings(Optional.of(keys), Optional.empty(), List.of(), false);
        try (TestCoordinator coordinator = new TestCoordinator(gate)) {
            report(coordinator);
            assertEquals(401, ask(coordinator).status()); // for the one that counts refusals
            String[] key = {"x-api-key", "secret"};
            assertEquals(200, coordinator.exchange("POST", CHAT, HELLO, key).status());
            Reply reply = coordinator.exchange("GET", "/metrics", "", key);
            assertEquals(documented(), types(reply.body()));
        }
    }

    private static void report(TestCoordinator coordinator) {
        coordinator
                .worker()
                .report(
                        new AttentionLoad(
                                100,
                                30,
                                50,
                                2,
                                3,
                                4,
                                5,
                                6,
                                7,
                                new StepTimes(1_500_000_000L, 1, 2_000_000_000L, 3, 4)),
                        new ExpertWorkerStatus(
                                "w1",
                                "h:1",
                                true,
                                6,
                                7,
                                8,
                                9,
                                10,
                                500_000_000L,
                                2_500_000_000L,
                                11));
    }

    private static Reply ask(TestCoordinator coordinator) throws Exception {
        return coordinator.post(CHAT, HELLO);
    }

    /// Samples by name and labels. Every line has to be a comment or a sample.
    private static Map<String, Double> scrape(TestCoordinator coordinator) throws Exception {
        Reply reply = coordinator.get("/metrics");
        assertEquals(200, reply.status(), reply.body());
        assertTrue(reply.header("content-type").startsWith("text/plain; version=0.0.4"));
        Map<String, Double> samples = new HashMap<>();
        for (String line : reply.body().lines().toList()) {
            if (!line.startsWith("# ")) {
                Matcher sample = SAMPLE.matcher(line);
                assertTrue(sample.matches(), line);
                String labels = sample.group(2) == null ? "" : sample.group(2);
                double value = Double.parseDouble(sample.group(3).replace("+Inf", "Infinity"));
                assertTrue(samples.put(sample.group(1) + labels, value) == null, "twice: " + line);
            }
        }
        return samples;
    }

    private static Map<String, String> types(String text) {
        Map<String, String> types = new TreeMap<>();
        for (String line : text.lines().toList()) {
            if (line.startsWith("# TYPE ")) {
                String[] words = line.split(" ", -1);
                types.put(words[2], words[3]);
            }
        }
        return types;
    }

    /// The rows of the page's tables: `| \`name\` | type | ...`.
    private static Map<String, String> documented() throws Exception {
        Path page = Path.of(System.getProperty("atoll.root"), "docs", "metrics.md");
        Matcher row =
                Pattern.compile("(?m)^\\| `(atoll_[a-z0-9_]+)` \\| ([a-z]+) \\|")
                        .matcher(Files.readString(page));
        Map<String, String> rows = new TreeMap<>();
        while (row.find()) {
            rows.put(row.group(1), row.group(2));
        }
        return rows;
    }
}
