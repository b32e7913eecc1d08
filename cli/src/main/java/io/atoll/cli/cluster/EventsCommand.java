package io.atoll.cli.cluster;

import com.fasterxml.jackson.databind.JsonNode;
import io.atoll.cli.client.ApiClient;
import io.atoll.cli.client.UrlOption;
import java.io.IOException;
import java.time.Duration;
import java.time.Instant;
import java.time.ZoneId;
import java.time.format.DateTimeFormatter;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/// Shows what has happened to the cluster.
@Command(
        name = "events",
        description = "Show what has happened to a cluster: workers, loads, moves, drains.",
        footer = {"", "Example:", "  atoll events --follow"})
public final class EventsCommand implements Callable<Integer> {
    private static final Duration WAIT = Duration.ofSeconds(20);
    private static final DateTimeFormatter TIME =
            DateTimeFormatter.ofPattern("yyyy-MM-dd HH:mm:ss").withZone(ZoneId.systemDefault());

    @Mixin private UrlOption at;

    @Option(
            names = {"-f", "--follow"},
            description = "Go on with what happens next, until Ctrl-C.")
    private boolean follow;

    @Option(names = "--json", description = "One JSON object a line.")
    private boolean json;

    @Option(
            names = "--last",
            paramLabel = "N",
            defaultValue = "100",
            description = "How many of the events so far, at most 1000. Default: 100.")
    private int last;

    @Override
    public Integer call() throws IOException, InterruptedException {
        try (ApiClient client = at.client()) {
            long seen = print(client.get("cluster/events?limit=" + Math.clamp(last, 0, 1000)), 0);
            while (follow) {
                seen =
                        print(
                                client.get(
                                        "cluster/events?after=%d&wait_ms=%d"
                                                .formatted(seen, WAIT.toMillis()),
                                        WAIT),
                                seen);
            }
        }
        return 0;
    }

    /// @return the number of the last event
    private long print(JsonNode answer, long before) {
        long seen = before;
        for (JsonNode event : answer.path("events")) {
            seen = event.path("number").asLong();
            System.out.println(
                    json
                            ? event.toString()
                            : "%s  %-14s %-12s %s"
                                    .formatted(
                                            TIME.format(Instant.parse(event.path("at").asText())),
                                            event.path("kind").asText(),
                                            event.path("worker").asText(),
                                            event.path("text").asText())
                                    .stripTrailing());
        }
        System.out.flush();
        return seen;
    }
}
