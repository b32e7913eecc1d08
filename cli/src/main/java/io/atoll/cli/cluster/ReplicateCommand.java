package io.atoll.cli.cluster;

import io.atoll.cli.client.ApiClient;
import io.atoll.cli.client.UrlOption;
import java.io.IOException;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/// Puts further copies of experts on a worker.
@Command(
        name = "replicate",
        description = "Put further copies of experts on a worker.",
        footer = {"", "Example:", "  atoll replicate 0-15 --to w2"})
public final class ReplicateCommand implements Callable<Integer> {
    @Mixin private UrlOption at;

    @Parameters(
            paramLabel = "EXPERTS",
            description = "Of every layer, such as 0-15, or 0-3:0-15;4-7:8-31.")
    private String experts;

    @Option(names = "--to", paramLabel = "WORKER", required = true, description = "Who gets them.")
    private String to;

    @Override
    public Integer call() throws IOException, InterruptedException {
        try (ApiClient client = at.client()) {
            client.post(
                    "cluster/replicate", ApiClient.object().put("experts", experts).put("to", to));
        }
        System.out.println("copying " + experts + " to " + to);
        return 0;
    }
}
