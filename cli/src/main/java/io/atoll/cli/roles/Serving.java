package io.atoll.cli.roles;

import io.atoll.attention.step.AttentionWorker;
import io.atoll.attention.step.RemoteAttentionWorker;
import io.atoll.cluster.config.ClusterFile;
import io.atoll.cluster.config.ClusterFile.CoordinatorSection;
import io.atoll.cluster.config.HostPort;
import io.atoll.cluster.membership.NodeRole;
import io.atoll.coordinator.Coordinator;
import io.atoll.coordinator.CoordinatorSettings;
import io.atoll.coordinator.cluster.ClusterSettings;
import io.atoll.coordinator.cluster.ClusterSettings.WorkerAddress;
import io.atoll.coordinator.engine.EngineSettings;
import io.atoll.coordinator.gate.GateSettings;
import io.atoll.coordinator.gate.GateSettings.TlsFiles;
import io.atoll.coordinator.http.HttpSettings;
import io.atoll.coordinator.sequence.ServedModel;
import io.atoll.coordinator.trace.TraceSettings;
import io.atoll.model.ModelDirectory;
import io.atoll.model.chat.ChatTemplate;
import io.atoll.model.grammar.ConstraintCache;
import io.atoll.model.tokenizer.Tokenizer;
import io.grpc.ChannelCredentials;
import java.io.IOException;
import java.net.URI;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/// A coordinator that serves, and everything in this process that it stands on. Closing it closes all of that, the
/// coordinator first.
public final class Serving implements AutoCloseable {
    private static final Duration ATTENTION_CALL_TIMEOUT = Duration.ofSeconds(10);

    private final OpenedParts opened = new OpenedParts();
    private final Coordinator coordinator;
    private final AttentionWorker worker;
    private final String modelName;
    private final HostPort address;
    private final String scheme;

    private Serving(
            Path path,
            ClusterFile file,
            Optional<String> name,
            Optional<String> kernels,
            boolean localExperts)
            throws IOException {
        try {
            NodeSecurity security = opened.add(security(file, localExperts));
            JoinedCluster cluster =
                    opened.add(
                            localExperts
                                    ? JoinedCluster.alone(file)
                                    : JoinedCluster.join(
                                            file,
                                            NodeRole.COORDINATOR,
                                            name,
                                            file.coordinator().listen(),
                                            Map.of()));
            ModelDirectory model = opened.add(ModelDirectory.open(path));
            CoordinatorSection section = file.coordinator();
            modelName = section.modelName().orElseGet(model::name);
            Tokenizer tokenizer = opened.add(model.tokenizer());
            ConstraintCache constraints = new ConstraintCache(tokenizer, model.generationConfig());
            constraints.warmUp();
            worker =
                    attentionWorker(
                            model,
                            tokenizer,
                            constraints,
                            file,
                            cluster,
                            kernels,
                            localExperts,
                            security.client());
            coordinator =
                    opened.add(
                            new Coordinator(
                                    settings(
                                            section,
                                            file,
                                            worker,
                                            modelName,
                                            localExperts
                                                    ? Optional.empty()
                                                    : settings(
                                                            model,
                                                            file,
                                                            cluster,
                                                            security.client())),
                                    worker,
                                    new ServedModel(
                                            modelName,
                                            tokenizer,
                                            ChatTemplate.compile(model.chatTemplate()),
                                            model.generationConfig(),
                                            constraints)));
            opened.add(cluster); // left first, so that another leads while the last answers end
            coordinator.start();
            scheme = section.tls().isPresent() ? "https" : "http";
            address = new HostPort(section.listen().host(), coordinator.port());
        } catch (IOException | RuntimeException | Error e) {
            close();
            throw e;
        }
    }

    /// Everything in this process.
    static Serving everything(Path model, ClusterFile file, Optional<String> kernels)
            throws IOException {
        return new Serving(model, file, Optional.empty(), kernels, true);
    }

    /// A coordinator of the cluster file's workers, and of those that join.
    ///
    /// @param name among coordinators; empty takes the host's and the port
    static Serving cluster(
            Path model, ClusterFile file, Optional<String> name, Optional<String> kernels)
            throws IOException {
        return new Serving(model, file, name, kernels, false);
    }

    /// Everything in this process, on a free port of the loopback interface, with every default.
    public static Serving onLoopback(Path model) throws IOException {
        return onLoopback(model, ClusterFile.defaults());
    }

    /// Everything in this process, on a free port of the loopback interface, with the file's settings.
    public static Serving onLoopback(Path model, ClusterFile file) throws IOException {
        return everything(model, file.listeningOn(new HostPort("127.0.0.1", 0)), Optional.empty());
    }

    /// A coordinator calls the expert workers too, wherever the attention stack is.
    private static NodeSecurity security(ClusterFile file, boolean localExperts)
            throws IOException {
        List<HostPort> called = new ArrayList<>();
        if (!localExperts) {
            file.coordinator().attentionWorker().ifPresent(called::add);
            called.addAll(NodeSecurity.expertWorkers(file));
        }
        return NodeSecurity.open(file, "coordinator", List.of(), called);
    }

    private AttentionWorker attentionWorker(
            ModelDirectory model,
            Tokenizer tokenizer,
            ConstraintCache constraints,
            ClusterFile file,
            JoinedCluster cluster,
            Optional<String> kernels,
            boolean localExperts,
            ChannelCredentials credentials)
            throws IOException {
        if (localExperts) {
            return opened.add(
                            AttentionParts.withLocalExperts(
                                    model, tokenizer.size(), constraints, file, kernels))
                    .worker();
        }
        Optional<HostPort> remote = file.coordinator().attentionWorker();
        if (remote.isPresent()) {
            return opened.add(
                    new RemoteAttentionWorker(
                            remote.get().host(),
                            remote.get().port(),
                            credentials,
                            file.clusterId(),
                            "coordinator",
                            ATTENTION_CALL_TIMEOUT));
        }
        return opened.add(
                        AttentionParts.withRemoteExperts(
                                model,
                                tokenizer.size(),
                                constraints,
                                file,
                                cluster,
                                kernels,
                                credentials))
                .worker();
    }

    private static CoordinatorSettings settings(
            CoordinatorSection section,
            ClusterFile file,
            AttentionWorker worker,
            String modelName,
            Optional<ClusterSettings> cluster) {
        HttpSettings http = HttpSettings.defaults();
        EngineSettings engine = EngineSettings.defaults();
        return new CoordinatorSettings(
                new HttpSettings(
                        section.listen().host(),
                        section.listen().port(),
                        http.maxConnections(),
                        section.maxBodyBytes(),
                        http.maxJsonDepth(),
                        section.maxPromptTokens(),
                        section.maxOutputTokens(),
                        section.maxQueueTime(),
                        section.requestTimeout(),
                        http.readTimeout(),
                        http.writeTimeout(),
                        section.heartbeat()),
                new GateSettings(
                        section.apiKeys(),
                        section.tls().map(tls -> new TlsFiles(tls.certificate(), tls.key())),
                        section.corsOrigins(),
                        section.accessLog()),
                new EngineSettings(
                        section.maxRunningRequests(),
                        section.maxQueuedRequests(),
                        Math.min(section.maxStepRows(), worker.info().maxStepRows()),
                        section.maxDecodeDelay(),
                        section.checkpointRows(),
                        engine.maxBufferedEvents(),
                        file.attentionWorker()
                                .combineDeadline()
                                .plus(file.attentionWorker().reconnectGrace()),
                        section.drainTimeout()),
                section.traces()
                        .map(
                                traces ->
                                        new TraceSettings(
                                                traces.endpoint(),
                                                traces.sampleRatio(),
                                                modelName)),
                cluster);
    }

    /// The expert workers to look after.
    private static Optional<ClusterSettings> settings(
            ModelDirectory model,
            ClusterFile file,
            JoinedCluster cluster,
            ChannelCredentials credentials) {
        if (file.expertWorkers().isEmpty() && file.membership().isEmpty()) {
            return Optional.empty();
        }
        return Optional.of(
                new ClusterSettings(
                        file.clusterId(),
                        file.expertWorkers().stream()
                                .map(
                                        each ->
                                                new WorkerAddress(
                                                        each.name(),
                                                        each.address().host(),
                                                        each.address().port()))
                                .toList(),
                        model.config().text().expertsPerToken(),
                        file.replication(),
                        ClusterSettings.DEFAULT_POLL,
                        file.goneAfter(),
                        credentials,
                        cluster,
                        cluster.placementTable()));
    }

    /// Where the API is.
    public URI url() {
        return URI.create(scheme + "://" + address);
    }

    /// What clients call the model.
    public String modelName() {
        return modelName;
    }

    HostPort address() {
        return address;
    }

    /// The line that describes the attention stack's kernels.
    String kernels() {
        return worker.info().kernels();
    }

    @Override
    public void close() {
        opened.close();
    }
}
