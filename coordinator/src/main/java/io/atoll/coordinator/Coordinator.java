package io.atoll.coordinator;

import io.atoll.attention.step.AttentionWorker;
import io.atoll.coordinator.cluster.ClusterControl;
import io.atoll.coordinator.engine.Engine;
import io.atoll.coordinator.engine.GenerationStream;
import io.atoll.coordinator.http.HttpApi;
import io.atoll.coordinator.metrics.ServerMetrics;
import io.atoll.coordinator.sequence.GenerationRequest;
import io.atoll.coordinator.sequence.ServedModel;
import io.atoll.coordinator.trace.RequestTraces;
import io.atoll.proto.Failure;
import java.io.IOException;
import java.util.Optional;

/// One coordinator: the step loop of an attention worker, and the HTTP API in front of it.
///
/// In one process with its worker it is built so, and closed in the reverse order:
///
/// ```java
/// try (var coordinator = new Coordinator(CoordinatorSettings.defaults(), worker, model)) {
///     coordinator.start();
///     ...
/// }
/// ```
public final class Coordinator implements AutoCloseable {
    private final Engine engine;
    private final HttpApi http;
    private final RequestTraces traces;
    private final Optional<ClusterControl> cluster;

    /// @param worker borrowed until `close()` returns: nobody else may call it, and its owner closes it
    /// @param model borrowed likewise
    /// @throws IOException if a file of API keys or a certificate can't be read
    public Coordinator(CoordinatorSettings settings, AttentionWorker worker, ServedModel model)
            throws IOException {
        ServerMetrics metrics = new ServerMetrics();
        this.engine = new Engine(worker, settings.engine(), model::outputText, metrics);
        this.traces = RequestTraces.of(settings.traces());
        this.cluster = settings.cluster().map(ClusterControl::new);
        this.http =
                new HttpApi(
                        settings.http(),
                        settings.gate(),
                        model,
                        worker.info(),
                        engine,
                        metrics,
                        traces,
                        cluster);
    }

    /// Starts the step loop, then listens.
    ///
    /// @throws IOException if the address can't be had
    public void start() throws IOException {
        engine.start();
        cluster.ifPresent(ClusterControl::start);
        http.start();
    }

    /// The port of the HTTP API, once started.
    public int port() {
        return http.port();
    }

    /// Looks now whether the files of API keys and certificates have changed, instead of within a second.
    public void checkFiles() {
        http.checkFiles();
    }

    /// Generates in this process, without HTTP. Does not wait: a refused request gets a stream with nothing but the failure.
    public GenerationStream submit(GenerationRequest request) {
        return engine.submit(request);
    }

    /// Why requests would be refused now, if they would.
    public Optional<Failure> unavailable() {
        return engine.unavailable();
    }

    /// Refuses new requests, lets those under way complete within the drain timeout, and stops.
    @Override
    public void close() {
        engine.close(); // while the server still answers, so that clients get their last tokens
        http.close();
        cluster.ifPresent(ClusterControl::close);
        traces.close();
    }
}
