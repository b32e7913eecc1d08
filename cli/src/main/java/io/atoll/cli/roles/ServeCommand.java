package io.atoll.cli.roles;

import io.atoll.cluster.config.ClusterFile;
import io.atoll.cluster.config.HostPort;
import java.nio.file.Files;
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
        footer = {"", "Example:", "  atoll serve demo-model --listen 127.0.0.1:8000"})
public final class ServeCommand implements Callable<Integer> {
    @Mixin private ClusterOptions options;

    @Parameters(
            arity = "0..1",
            paramLabel = "MODEL",
            description = "Directory of the checkpoint. Default: --model, or the cluster file's.")
    private Optional<Path> directory;

    @Option(
            names = "--listen",
            paramLabel = "HOST:PORT",
            description =
                    "Where the API listens; port 0 takes a free one. Default: 127.0.0.1:8000.")
    private Optional<String> listen;

    @Override
    public Integer call() throws Exception {
        ClusterFile file = CoordinatorCommand.listening(options, listen);
        Path model = directory.orElseGet(() -> options.model(file));
        if (!Files.isDirectory(model)) {
            throw options.usage("the model's directory " + model + " does not exist");
        }
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
