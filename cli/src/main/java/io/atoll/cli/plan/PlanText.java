package io.atoll.cli.plan;

import io.atoll.cli.TextTable;
import io.atoll.cluster.placement.ExpertNode;
import io.atoll.cluster.placement.ExpertShard;
import io.atoll.cluster.placement.Placement;
import io.atoll.cluster.placement.StepPrediction;
import java.util.Comparator;
import java.util.Formatter;
import java.util.List;
import java.util.Locale;
import java.util.Optional;

/// A plan for people.
final class PlanText {
    private final PlannedModel model;
    private final ClusterPlan plan;
    private final List<ExpertNode> machines;
    private final int[] batches;
    private final int compared;
    private final StringBuilder text = new StringBuilder();
    private final Formatter out = new Formatter(text, Locale.ROOT);

    /// @param machines with all of their memory
    /// @param compared the batch at which machines are compared
    PlanText(
            PlannedModel model,
            ClusterPlan plan,
            List<ExpertNode> machines,
            int[] batches,
            int compared) {
        this.model = model;
        this.plan = plan;
        this.machines = machines;
        this.batches = batches;
        this.compared = compared;
    }

    String text() {
        out.format(
                "%s: %s of routed experts (%d layers of %d, %d a token), %s of dense weights on"
                        + " %s%n",
                model.name(),
                TextTable.size(model.work().experts().totalBytes()),
                model.work().experts().layers(),
                model.work().experts().experts(),
                model.work().expertsPerToken(),
                TextTable.size(model.work().denseBytes()),
                plan.attention().name());
        out.format("%n");
        Optional<Placement> placement = plan.placement();
        if (placement.isEmpty()) {
            out.format("does not fit: %s%n", plan.result());
            return text.toString();
        }
        nodes(placement.get());
        steps();
        oneMore();
        losses(placement.get());
        out.format("%n");
        out.format(
                "Predicted for short contexts and evenly used experts, from memory and network"
                        + " alone; docs/placement.md says how far off it was.%n");
        return text.toString();
    }

    private void nodes(Placement placement) {
        TextTable table =
                new TextTable("MACHINE", ">EXPERTS", ">BYTES", ">OF ALL", ">FREE", "RUNS");
        for (ExpertNode node : plan.nodes()) {
            ExpertShard shard = placement.shard(node.name());
            long bytes = model.work().experts().bytes(shard);
            table.row(
                    node.name(),
                    Integer.toString(shard.size()),
                    TextTable.size(bytes),
                    percent((double) bytes / model.work().experts().totalBytes()),
                    TextTable.size(node.memoryBytes() - bytes),
                    roles(node, shard));
        }
        table.appendTo(text);
        out.format("%n");
    }

    private String roles(ExpertNode node, ExpertShard shard) {
        if (!node.name().equals(plan.attention().name())) {
            return shard.isEmpty() ? "nothing" : "experts";
        }
        return shard.isEmpty() ? "attention" : "attention, experts";
    }

    private void steps() {
        TextTable table =
                new TextTable(
                        ">BATCH",
                        ">TOKENS/S",
                        ">STEP",
                        ">DENSE",
                        ">EXPERTS",
                        ">TRIPS",
                        ">LINK",
                        "LIMITED BY");
        for (int batch : batches) {
            StepPrediction step = plan.step(batch).orElseThrow();
            StepPrediction.Part longest = step.parts(plan.attention().name()).getFirst();
            table.row(
                    Integer.toString(batch),
                    String.format(Locale.ROOT, "%.1f", step.tokensPerSecond()),
                    millis(step.seconds()),
                    millis(step.denseSeconds()),
                    millis(step.expertSeconds()),
                    millis(step.roundTripSeconds()),
                    millis(step.linkSeconds()),
                    percent(longest.seconds() / step.seconds()) + " " + longest.what());
        }
        table.appendTo(text);
        out.format("%n");
    }

    private void oneMore() {
        ExpertNode smallest =
                machines.stream()
                        .min(Comparator.comparingDouble(ExpertNode::bytesPerSecond))
                        .orElseThrow();
        ExpertNode more =
                new ExpertNode(
                        "one-more",
                        smallest.memoryBytes(),
                        smallest.bytesPerSecond(),
                        smallest.rowsPerSecond(),
                        smallest.device());
        double now = rate(plan);
        double then = rate(plan.with(more, machines));
        out.format(
                "one more machine like %s: %.1f tokens/s at batch %d instead of %.1f (%+.0f %%)%n",
                smallest.name(), then, compared, now, 100 * (then / now - 1));
    }

    private void losses(Placement placement) {
        for (ExpertNode node : plan.nodes()) {
            String name = node.name();
            if (name.equals(plan.attention().name())) {
                out.format("without %s: nothing runs, it has the attention stack%n", name);
                continue;
            }
            int sole = sole(placement, name);
            String reload =
                    sole == 0
                            ? "every expert has another copy"
                            : sole + " experts have no other copy and are loaded elsewhere first";
            ClusterPlan rest = plan.without(name, machines);
            if (rest.placement().isEmpty()) {
                out.format("without %s: %s; %s%n", name, rest.result(), reload);
            } else {
                String fewer =
                        rest.replication() < plan.replication()
                                ? ", with "
                                        + rest.replication()
                                        + " instead of "
                                        + plan.replication()
                                        + " copies"
                                : "";
                out.format(
                        "without %s: %.1f tokens/s at batch %d%s; %s%n",
                        name, rate(rest), compared, fewer, reload);
            }
        }
    }

    private static int sole(Placement placement, String name) {
        int sole = 0;
        for (int layer = 0; layer < placement.layers(); layer++) {
            for (int expert = 0; expert < placement.experts(); expert++) {
                sole += placement.holders(layer, expert).equals(List.of(name)) ? 1 : 0;
            }
        }
        return sole;
    }

    private double rate(ClusterPlan of) {
        return of.step(compared).map(StepPrediction::tokensPerSecond).orElse(0.0);
    }

    private static String percent(double share) {
        return String.format(Locale.ROOT, "%.0f %%", 100 * share);
    }

    private static String millis(double seconds) {
        return String.format(Locale.ROOT, "%.1f ms", seconds * 1e3);
    }
}
