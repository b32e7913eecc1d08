package io.atoll.cli.roles;

import io.atoll.cluster.config.ClusterFile;
import io.atoll.cluster.config.HostPort;
import java.nio.file.Path;
import java.util.Optional;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/// Every role in one process.
@Command(
        name = "serve",
        description =
                "Serve a model from this process alone: coordinator, attention stack, experts.",
        footer = {
            "",
            "Examples:",
            "  atoll serve demo-model --listen 127.0.0.1:8000",
            "  atoll serve model-Q4_K_M-00001-of-00005.gguf"
        })
public final class ServeCommand implements Callable<Integer> {
    @Mixin private ClusterOptions options;

    @Parameters(
            arity = "0..1",
            paramLabel = "MODEL",
            description =
                    "Directory of the checkpoint, or a GGUF file. Default: --model, or the cluster"
                            + " file's.")
    private Optional<Path> path;

    @Option(
            names = "--listen",
            paramLabel = "HOST:PORT",
            description =
                    "Where the API listens; port 0 takes a free one. Default: 127.0.0.1:8000.")
    private Optional<String> listen;

    @Override
    public Integer call() throws Exception {
        ClusterFile file = CoordinatorCommand.listening(options, listen);
        Path model = path.map(options::existing).orElseGet(() -> options.model(file));
        System.out.print(file.toYaml());
        try (Serving serving = Serving.everything(model, file, options.kernels(file))) {
            HostPort address = serving.address();
            System.out.println(serving.kernels());
            System.out.println(
                    "model " + serving.modelName() + ", API at " + serving.url() + "/v1");
            RoleProcess.serve("serve", address, options.stopWithStdin(), serving);
        }
        return 0;
    }
}
