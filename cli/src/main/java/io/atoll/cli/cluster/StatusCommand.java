package io.atoll.cli.cluster;

import com.fasterxml.jackson.databind.JsonNode;
import io.atoll.cli.ProgressLine;
import io.atoll.cli.client.ApiClient;
import io.atoll.cli.client.UrlOption;
import java.io.IOException;
import java.util.concurrent.Callable;
import java.util.concurrent.TimeUnit;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/// Shows the workers, what they hold and do, and what is wrong.
@Command(
        name = "status",
        description = {
            "Show the expert workers of a cluster, what they hold and do, and what is wrong.",
            "Ends with 1 if something is: a worker that does not answer, an expert without its"
                    + " copies, a failed change."
        },
        footer = {
            "",
            "Examples:",
            "  atoll status --watch",
            "  atoll status --url http://10.0.0.10:8000 --json"
        })
public final class StatusCommand implements Callable<Integer> {
    /// Home, and clear to the end of the screen.
    private static final String REDRAW = "\u001b[H\u001b[J";

    @Mixin private UrlOption at;

    @Option(names = "--watch", description = "Draw it again every second, until Ctrl-C.")
    private boolean watch;

    @Option(names = "--json", description = "Print what the coordinator answers.")
    private boolean json;

    @Override
    public Integer call() throws IOException, InterruptedException {
        try (ApiClient client = at.client()) {
            while (true) {
                JsonNode status = client.get("cluster/status");
                System.out.print(
                        (watch && ProgressLine.isTerminal() ? REDRAW : "")
                                + (json
                                        ? status.toPrettyString() + System.lineSeparator()
                                        : StatusText.of(status)));
                System.out.flush();
                if (!watch) {
                    return status.path("alarms").isEmpty() ? 0 : 1;
                }
                TimeUnit.SECONDS.sleep(1);
            }
        }
    }
}
