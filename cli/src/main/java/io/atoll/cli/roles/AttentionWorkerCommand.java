package io.atoll.cli.roles;

import io.atoll.attention.step.AttentionServer;
import io.atoll.cluster.config.ClusterFile;
import io.atoll.cluster.config.HostPort;
import io.atoll.cluster.membership.NodeRole;
import io.atoll.model.ModelDirectory;
import io.atoll.model.grammar.ConstraintCache;
import io.atoll.model.tokenizer.Tokenizer;
import java.net.InetSocketAddress;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/// The attention stack of a cluster in a process of its own.
@Command(
        name = "attention-worker",
        description = "Run the attention stack of a cluster for a coordinator elsewhere.",
        footer = {"", "Example:", "  atoll attention-worker --config cluster.yaml"})
public final class AttentionWorkerCommand implements Callable<Integer> {
    @Mixin private ClusterOptions options;

    @Option(
            names = "--listen",
            paramLabel = "HOST:PORT",
            description = "Where to listen; overrides the cluster file.")
    private Optional<String> listen;

    @Override
    public Integer call() throws Exception {
        ClusterFile file = options.file();
        HostPort address;
        try {
            address = listen.map(HostPort::parse).orElse(file.attentionWorker().listen());
        } catch (IllegalArgumentException e) {
            throw options.usage("--listen: " + e.getMessage());
        }
        if (file.expertWorkers().isEmpty() && file.membership().isEmpty()) {
            throw options.usage(
                    "the cluster file names no expert workers and has no membership section");
        }
        System.out.print(file.toYaml());
        try (NodeSecurity security =
                        NodeSecurity.open(
                                file,
                                "attention-worker",
                                List.of(address),
                                NodeSecurity.expertWorkers(file));
                ModelDirectory model = ModelDirectory.open(options.model(file));
                Tokenizer tokenizer = model.tokenizer();
                JoinedCluster cluster =
                        JoinedCluster.join(
                                file,
                                NodeRole.ATTENTION_WORKER,
                                Optional.empty(),
                                address,
                                Map.of());
                AttentionParts parts =
                        AttentionParts.withRemoteExperts(
                                model,
                                tokenizer.size(),
                                new ConstraintCache(tokenizer, model.generationConfig()),
                                file,
                                cluster,
                                options.kernels(file),
                                security.client());
                AttentionServer server =
                        new AttentionServer(
                                new InetSocketAddress(address.host(), address.port()),
                                security.server(),
                                file.clusterId(),
                                parts.worker())) {
            System.out.println(parts.worker().info().kernels());
            RoleProcess.serve(
                    "attention-worker",
                    new HostPort(address.host(), server.port()),
                    options.stopWithStdin(),
                    server);
        }
        return 0;
    }
}
