package io.atoll.cli.cluster;

import com.fasterxml.jackson.databind.JsonNode;
import io.atoll.cli.client.ApiClient;
import io.atoll.cli.client.UrlOption;
import java.io.IOException;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Parameters;

/// Shows which worker holds which experts, and which it should hold.
@Command(
        name = "placement",
        description = {
            "Show which worker holds which experts, as layers:experts terms.",
        },
        footer = {"", "Examples:", "  atoll placement show", "  atoll placement diff"})
public final class PlacementCommand implements Callable<Integer> {
    @Mixin private UrlOption at;

    /// How much.
    enum What {
        SHOW,
        DIFF
    }

    @Parameters(
            arity = "0..1",
            defaultValue = "show",
            paramLabel = "show|diff",
            description = "diff leaves out the workers that hold what they should. Default: show.")
    private What what;

    @Override
    public Integer call() throws IOException, InterruptedException {
        try (ApiClient client = at.client()) {
            for (JsonNode worker : client.get("cluster/status").path("workers")) {
                String held = worker.path("held").asText();
                String wanted = worker.path("wanted").asText();
                if (what == What.DIFF && held.equals(wanted)) {
                    continue;
                }
                System.out.printf("%s holds  %s%n", worker.path("name").asText(), held);
                if (!held.equals(wanted)) {
                    System.out.printf("%s should %s%n", worker.path("name").asText(), wanted);
                }
            }
        }
        return 0;
    }
}
