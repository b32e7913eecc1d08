package io.atoll.cli.cluster;

import com.fasterxml.jackson.databind.JsonNode;
import io.atoll.cli.client.ApiClient;
import io.atoll.cli.client.UrlOption;
import java.io.IOException;
import java.util.concurrent.Callable;
import java.util.concurrent.TimeUnit;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/// Empties a worker, so that it can be stopped.
@Command(
        name = "drain",
        description = {
            "Move everything off a worker, so that it can be stopped without a request noticing.",
            "Waits until it holds nothing; Ctrl-C ends the wait and not the drain, `atoll undrain`"
                    + " does that."
        },
        footer = {"", "Example:", "  atoll drain w2"})
public final class DrainCommand implements Callable<Integer> {
    @Mixin private UrlOption at;

    @Parameters(paramLabel = "WORKER", description = "Its name in the cluster file.")
    private String worker;

    @Option(names = "--no-wait", description = "Return at once.")
    private boolean noWait;

    @Override
    public Integer call() throws IOException, InterruptedException {
        try (ApiClient client = at.client()) {
            client.post("cluster/drain", ApiClient.object().put("worker", worker));
            if (noWait) {
                System.out.println(worker + " is being drained");
                return 0;
            }
            int shown = -1;
            while (true) {
                JsonNode now = worker(client);
                int left = now.path("experts").asInt();
                if (!now.path("draining").asBoolean()) {
                    throw new IOException("the drain of " + worker + " was ended by an undrain");
                }
                if (left == 0) {
                    System.out.println(worker + " holds nothing any more and can be stopped");
                    return 0;
                }
                if (left != shown) {
                    System.out.println(worker + " still holds " + left + " experts");
                    shown = left;
                }
                TimeUnit.MILLISECONDS.sleep(500);
            }
        }
    }

    private JsonNode worker(ApiClient client) throws IOException, InterruptedException {
        for (JsonNode each : client.get("cluster/status").path("workers")) {
            if (each.path("name").asText().equals(worker)) {
                return each;
            }
        }
        throw new IOException("the coordinator knows no worker " + worker + " any more");
    }
}
