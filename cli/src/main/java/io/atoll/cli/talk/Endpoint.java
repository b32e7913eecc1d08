package io.atoll.cli.talk;

import io.atoll.cli.client.ApiClient;
import io.atoll.cli.client.UrlOption;
import io.atoll.cli.roles.Serving;
import java.io.IOException;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/// Which model to talk to: one behind a URL, or a directory or file that is served by this process for as long as the command runs.
final class Endpoint {
    @Spec(Spec.Target.MIXEE)
    private CommandSpec command;

    @Parameters(
            arity = "0..1",
            paramLabel = "MODEL",
            description = "Directory of a checkpoint, or a GGUF file, to run it in this process.")
    private Optional<Path> model;

    @Mixin private UrlOption at;

    /// An endpoint in use; closing it stops the server if this process started it.
    record Open(ApiClient client, URI url, String model, Optional<Serving> server)
            implements AutoCloseable {
        @Override
        public void close() {
            client.close();
            server.ifPresent(Serving::close);
        }
    }

    Open open() throws IOException, InterruptedException {
        if (model.isPresent() && at.isGiven()) {
            throw new ParameterException(command.commandLine(), "give a MODEL or --url, not both");
        }
        if (model.isPresent() && !Files.exists(model.get())) {
            throw new ParameterException(
                    command.commandLine(), "the model " + model.get() + " does not exist");
        }
        Optional<Serving> server =
                model.isPresent() ? Optional.of(Serving.onLoopback(model.get())) : Optional.empty();
        URI where = server.map(Serving::url).orElseGet(at::url);
        ApiClient client = server.map(own -> new ApiClient(own.url())).orElseGet(at::client);
        try {
            String name = client.get("v1/models").path("data").path(0).path("id").asText();
            return new Open(client, where, name, server);
        } catch (IOException | InterruptedException | RuntimeException e) {
            client.close();
            server.ifPresent(Serving::close);
            throw e;
        }
    }
}
