package io.atoll.benchmarks.cluster;

import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.atoll.cli.AtollHome;
import io.atoll.cli.client.ApiClient;
import io.atoll.cli.process.LocalCluster;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;

/// Tokens a second of the demo model through the HTTP API, for some numbers of worker processes and of requests at once.
///
/// Arguments: rounds (default 5), tokens of an answer (default 400). Every round measures each combination once, so that what
/// else the machine does spreads over all of them; the median of the rounds is printed. A rate counts the tokens after
/// the first of each answer, over the time between first and last.
public final class GenerationRate {
    private static final List<Integer> WORKERS = List.of(1, 2, 3);
    private static final List<Integer> BATCHES = List.of(1, 4, 8);
    private static final int WARM_UP_ANSWERS = 12;

    private GenerationRate() {}

    public static void main(String[] arguments) throws Exception {
        int rounds = arguments.length > 0 ? Integer.parseInt(arguments[0]) : 5;
        int tokens = arguments.length > 1 ? Integer.parseInt(arguments[1]) : 400;
        Path directory = Files.createTempDirectory("atoll-benchmark-");
        List<LocalCluster> clusters = new ArrayList<>();
        try (ExecutorService clients = Executors.newVirtualThreadPerTaskExecutor()) {
            for (int workers : WORKERS) {
                LocalCluster cluster =
                        LocalCluster.start(
                                LocalCluster.Plan.even(AtollHome.demoModel(), workers, 0),
                                directory.resolve("workers-" + workers));
                clusters.add(cluster);
                for (int i = 0; i < WARM_UP_ANSWERS; i++) {
                    rate(cluster, clients, 1 + i % 4, tokens);
                }
            }
            double[][][] rates = new double[WORKERS.size()][BATCHES.size()][rounds];
            for (int round = 0; round < rounds; round++) {
                for (int w = 0; w < WORKERS.size(); w++) {
                    for (int b = 0; b < BATCHES.size(); b++) {
                        rates[w][b][round] = rate(clusters.get(w), clients, BATCHES.get(b), tokens);
                    }
                }
            }
            print(rates, rounds, tokens);
        } finally {
            clusters.forEach(LocalCluster::close);
        }
    }

    /// Tokens a second of all answers together.
    private static double rate(LocalCluster cluster, ExecutorService clients, int batch, int tokens)
            throws Exception {
        try (ApiClient client = new ApiClient(cluster.url())) {
            String model = client.get("v1/models").path("data").path(0).path("id").asText();
            List<Callable<ApiClient.Answer>> calls = new ArrayList<>();
            for (int i = 0; i < batch; i++) {
                ObjectNode request = JsonNodeFactory.instance.objectNode();
                request.put("model", model);
                request.put("max_tokens", tokens);
                request.put("temperature", 1.0).put("seed", i);
                request.put("ignore_eos", true);
                request.putArray("messages")
                        .addObject()
                        .put("role", "user")
                        .put("content", "Tell me a story.");
                calls.add(() -> client.chat(request, ApiClient.Listener.SILENT));
            }
            double sum = 0;
            for (Future<ApiClient.Answer> answer : clients.invokeAll(calls)) {
                sum += answer.get().tokensPerSecond();
            }
            return sum;
        }
    }

    private static void print(double[][][] rates, int rounds, int tokens) {
        System.out.printf(
                Locale.ROOT,
                "tokens/s, median (lowest to highest) of %d rounds, answers of %d tokens%n%n",
                rounds,
                tokens);
        System.out.println("| workers | requests at once | tokens/s |");
        System.out.println("| ---: | ---: | ---: |");
        for (int w = 0; w < rates.length; w++) {
            for (int b = 0; b < rates[w].length; b++) {
                double[] sorted = rates[w][b].clone();
                java.util.Arrays.sort(sorted);
                System.out.printf(
                        Locale.ROOT,
                        "| %d | %d | %.0f (%.0f to %.0f) |%n",
                        WORKERS.get(w),
                        BATCHES.get(b),
                        sorted[rounds / 2],
                        sorted[0],
                        sorted[rounds - 1]);
            }
        }
    }
}
