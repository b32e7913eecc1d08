package io.atoll.cli.cluster;

import com.fasterxml.jackson.databind.JsonNode;
import io.atoll.cli.TextTable;
import io.atoll.cli.client.ApiClient;
import io.atoll.cli.client.UrlOption;
import java.io.IOException;
import java.time.Instant;
import java.time.ZoneId;
import java.time.format.DateTimeFormatter;
import java.util.StringJoiner;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/// Shows the processes that have joined a cluster.
@Command(
        name = "nodes",
        description = {
            "Show the processes that have joined a cluster: coordinators, attention and expert"
                    + " workers.",
            "There are some only where the cluster file has a `membership` section; `atoll status`"
                    + " shows expert workers in any case."
        },
        footer = {"", "Example:", "  atoll nodes --url http://10.0.0.10:8000"})
public final class NodesCommand implements Callable<Integer> {
    private static final DateTimeFormatter TIME =
            DateTimeFormatter.ofPattern("yyyy-MM-dd HH:mm:ss").withZone(ZoneId.systemDefault());

    @Mixin private UrlOption at;

    @Option(names = "--json", description = "Print what the coordinator answers.")
    private boolean json;

    @Override
    public Integer call() throws IOException, InterruptedException {
        JsonNode answer;
        try (ApiClient client = at.client()) {
            answer = client.get("cluster/nodes");
        }
        if (json) {
            System.out.println(answer.toPrettyString());
            return 0;
        }
        if (answer.path("nodes").isEmpty()) {
            System.out.println(
                    "nobody can join: the cluster file has no membership section (see atoll"
                            + " status)");
            return 0;
        }
        TextTable nodes = new TextTable("ROLE", "NAME", "ADDRESS", "SINCE", "LABELS");
        answer.path("nodes").forEach(node -> nodes.row(cells(node)));
        StringBuilder text = new StringBuilder();
        nodes.appendTo(text);
        System.out.print(text);
        return 0;
    }

    private static String[] cells(JsonNode node) {
        StringJoiner labels = new StringJoiner(" ");
        node.path("labels")
                .properties()
                .forEach(label -> labels.add(label.getKey() + "=" + label.getValue().asText()));
        String role = node.path("role").asText();
        if (role.equals("coordinator")) {
            role += node.path("leads").asBoolean() ? ", leads" : ", stands by";
        }
        return new String[] {
            role,
            node.path("name").asText(),
            node.path("address").asText(),
            TIME.format(Instant.parse(node.path("started").asText())),
            labels.length() == 0 ? "-" : labels.toString()
        };
    }
}
