package io.atoll.cli.cluster;

import io.atoll.cli.client.ApiClient;
import io.atoll.cli.client.UrlOption;
import java.io.IOException;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/// Moves experts from one worker to another.
@Command(
        name = "move",
        description = "Move experts from one worker to another while it serves.",
        footer = {"", "Example:", "  atoll move 0-3:0-15 --from w1 --to w2"})
public final class MoveCommand implements Callable<Integer> {
    @Mixin private UrlOption at;

    @Parameters(
            paramLabel = "EXPERTS",
            description = "Of every layer, such as 0-15, or 0-3:0-15;4-7:8-31.")
    private String experts;

    @Option(names = "--from", paramLabel = "WORKER", required = true, description = "Who has them.")
    private String from;

    @Option(names = "--to", paramLabel = "WORKER", required = true, description = "Who gets them.")
    private String to;

    @Override
    public Integer call() throws IOException, InterruptedException {
        try (ApiClient client = at.client()) {
            client.post(
                    "cluster/move",
                    ApiClient.object().put("experts", experts).put("from", from).put("to", to));
        }
        System.out.println("moving " + experts + " from " + from + " to " + to);
        return 0;
    }
}
