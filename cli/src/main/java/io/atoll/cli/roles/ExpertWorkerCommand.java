package io.atoll.cli.roles;

import io.atoll.cluster.config.ClusterFile;
import io.atoll.cluster.config.ClusterFile.ExpertWorkerSection;
import io.atoll.cluster.config.HostPort;
import io.atoll.cluster.membership.NodeRole;
import io.atoll.cluster.placement.ExpertShard;
import io.atoll.expert.DeviceChoice;
import io.atoll.expert.ExpertWorker;
import io.atoll.expert.ExpertWorkerSettings;
import io.atoll.expert.transfer.ModelShape;
import io.atoll.expert.transfer.PeerExperts;
import io.atoll.kernels.KernelLibrary;
import io.atoll.kernels.WeightFormat;
import io.atoll.model.ModelDirectory;
import io.atoll.model.weights.WeightPacking;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/// Holds a shard of the experts and answers dispatches.
@Command(
        name = "expert-worker",
        description = "Hold a shard of the experts and answer dispatches.",
        footer = {
            "",
            "Examples:",
            "  atoll expert-worker --config cluster.yaml --name w1",
            "  atoll expert-worker --model DIR --name w1 --listen 127.0.0.1:7001 --experts 1/2",
            "  atoll expert-worker --config cluster.yaml --name w9 --listen 10.0.0.19:7001",
            "",
            "The last one joins a running cluster, whose file has a `membership` section but no w9."
                    + " It holds",
            "nothing until `atoll rebalance` or another worker's failure gives it experts."
        })
public final class ExpertWorkerCommand implements Callable<Integer> {
    private static final Duration PEER_PATIENCE = Duration.ofMinutes(1);
    private static final Pattern PART = Pattern.compile("(\\d{1,4})/(\\d{1,4})");

    @Mixin private ClusterOptions options;

    @Option(
            names = "--name",
            paramLabel = "NAME",
            required = true,
            description = "Which worker of the cluster file this is, or what to call it.")
    private String name;

    @Option(
            names = "--listen",
            paramLabel = "HOST:PORT",
            description =
                    "Where to listen; port 0 takes a free one. Default: its address in the file.")
    private Optional<String> listen;

    @Option(
            names = "--experts",
            paramLabel = "SHARD",
            description =
                    "What to hold: a part such as 1/2, experts of every layer such as 0-15, or"
                            + " 0-3:0-15;4-7:8-31.")
    private Optional<String> experts;

    @Option(
            names = "--expert-format",
            paramLabel = "FORMAT",
            description = {
                "q8 rounds the experts to 8 bits, half the memory of BF16; overrides the cluster"
                    + " file, and every worker needs the same. Default: the checkpoint's values."
            })
    private Optional<String> format;

    @Option(names = "--threads", paramLabel = "N", description = "Default: every processor.")
    private Optional<Integer> threads;

    @Option(
            names = "--device",
            paramLabel = "DEVICE",
            description =
                    "auto, cpu, or cuda for GPUs, which are an error if they can't be used."
                            + " Default: the cluster file's, else auto.")
    private Optional<String> device;

    @Option(names = "--cluster-id", paramLabel = "ID", description = "Overrides the cluster file.")
    private Optional<String> clusterId;

    @Option(
            names = "--advertise",
            paramLabel = "HOST:PORT",
            description =
                    "Where the others of a cluster with `membership` find it. Default: where it"
                            + " listens.")
    private Optional<String> advertised;

    @Option(
            names = "--label",
            paramLabel = "KEY=VALUE",
            description = "What `atoll nodes` is to say of it, such as rack=b; may be repeated.")
    private Map<String, String> labels = Map.of();

    @Override
    public Integer call() throws Exception {
        ClusterFile file = options.file();
        ExpertWorkerSection section = section(file);
        try (OpenedParts opened = new OpenedParts()) {
            NodeSecurity security =
                    opened.add(
                            NodeSecurity.open(
                                    file,
                                    "expert-worker " + name,
                                    List.of(section.address()),
                                    NodeSecurity.members(file)));
            Optional<Path> here = options.modelIfHere(file);
            if (here.isPresent() || !hasPeers(file)) {
                fromModel(file, section, options.model(file), security, opened);
            } else {
                fromPeers(file, section, security, opened);
            }
        }
        return 0;
    }

    private boolean hasPeers(ClusterFile file) {
        return file.membership().isPresent()
                || file.expertWorkers().stream().anyMatch(worker -> !worker.name().equals(name));
    }

    private void fromModel(
            ClusterFile file,
            ExpertWorkerSection section,
            Path model,
            NodeSecurity security,
            OpenedParts opened)
            throws Exception {
        ExpertShard shard;
        try (ModelDirectory directory = ModelDirectory.open(model)) {
            shard =
                    shard(
                            file,
                            section,
                            WeightPacking.routedLayers(directory.textWeights()),
                            directory.config().text().experts());
        }
        Path weights = model;
        if (!shard.isEmpty()) {
            boolean rounded = weightFormat(file).isPresent();
            Optional<CachedPack> pack =
                    CachedPack.experts(model, file, rounded, shard).map(opened::add);
            weights = pack.map(cached -> cached.model().path()).orElse(model);
        }
        ExpertWorkerSettings settings = settings(file, section, weights, model, shard);
        describe("model " + weights, settings);
        ExpertWorker worker = opened.add(ExpertWorker.open(settings, security.server()));
        worker.start();
        HostPort address = new HostPort(settings.host(), worker.port());
        join(file, address, opened); // left first, so that no coordinator takes it for lost
        RoleProcess.serve("expert-worker " + name, address, options.stopWithStdin(), opened);
    }

    /// Without the model's files: what it is, and its experts, come from workers that have them.
    private void fromPeers(
            ClusterFile file,
            ExpertWorkerSection section,
            NodeSecurity security,
            OpenedParts opened)
            throws Exception {
        if (section.address().port() == 0) {
            throw options.usage(
                    "the model is not on this machine, so the worker joins before it listens:"
                            + " --listen needs a port");
        }
        JoinedCluster cluster = join(file, section.address(), opened);
        PeerExperts peers =
                opened.add(
                        new PeerExperts(
                                clusterId.orElse(file.clusterId()),
                                () -> {
                                    Map<String, HostPort> others = cluster.allExpertWorkers();
                                    others.remove(name);
                                    return others;
                                },
                                security.client()));
        System.out.println("the model is not on this machine: asking the other workers");
        ModelShape model = peers.shape(PEER_PATIENCE);
        ExpertShard shard = shard(file, section, model.layers(), model.experts());
        ExpertWorkerSettings settings =
                settings(file, section, Path.of("peers"), Path.of("peers"), shard);
        describe("experts from other workers", settings);
        ExpertWorker worker =
                opened.add(ExpertWorker.open(settings, security.server(), Optional.of(peers)));
        worker.start();
        RoleProcess.serve(
                "expert-worker " + name, section.address(), options.stopWithStdin(), opened);
    }

    private JoinedCluster join(ClusterFile file, HostPort address, OpenedParts opened)
            throws IOException {
        return opened.add(
                JoinedCluster.join(
                        file,
                        NodeRole.EXPERT_WORKER,
                        Optional.of(name),
                        advertised(address),
                        labels));
    }

    private void describe(String source, ExpertWorkerSettings settings) {
        System.out.printf(
                "expert worker %s of cluster %s: %s, experts %s%n%s%n",
                name,
                settings.clusterId(),
                source,
                settings.shard(),
                KernelLibrary.describe(
                        KernelLibrary.select(settings.kernels()), settings.threads()));
    }

    /// @param weights where the shard's experts are read from
    /// @param source where others are read from later
    private ExpertWorkerSettings settings(
            ClusterFile file,
            ExpertWorkerSection section,
            Path weights,
            Path source,
            ExpertShard shard) {
        return new ExpertWorkerSettings(
                name,
                clusterId.orElse(file.clusterId()),
                weights,
                shard,
                section.address().host(),
                section.address().port(),
                options.kernels(file),
                ClusterOptions.threads(threads.orElse(section.threads())),
                weightFormat(file),
                section.maxQueuedDispatches(),
                ExpertWorkerSettings.DEFAULT_QUEUE_BYTES,
                ExpertWorkerSettings.defaultSpin(),
                ExpertWorkerSettings.DEFAULT_GRACE,
                DeviceChoice.parse(device.orElse(section.device())),
                source,
                section.memoryBytes() == 0
                        ? ExpertWorkerSettings.defaultMemoryBytes()
                        : section.memoryBytes(),
                file.transferBytesPerSecond());
    }

    private HostPort advertised(HostPort address) {
        try {
            return advertised.map(HostPort::parse).orElse(address);
        } catch (IllegalArgumentException e) {
            throw options.usage("--advertise: " + e.getMessage());
        }
    }

    private ExpertWorkerSection section(ClusterFile file) {
        boolean known = file.expertWorkers().stream().anyMatch(w -> w.name().equals(name));
        try {
            if (known || listen.isEmpty()) {
                ExpertWorkerSection section = file.expertWorker(name);
                return listen.isEmpty()
                        ? section
                        : new ExpertWorkerSection(
                                name,
                                HostPort.parse(listen.get()),
                                section.experts(),
                                section.threads(),
                                section.maxQueuedDispatches(),
                                section.device(),
                                section.memoryBytes());
            }
            return new ExpertWorkerSection(
                    name, HostPort.parse(listen.get()), Optional.empty(), null, null, null, null);
        } catch (IllegalArgumentException e) {
            throw options.usage(
                    e.getMessage() + (known ? "" : "; give --listen to run one without it"));
        }
    }

    /// What to hold: the option, else the file, else an equal part among the workers that the file gives none. One that the file does not
    /// know joins with nothing, or is all there is.
    private ExpertShard shard(
            ClusterFile file, ExpertWorkerSection section, int layers, int experts) {
        Optional<String> given = this.experts.or(section::experts);
        try {
            if (given.isPresent()) {
                Matcher part = PART.matcher(given.get());
                return part.matches()
                        ? ExpertShard.part(
                                layers,
                                experts,
                                Integer.parseInt(part.group(1)) - 1,
                                Integer.parseInt(part.group(2)))
                        : ExpertShard.parse(given.get(), layers, experts);
            }
            List<String> sharing =
                    file.expertWorkers().stream()
                            .filter(worker -> worker.experts().isEmpty())
                            .map(ExpertWorkerSection::name)
                            .toList();
            if (!sharing.contains(name)) {
                return file.membership().isPresent()
                        ? ExpertShard.none(layers, experts)
                        : ExpertShard.all(layers, experts);
            }
            // Its own part and those of the next workers, so that each part is on as many as there
            // are to be copies.
            ExpertShard shard = ExpertShard.none(layers, experts);
            for (int i = 0; i < Math.min(file.replication(), sharing.size()); i++) {
                int part = (sharing.indexOf(name) + i) % sharing.size();
                shard = shard.plus(ExpertShard.part(layers, experts, part, sharing.size()));
            }
            return shard;
        } catch (IllegalArgumentException e) {
            throw options.usage("experts: " + e.getMessage());
        }
    }

    private Optional<WeightFormat> weightFormat(ClusterFile file) {
        return format.or(file::expertFormat)
                .map(
                        text -> {
                            if (!text.equals("q8")) {
                                throw options.usage("--expert-format must be q8: " + text);
                            }
                            return WeightFormat.Q8;
                        });
    }
}
