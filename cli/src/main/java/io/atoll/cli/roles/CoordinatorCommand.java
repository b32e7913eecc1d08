package io.atoll.cli.roles;

import io.atoll.cluster.config.ClusterFile;
import io.atoll.cluster.config.HostPort;
import java.nio.file.Path;
import java.util.Optional;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/// The HTTP API of a cluster, with the attention stack unless that is a process of its own.
@Command(
        name = "coordinator",
        description = "Serve the API of a cluster, with the attention stack in the same process.",
        footer = {
            "",
            "The attention stack is elsewhere if the file names `attention-worker` in its"
                    + " coordinator",
            "section. Where the file has a `membership` section, a second coordinator stands by"
                    + " until",
            "the first one goes.",
            "",
            "Example:",
            "  atoll coordinator --config cluster.yaml"
        })
public final class CoordinatorCommand implements Callable<Integer> {
    @Mixin private ClusterOptions options;

    @Option(
            names = "--listen",
            paramLabel = "HOST:PORT",
            description = "Where the API listens; overrides the cluster file.")
    private Optional<String> listen;

    @Option(
            names = "--name",
            paramLabel = "NAME",
            description = "What other members call it. Default: the machine's name and the port.")
    private Optional<String> name;

    @Override
    public Integer call() throws Exception {
        ClusterFile file = listening(options, listen);
        Path model = options.model(file);
        if (file.expertWorkers().isEmpty()
                && file.membership().isEmpty()
                && file.coordinator().attentionWorker().isEmpty()) {
            throw options.usage(
                    "the cluster file names no expert workers and has no membership section;"
                            + " `atoll serve` needs none");
        }
        System.out.print(file.toYaml());
        try (Serving serving = Serving.cluster(model, file, name, options.kernels(file))) {
            System.out.println(serving.kernels());
            System.out.println(
                    "model " + serving.modelName() + ", API at " + serving.url() + "/v1");
            RoleProcess.serve("coordinator", serving.address(), options.stopWithStdin(), serving);
        }
        return 0;
    }

    /// The cluster file, with `--listen` over its own address.
    static ClusterFile listening(ClusterOptions options, Optional<String> listen) {
        ClusterFile file = options.file();
        try {
            return listen.map(HostPort::parse).map(file::listeningOn).orElse(file);
        } catch (IllegalArgumentException e) {
            throw options.usage("--listen: " + e.getMessage());
        }
    }
}
