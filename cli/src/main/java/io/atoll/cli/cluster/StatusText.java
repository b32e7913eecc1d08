package io.atoll.cli.cluster;

import com.fasterxml.jackson.databind.JsonNode;
import io.atoll.cli.TextTable;
import java.util.Locale;

/// A cluster's status for people.
final class StatusText {
    private StatusText() {}

    /// The whole page, lines ended.
    static String of(JsonNode status) {
        StringBuilder text = new StringBuilder();
        int experts = status.path("layers").asInt() * status.path("experts").asInt();
        text.append(
                String.format(
                        Locale.ROOT,
                        "cluster %s: %s%s%n",
                        status.path("cluster_id").asText(),
                        experts == 0
                                ? ""
                                : "%d layers of %d experts, replication %d, "
                                        .formatted(
                                                status.path("layers").asInt(),
                                                status.path("experts").asInt(),
                                                status.path("replication").asInt()),
                        state(status, experts)));
        if (experts == 0 && status.path("workers").isEmpty()) {
            return text.toString();
        }
        text.append(System.lineSeparator());
        TextTable workers =
                new TextTable(
                        "WORKER",
                        "ADDRESS",
                        "STATE",
                        ">EXPERTS",
                        ">SOLE",
                        ">MEMORY",
                        ">QUEUE",
                        "DOING");
        status.path("workers").forEach(worker -> workers.row(cells(worker)));
        workers.appendTo(text);
        JsonNode alarms = status.path("alarms");
        if (!alarms.isEmpty()) {
            text.append(System.lineSeparator());
            alarms.forEach(
                    alarm ->
                            text.append("! ")
                                    .append(alarm.asText())
                                    .append(System.lineSeparator()));
        }
        return text.toString();
    }

    private static String state(JsonNode status, int experts) {
        if (status.path("stands_by_for").isTextual()) {
            return "this coordinator stands by for " + status.path("stands_by_for").asText();
        }
        int without = status.path("without_copy").asInt();
        int below = status.path("below_replication").asInt();
        if (experts == 0) {
            return "no worker has answered yet";
        }
        if (without > 0) {
            return without + " of " + experts + " experts have no live copy";
        }
        if (below > 0) {
            return below + " of " + experts + " experts lack a copy";
        }
        return status.path("settled").asBoolean() ? "all as it should be" : "changing";
    }

    private static String[] cells(JsonNode worker) {
        return new String[] {
            worker.path("name").asText(),
            worker.path("address").asText(),
            life(worker),
            Integer.toString(worker.path("experts").asInt()),
            Integer.toString(worker.path("sole_copies").asInt()),
            "%s of %s"
                    .formatted(
                            TextTable.size(worker.path("bytes").asLong()),
                            TextTable.size(worker.path("memory_bytes").asLong())),
            Integer.toString(worker.path("queued").asInt()),
            doing(worker)
        };
    }

    private static String life(JsonNode worker) {
        String life = worker.path("life").asText();
        if (worker.path("draining").asBoolean()) {
            return life.equals("live") && worker.path("experts").asInt() == 0
                    ? "drained"
                    : life + ", draining";
        }
        return worker.path("cordoned").asBoolean() ? life + ", cordoned" : life;
    }

    private static String doing(JsonNode worker) {
        JsonNode change = worker.path("change");
        return change.isMissingNode()
                ? "-"
                : "%s %d of %d experts, %.1f s"
                        .formatted(
                                change.path("kind").asText(),
                                change.path("done").asInt(),
                                change.path("wanted").asInt(),
                                change.path("seconds").asDouble());
    }
}
