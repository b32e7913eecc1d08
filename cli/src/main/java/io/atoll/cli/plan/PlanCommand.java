package io.atoll.cli.plan;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.atoll.cli.client.ApiClient;
import io.atoll.cluster.placement.ExpertNode;
import io.atoll.cluster.placement.Placement;
import io.atoll.cluster.placement.StepPrediction;
import io.atoll.cluster.placement.StepPrediction.Network;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/// Says what machines will do with a model: where its bytes go, how fast it decodes, what limits it.
@Command(
        name = "plan",
        description = {
            "Predict what a set of machines will do with a model: where the bytes go, tokens a"
                    + " second, what limits it, what one more machine buys and what losing each one"
                    + " costs.",
            "MEMORY is what Atoll may use of a machine, SPEED what its kernels read of weights:"
                    + " `atoll bench run` prints it."
        },
        footer = {
            "",
            "Examples:",
            "  atoll plan --model 397b --nodes 4x96GB@40GB/s --link 10Gbit/s",
            "  atoll plan --model /packs/35b --nodes big=64GB@80GB/s,2x16GB@20GB/s --replication 2"
        })
public final class PlanCommand implements Callable<Integer> {
    private static final int[] BATCHES = {1, 8, 32};

    /// The batch at which machines are compared.
    private static final int COMPARED = 8;

    @Spec private CommandSpec command;

    @Option(
            names = "--model",
            paramLabel = "MODEL",
            required = true,
            description = "35b, 122b or 397b (as Q4_K_M), or a model on disk.")
    private String modelName;

    @Option(
            names = "--nodes",
            paramLabel = "[Nx][NAME=]MEMORY@SPEED[@ARITHMETIC]",
            required = true,
            split = ",",
            description = "The machines, such as 4x64GB@40GB/s.")
    private List<String> machines;

    @Option(
            names = "--attention",
            paramLabel = "NAME",
            description =
                    "The machine that runs the attention stack and has the dense weights. Default:"
                            + " the fastest.")
    private Optional<String> attention;

    @Option(
            names = "--rtt",
            paramLabel = "TIME",
            defaultValue = "300us",
            description =
                    "A round trip of one row, what both sides do for it included. Default:"
                            + " ${DEFAULT-VALUE}.")
    private String roundTrip;

    @Option(
            names = "--link",
            paramLabel = "SPEED",
            defaultValue = "10Gbit/s",
            description = "Of the attention stack's machine. Default: ${DEFAULT-VALUE}.")
    private String link;

    @Option(
            names = "--replication",
            paramLabel = "N",
            defaultValue = "1",
            description = "Copies of each expert. Default: ${DEFAULT-VALUE}.")
    private int replication;

    @Option(names = "--json", description = "Print numbers for programs.")
    private boolean json;

    @Override
    public Integer call() throws IOException {
        PlannedModel model = model();
        List<ExpertNode> nodes =
                understood("--nodes", () -> PlannedNodes.parse(machines, model.work()));
        Network network =
                understood(
                        "--rtt or --link",
                        () -> new Network(Quantity.seconds(roundTrip), Quantity.link(link)));
        if (replication < 1 || replication > nodes.size()) {
            throw usage("--replication must be 1 to " + nodes.size() + ": " + replication);
        }
        String runsAttention = attention.orElseGet(() -> fastest(nodes));
        if (nodes.stream().noneMatch(node -> node.name().equals(runsAttention))) {
            throw usage(
                    "--attention: no machine is named '%s'; there are %s"
                            .formatted(
                                    runsAttention, nodes.stream().map(ExpertNode::name).toList()));
        }
        ClusterPlan plan = ClusterPlan.of(model.work(), nodes, runsAttention, network, replication);
        PrintWriter out = command.commandLine().getOut();
        if (json) {
            out.println(tree(model, plan).toPrettyString());
        } else {
            out.print(new PlanText(model, plan, nodes, BATCHES, COMPARED).text());
        }
        out.flush();
        return plan.placement().isPresent() ? 0 : 1;
    }

    private static String fastest(List<ExpertNode> nodes) {
        return nodes.stream()
                .max(Comparator.comparingDouble(ExpertNode::bytesPerSecond))
                .orElseThrow()
                .name();
    }

    private PlannedModel model() throws IOException {
        Optional<PlannedModel> shape = PlannedModel.named(modelName);
        if (shape.isPresent()) {
            return shape.get();
        }
        Path path = Path.of(modelName);
        if (!Files.exists(path)) {
            throw usage("--model: '" + modelName + "' is neither 35b, 122b, 397b nor on disk");
        }
        return PlannedModel.at(path);
    }

    private interface Parsing<T> {
        T parse();
    }

    private <T> T understood(String option, Parsing<T> parsing) {
        try {
            return parsing.parse();
        } catch (IllegalArgumentException e) {
            throw usage(option + ": " + e.getMessage());
        }
    }

    private ParameterException usage(String problem) {
        return new ParameterException(command.commandLine(), problem);
    }

    private static ObjectNode tree(PlannedModel model, ClusterPlan plan) {
        ObjectNode tree =
                ApiClient.object()
                        .put("model", model.name())
                        .put("dense_bytes", model.work().denseBytes())
                        .put("expert_bytes", model.work().experts().totalBytes())
                        .put("attention", plan.attention().name())
                        .put("fits", plan.placement().isPresent());
        if (plan.placement().isEmpty()) {
            return tree.put("problem", plan.result().toString());
        }
        Placement placement = plan.placement().get();
        ArrayNode nodes = tree.putArray("nodes");
        for (ExpertNode node : plan.nodes()) {
            nodes.addObject()
                    .put("name", node.name())
                    .put("experts", placement.shard(node.name()).size())
                    .put("bytes", placement.bytes(node.name(), model.work().experts()));
        }
        ArrayNode steps = tree.putArray("steps");
        for (int batch : BATCHES) {
            StepPrediction step = plan.step(batch).orElseThrow();
            steps.addObject()
                    .put("batch", batch)
                    .put("tokens_per_second", rounded(step.tokensPerSecond()))
                    .put("dense_ms", rounded(step.denseSeconds() * 1e3))
                    .put("experts_ms", rounded(step.expertSeconds() * 1e3))
                    .put("round_trips_ms", rounded(step.roundTripSeconds() * 1e3))
                    .put("link_ms", rounded(step.linkSeconds() * 1e3));
        }
        return tree;
    }

    private static double rounded(double value) {
        return Double.parseDouble(String.format(Locale.ROOT, "%.3f", value));
    }
}
