package io.atoll.cli.cluster;

import com.fasterxml.jackson.databind.JsonNode;
import io.atoll.cli.TextTable;
import io.atoll.cli.client.ApiClient;
import io.atoll.cli.client.UrlOption;
import java.io.IOException;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/// Places experts anew by how often they were used.
@Command(
        name = "rebalance",
        description = {
            "Place experts anew by how often they were used, while it serves.",
            "Memory to spare takes replicas of the hottest ones."
        },
        footer = {"", "Example:", "  atoll rebalance --dry-run"})
public final class RebalanceCommand implements Callable<Integer> {
    @Mixin private UrlOption at;

    @Option(names = "--dry-run", description = "Only say what it would do.")
    private boolean dryRun;

    @Override
    public Integer call() throws IOException, InterruptedException {
        JsonNode plan;
        try (ApiClient client = at.client()) {
            plan = client.post("cluster/rebalance", ApiClient.object().put("dry_run", dryRun));
        }
        System.out.printf(
                "%s %d copies, %s%n",
                dryRun ? "would load" : "loading",
                plan.path("copies").asInt(),
                TextTable.size(plan.path("bytes").asLong()));
        plan.path("workers")
                .properties()
                .forEach(
                        worker -> {
                            String now = worker.getValue().path("now").asText();
                            String then = worker.getValue().path("then").asText();
                            System.out.printf(
                                    "%s  %s%n",
                                    worker.getKey(),
                                    now.equals(then) ? "as it is" : now + "  ->  " + then);
                        });
        return 0;
    }
}
