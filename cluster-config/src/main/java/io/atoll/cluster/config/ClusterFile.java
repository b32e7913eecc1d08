package io.atoll.cluster.config;

import com.fasterxml.jackson.core.type.TypeReference;
import java.net.URI;
import java.nio.file.Path;
import java.time.Duration;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

/// The whole cluster in one file. Every process reads the same file and finds its own part in it.
///
/// ```yaml
/// cluster-id: demo
/// model: /models/Qwen3.5-35B-A3B
/// security: {ca: /etc/atoll/ca.pem, certificate: /etc/atoll/node.pem, key: /etc/atoll/node.key}
/// coordinator:
///   listen: 0.0.0.0:8000
/// expert-workers:
///   - name: w1
///     address: 10.0.0.11:7001
///   - name: w2
///     address: 10.0.0.12:7001
///     experts: 128-255
/// ```
///
/// @param clusterId processes of different clusters refuse each other
/// @param model directory of the checkpoint, a GGUF file or a pack; a process may be given another with `--model`
/// @param kernels forces a kernel class by its label; empty takes the best
/// @param expertFormat `q8` rounds the experts to 8 bits as they are loaded; empty keeps the checkpoint's values
/// @param packCache directory where each process packs its part of the model at its first start, to map it at later ones;
///     empty packs in memory at every start
/// @param packCacheBytes most that the packs in it take together; the longest unused make room
/// @param replication copies that each expert should have on different workers; workers without `experts` of their own take
///     parts that overlap so, and lost copies are made again elsewhere
/// @param goneAfter an expert worker that has not answered for this long is given up, and what it held is copied elsewhere
/// @param transferBytesPerSecond most that an expert worker sends to others that fetch experts from it; 0 is no bound
/// @param security how the processes know each other; empty is for a cluster that stays on the loopback interface
/// @param membership how they find each other, so that workers can join and a second coordinator can stand by; empty is for a
///     cluster of the processes that this file lists
/// @param coordinator the HTTP side
/// @param attentionWorker the attention stack
/// @param expertWorkers the workers and what they hold
public record ClusterFile(
        String clusterId,
        Optional<Path> model,
        Optional<String> kernels,
        Optional<String> expertFormat,
        Optional<Path> packCache,
        Long packCacheBytes,
        Integer replication,
        Duration goneAfter,
        Long transferBytesPerSecond,
        Optional<SecuritySection> security,
        Optional<MembershipSection> membership,
        CoordinatorSection coordinator,
        AttentionSection attentionWorker,
        List<ExpertWorkerSection> expertWorkers) {
    private static final long DEFAULT_PACK_CACHE_BYTES = 500_000_000_000L;
    private static final Pattern ORIGIN =
            Pattern.compile("https?://([A-Za-z0-9.-]+|\\[[0-9a-fA-F:]+])(:\\d{1,5})?");

    public ClusterFile {
        clusterId = clusterId == null ? "atoll" : clusterId;
        model = model == null ? Optional.empty() : model;
        kernels = kernels == null ? Optional.empty() : kernels;
        expertFormat = expertFormat == null ? Optional.empty() : expertFormat;
        if (expertFormat.isPresent() && !expertFormat.get().equals("q8")) {
            throw new IllegalArgumentException(
                    "expert-format must be q8 or absent: " + expertFormat.get());
        }
        packCache = packCache == null ? Optional.empty() : packCache;
        packCacheBytes = packCacheBytes == null ? DEFAULT_PACK_CACHE_BYTES : packCacheBytes;
        if (packCacheBytes <= 0) {
            throw new IllegalArgumentException(
                    "pack-cache-bytes must be positive: " + packCacheBytes);
        }
        replication = ranged("replication", replication, 1, 1, 16);
        goneAfter = positive("gone-after", goneAfter, Duration.ofSeconds(30));
        transferBytesPerSecond = transferBytesPerSecond == null ? 0 : transferBytesPerSecond;
        if (transferBytesPerSecond < 0) {
            throw new IllegalArgumentException(
                    "transfer-bytes-per-second must not be negative: " + transferBytesPerSecond);
        }
        security = security == null ? Optional.empty() : security;
        membership = membership == null ? Optional.empty() : membership;
        coordinator = coordinator == null ? CoordinatorSection.DEFAULTS : coordinator;
        attentionWorker = attentionWorker == null ? AttentionSection.DEFAULTS : attentionWorker;
        expertWorkers = expertWorkers == null ? List.of() : List.copyOf(expertWorkers);
        Set<String> names = new HashSet<>();
        for (ExpertWorkerSection worker : expertWorkers) {
            if (!names.add(worker.name())) {
                throw new IllegalArgumentException(
                        "two expert workers are named '" + worker.name() + "'");
            }
        }
    }

    /// A cluster with every default and no worker.
    public static ClusterFile defaults() {
        return new ClusterFile(
                null,
                Optional.empty(),
                Optional.empty(),
                Optional.empty(),
                Optional.empty(),
                null,
                null,
                null,
                null,
                Optional.empty(),
                Optional.empty(),
                null,
                null,
                null);
    }

    /// The same cluster with its API at another address.
    public ClusterFile listeningOn(HostPort address) {
        CoordinatorSection c = coordinator;
        return new ClusterFile(
                clusterId,
                model,
                kernels,
                expertFormat,
                packCache,
                packCacheBytes,
                replication,
                goneAfter,
                transferBytesPerSecond,
                security,
                membership,
                new CoordinatorSection(
                        address,
                        c.modelName,
                        c.attentionWorker,
                        c.maxQueuedRequests,
                        c.maxRunningRequests,
                        c.maxStepRows,
                        c.maxDecodeDelay,
                        c.checkpointRows,
                        c.maxBodyBytes,
                        c.maxPromptTokens,
                        c.maxOutputTokens,
                        c.maxQueueTime,
                        c.requestTimeout,
                        c.drainTimeout,
                        c.apiKeys,
                        c.tls,
                        c.corsOrigins,
                        c.accessLog,
                        c.heartbeat,
                        c.traces,
                        c.placementFile),
                attentionWorker,
                expertWorkers);
    }

    /// The same cluster with another attention section.
    public ClusterFile with(AttentionSection attention) {
        return new ClusterFile(
                clusterId,
                model,
                kernels,
                expertFormat,
                packCache,
                packCacheBytes,
                replication,
                goneAfter,
                transferBytesPerSecond,
                security,
                membership,
                coordinator,
                attention,
                expertWorkers);
    }

    /// The same settings for a cluster of processes of this machine, which need neither certificates nor to find each other.
    public ClusterFile onThisMachine(String id, List<ExpertWorkerSection> workers) {
        return new ClusterFile(
                id,
                model,
                kernels,
                expertFormat,
                packCache,
                packCacheBytes,
                replication,
                goneAfter,
                transferBytesPerSecond,
                Optional.empty(),
                Optional.empty(),
                coordinator,
                attentionWorker,
                workers);
    }

    /// The worker with this name.
    ///
    /// @throws IllegalArgumentException naming those there are
    public ExpertWorkerSection expertWorker(String name) {
        return expertWorkers.stream()
                .filter(worker -> worker.name().equals(name))
                .findFirst()
                .orElseThrow(
                        () ->
                                new IllegalArgumentException(
                                        "no expert worker is named '"
                                                + name
                                                + "', the file has "
                                                + expertWorkers.stream()
                                                        .map(ExpertWorkerSection::name)
                                                        .collect(
                                                                Collectors.joining(
                                                                        ", ", "[", "]"))));
    }

    /// How the processes of a cluster know each other: by certificates of one authority, which `atoll certs` makes, or not at all.
    ///
    /// The three files are PEM, and read again when they change. The same paths hold on every machine; a node's certificate and key
    /// are its own.
    ///
    /// @param ca the certificates of the authority
    /// @param certificate this node's
    /// @param key the private key of this node, not encrypted
    /// @param insecure true goes without, also where others can read and change what travels
    public record SecuritySection(
            Optional<Path> ca, Optional<Path> certificate, Optional<Path> key, Boolean insecure) {
        public SecuritySection {
            ca = ca == null ? Optional.empty() : ca;
            certificate = certificate == null ? Optional.empty() : certificate;
            key = key == null ? Optional.empty() : key;
            insecure = insecure != null && insecure;
            boolean all = ca.isPresent() && certificate.isPresent() && key.isPresent();
            boolean none = ca.isEmpty() && certificate.isEmpty() && key.isEmpty();
            if (insecure ? !none : !all) {
                throw new IllegalArgumentException(
                        "security needs ca, certificate and key, or insecure: true and none of"
                                + " them");
            }
        }
    }

    /// How the processes of a cluster find each other and see who leaves, by Hazelcast.
    ///
    /// What that sends is not encrypted, so where nodes are on several machines its `interfaces` should be those of a protected network.
    ///
    /// @param members where to look for other members, as `host` or `host:port`; one that is up is enough
    /// @param port the first that is tried; further processes of a machine take the next of 20
    /// @param interfaces addresses of the network interfaces to listen on: `10.0.0.*`, `10.0.0.10-20`
    /// @param kubernetesService finds members as the addresses of a headless service, by its DNS name, instead of `members`
    /// @param minMembers a coordinator that reaches fewer members, itself counted, changes nothing: more than half of what there
    ///     usually are keeps both sides of a cut network from having one that does
    public record MembershipSection(
            List<String> members,
            Integer port,
            List<String> interfaces,
            Optional<String> kubernetesService,
            Integer minMembers) {
        /// Processes of a machine that can be members.
        public static final int PORTS = 20;

        private static final Pattern INTERFACE = Pattern.compile("[0-9A-Fa-f.:*-]{2,64}");

        public MembershipSection {
            members = members == null ? List.of() : List.copyOf(members);
            port = ranged("port", port, 5701, 1, 65_535 - PORTS);
            interfaces = interfaces == null ? List.of("127.0.0.1") : List.copyOf(interfaces);
            kubernetesService = kubernetesService == null ? Optional.empty() : kubernetesService;
            minMembers = ranged("min-members", minMembers, 1, 1, 10_000);
            if (members.isEmpty() == kubernetesService.isEmpty()) {
                throw new IllegalArgumentException(
                        "membership needs members, or kubernetes-service and no members");
            }
            for (String each : interfaces) {
                if (!INTERFACE.matcher(each).matches()) {
                    throw new IllegalArgumentException(
                            "interfaces must be addresses such as 10.0.0.*: " + each);
                }
            }
        }
    }

    /// The HTTP side of a cluster.
    ///
    /// @param listen where the API listens
    /// @param modelName the name clients use; empty takes the name of the model's directory or file
    /// @param attentionWorker address of a remote attention worker; empty embeds one
    /// @param maxQueuedRequests requests that wait before new ones are shed with 429
    /// @param maxRunningRequests requests that decode together
    /// @param maxStepRows rows of one step, decode and prefill together
    /// @param maxDecodeDelay how long a step with prompt rows may take while other sequences wait for their next token
    /// @param checkpointRows a checkpoint for later prompts is kept at each multiple of it, and where messages begin
    /// @param maxBodyBytes largest request body
    /// @param maxPromptTokens longest prompt
    /// @param maxOutputTokens most a request may ask for
    /// @param maxQueueTime a request that has not begun by then is shed
    /// @param requestTimeout a request ends by then
    /// @param drainTimeout how long running requests may go on after a stop was asked for
    /// @param apiKeys an [ApiKeysFile], read again when it changes; empty lets anybody in
    /// @param tls the certificate to serve HTTPS with; empty serves HTTP
    /// @param corsOrigins web pages of these origins may use the API from a browser: `https://chat.example.org`
    /// @param accessLog whether each request becomes a line of the log `atoll.access`
    /// @param heartbeat a stream that is silent for this long, as during a long prefill, gets a sign of life
    /// @param traces where the spans of requests go; empty makes none
    /// @param placementFile where it is kept what each worker should hold, for the time after a restart; empty keeps it with the
    ///     cluster's members only, if there are any
    public record CoordinatorSection(
            HostPort listen,
            Optional<String> modelName,
            Optional<HostPort> attentionWorker,
            Integer maxQueuedRequests,
            Integer maxRunningRequests,
            Integer maxStepRows,
            Duration maxDecodeDelay,
            Integer checkpointRows,
            Integer maxBodyBytes,
            Integer maxPromptTokens,
            Integer maxOutputTokens,
            Duration maxQueueTime,
            Duration requestTimeout,
            Duration drainTimeout,
            Optional<Path> apiKeys,
            Optional<TlsSection> tls,
            List<String> corsOrigins,
            Boolean accessLog,
            Duration heartbeat,
            Optional<TracesSection> traces,
            Optional<Path> placementFile) {
        static final CoordinatorSection DEFAULTS =
                new CoordinatorSection(
                        null,
                        Optional.empty(),
                        Optional.empty(),
                        null,
                        null,
                        null,
                        null,
                        null,
                        null,
                        null,
                        null,
                        null,
                        null,
                        null,
                        Optional.empty(),
                        Optional.empty(),
                        null,
                        null,
                        null,
                        Optional.empty(),
                        Optional.empty());

        public CoordinatorSection {
            listen = listen == null ? new HostPort("127.0.0.1", 8000) : listen;
            modelName = modelName == null ? Optional.empty() : modelName;
            attentionWorker = attentionWorker == null ? Optional.empty() : attentionWorker;
            maxQueuedRequests = ranged("max-queued-requests", maxQueuedRequests, 64, 1, 100_000);
            maxRunningRequests = ranged("max-running-requests", maxRunningRequests, 16, 1, 4096);
            maxStepRows = ranged("max-step-rows", maxStepRows, 256, 1, 65_536);
            maxDecodeDelay = positive("max-decode-delay", maxDecodeDelay, Duration.ofMillis(500));
            checkpointRows = ranged("checkpoint-rows", checkpointRows, 2048, 0, Integer.MAX_VALUE);
            maxBodyBytes = ranged("max-body-bytes", maxBodyBytes, 16 << 20, 1024, 1 << 30);
            maxPromptTokens =
                    ranged("max-prompt-tokens", maxPromptTokens, 1 << 20, 1, Integer.MAX_VALUE);
            maxOutputTokens =
                    ranged("max-output-tokens", maxOutputTokens, 1 << 20, 1, Integer.MAX_VALUE);
            maxQueueTime = positive("max-queue-time", maxQueueTime, Duration.ofMinutes(2));
            requestTimeout = positive("request-timeout", requestTimeout, Duration.ofMinutes(10));
            drainTimeout = positive("drain-timeout", drainTimeout, Duration.ofSeconds(20));
            apiKeys = apiKeys == null ? Optional.empty() : apiKeys;
            tls = tls == null ? Optional.empty() : tls;
            corsOrigins = corsOrigins == null ? List.of() : List.copyOf(corsOrigins);
            for (String origin : corsOrigins) {
                if (!ORIGIN.matcher(origin).matches()) {
                    throw new IllegalArgumentException(
                            "cors-origins must be like https://host or http://host:port: "
                                    + origin);
                }
            }
            accessLog = accessLog == null || accessLog;
            heartbeat = positive("heartbeat", heartbeat, Duration.ofSeconds(10));
            traces = traces == null ? Optional.empty() : traces;
            placementFile = placementFile == null ? Optional.empty() : placementFile;
        }
    }

    /// OpenTelemetry traces of requests.
    ///
    /// @param endpoint of a collector, OTLP over HTTP, such as `http://localhost:4318/v1/traces`
    /// @param sampleRatio share of the requests that are traced, 0 to 1; one that belongs to a caller's trace follows the
    ///     caller's decision
    public record TracesSection(URI endpoint, Double sampleRatio) {
        public TracesSection {
            if (endpoint == null) {
                throw new IllegalArgumentException("traces need an endpoint");
            }
            String scheme = String.valueOf(endpoint.getScheme());
            if (!(scheme.equals("http") || scheme.equals("https")) || endpoint.getHost() == null) {
                throw new IllegalArgumentException(
                        "traces: endpoint must be like http://host:4318/v1/traces: " + endpoint);
            }
            sampleRatio = sampleRatio == null ? 1.0 : sampleRatio;
            if (!(sampleRatio >= 0 && sampleRatio <= 1)) {
                throw new IllegalArgumentException(
                        "traces: sample-ratio must be from 0 to 1: " + sampleRatio);
            }
        }
    }

    /// A certificate and its key, both PEM; read again when they change.
    ///
    /// @param certificate the certificate, then those of its issuers
    /// @param key the private key, not encrypted
    public record TlsSection(Path certificate, Path key) {
        public TlsSection {
            if (certificate == null || key == null) {
                throw new IllegalArgumentException("tls needs a certificate and a key");
            }
        }
    }

    /// The attention stack.
    ///
    /// @param listen where an attention worker of its own process listens
    /// @param threads compute threads; 0 takes one for each processor
    /// @param maxSequences sequences open at once
    /// @param maxSequenceTokens longest sequence; 0 takes the model's limit
    /// @param prefixCacheMegabytes memory for the recurrent states of checkpoints, from which later prompts go on; their keys and
    ///     values live in what running sequences leave of the KV cache. 0 keeps none
    /// @param kvTokens positions of all sequences and checkpoints together that the KV cache has room for; 0 takes 8 sequences of full
    ///     length or 65536, whichever is less, and at least one full sequence
    /// @param kvFormat how keys and values are kept: `bf16`, or `f32` at twice the memory
    /// @param combineDeadline longest wait for the expert replies of one layer
    /// @param failureDeadline an expert worker that gives no sign of life for this long counts as dead
    /// @param reconnectGrace how long a dispatch waits for experts that no live worker holds, until their worker is back or the
    ///     coordinator has had another one load them
    /// @param checkpointDirectory where checkpoints go that memory has no room for, to be found again, also after a restart; each
    ///     attention worker needs one of its own. Absent keeps them in memory only
    /// @param checkpointDirectoryBytes most that the files in it take together; the least valuable make room
    /// @param speculation how tokens are guessed
    public record AttentionSection(
            HostPort listen,
            Integer threads,
            Integer maxSequences,
            Integer maxSequenceTokens,
            Integer prefixCacheMegabytes,
            Integer kvTokens,
            String kvFormat,
            Duration combineDeadline,
            Duration failureDeadline,
            Duration reconnectGrace,
            Optional<Path> checkpointDirectory,
            Long checkpointDirectoryBytes,
            SpeculationSection speculation) {
        private static final long DEFAULT_CHECKPOINT_BYTES = 64L << 30;
        private static final List<String> KV_FORMATS = List.of("bf16", "f32");

        static final AttentionSection DEFAULTS =
                new AttentionSection(
                        null,
                        null,
                        null,
                        null,
                        null,
                        null,
                        null,
                        null,
                        null,
                        null,
                        Optional.empty(),
                        null,
                        null);

        public AttentionSection {
            listen = listen == null ? new HostPort("127.0.0.1", 7100) : listen;
            threads = ranged("threads", threads, 0, 0, 1024);
            maxSequences = ranged("max-sequences", maxSequences, 16, 1, 4096);
            maxSequenceTokens =
                    ranged("max-sequence-tokens", maxSequenceTokens, 0, 0, Integer.MAX_VALUE);
            prefixCacheMegabytes =
                    ranged("prefix-cache-megabytes", prefixCacheMegabytes, 2048, 0, 1 << 30);
            kvTokens = ranged("kv-tokens", kvTokens, 0, 0, Integer.MAX_VALUE);
            kvFormat = kvFormat == null ? "bf16" : kvFormat;
            if (!KV_FORMATS.contains(kvFormat)) {
                throw new IllegalArgumentException(
                        "kv-format must be one of " + KV_FORMATS + ": " + kvFormat);
            }
            combineDeadline = positive("combine-deadline", combineDeadline, Duration.ofSeconds(30));
            failureDeadline = positive("failure-deadline", failureDeadline, Duration.ofSeconds(2));
            if (failureDeadline.compareTo(Duration.ofMillis(200)) < 0) {
                throw new IllegalArgumentException(
                        "failure-deadline must be at least 200ms: "
                                + ConfigYaml.text(failureDeadline));
            }
            reconnectGrace = positive("reconnect-grace", reconnectGrace, Duration.ofSeconds(30));
            checkpointDirectory =
                    checkpointDirectory == null ? Optional.empty() : checkpointDirectory;
            checkpointDirectoryBytes =
                    checkpointDirectoryBytes == null
                            ? DEFAULT_CHECKPOINT_BYTES
                            : checkpointDirectoryBytes;
            if (checkpointDirectoryBytes <= 0) {
                throw new IllegalArgumentException(
                        "checkpoint-directory-bytes must be positive: " + checkpointDirectoryBytes);
            }
            speculation = speculation == null ? SpeculationSection.DEFAULTS : speculation;
        }

        /// The same for measuring single steps: without checkpoints and guesses.
        public AttentionSection bare(int ofThreads, int sequences, int longest, int positions) {
            return new AttentionSection(
                    listen,
                    ofThreads,
                    sequences,
                    longest,
                    0,
                    positions,
                    kvFormat,
                    combineDeadline,
                    failureDeadline,
                    reconnectGrace,
                    Optional.empty(),
                    null,
                    new SpeculationSection("off", null));
        }
    }

    /// How tokens are guessed, to be verified several in one step. It changes how fast tokens come, never which.
    ///
    /// @param drafter who guesses: `mtp`, the model's multi-token prediction module if it has one; `ngram`, what followed the same
    ///     tokens before in the sequence; or `off`
    /// @param maxDrafts most guesses for a sequence in a step, from 1 to 4; fewer where they do not pay
    public record SpeculationSection(String drafter, Integer maxDrafts) {
        private static final List<String> DRAFTERS = List.of("mtp", "ngram", "off");

        static final SpeculationSection DEFAULTS = new SpeculationSection(null, null);

        public SpeculationSection {
            drafter = drafter == null ? "off" : drafter;
            if (!DRAFTERS.contains(drafter)) {
                throw new IllegalArgumentException(
                        "drafter must be one of " + DRAFTERS + ": " + drafter);
            }
            maxDrafts = ranged("max-drafts", maxDrafts, 4, 1, 4);
        }
    }

    /// One expert worker.
    ///
    /// @param name unique in the cluster
    /// @param address where it listens and is reached
    /// @param experts what it holds, in the form of `ExpertShard`; empty takes an equal part among the workers that
    ///     have none given, in the order of the file
    /// @param threads compute threads; 0 takes one for each processor
    /// @param maxQueuedDispatches dispatches that wait before new ones are shed
    /// @param device `cpu`, `cuda`, or `auto` for GPUs where they can be used
    /// @param memoryBytes most that its experts may take; 0 takes four fifths of the machine's memory
    public record ExpertWorkerSection(
            String name,
            HostPort address,
            Optional<String> experts,
            Integer threads,
            Integer maxQueuedDispatches,
            String device,
            Long memoryBytes) {
        private static final List<String> DEVICES = List.of("auto", "cpu", "cuda");

        public ExpertWorkerSection {
            if (name == null || !name.matches("[A-Za-z0-9][A-Za-z0-9._-]{0,62}")) {
                throw new IllegalArgumentException(
                        "an expert worker needs a name of letters, digits, '.', '_' and '-': "
                                + name);
            }
            if (address == null) {
                throw new IllegalArgumentException("expert worker '" + name + "' needs an address");
            }
            experts = experts == null ? Optional.empty() : experts;
            threads = ranged("threads", threads, 0, 0, 1024);
            maxQueuedDispatches =
                    ranged("max-queued-dispatches", maxQueuedDispatches, 256, 1, 65_536);
            device = device == null ? "auto" : device;
            if (!DEVICES.contains(device)) {
                throw new IllegalArgumentException(
                        "device must be one of " + DEVICES + ": " + device);
            }
            memoryBytes = memoryBytes == null ? 0 : memoryBytes;
            if (memoryBytes < 0) {
                throw new IllegalArgumentException(
                        "memory-bytes must not be negative: " + memoryBytes);
            }
        }
    }

    /// Reads and checks a cluster file.
    public static ClusterFile read(Path file) throws ConfigFileException {
        return parse(ConfigYaml.text(file), file);
    }

    static ClusterFile parse(String text, Path file) throws ConfigFileException {
        return ConfigYaml.parse(text, file, new TypeReference<>() {});
    }

    /// The settings in force, as YAML that [#read] takes.
    public String toYaml() {
        return ConfigYaml.write(this);
    }

    private static int ranged(String field, Integer value, int fallback, int low, int high) {
        int checked = value == null ? fallback : value;
        if (checked < low || checked > high) {
            throw new IllegalArgumentException(
                    field + " must be from " + low + " to " + high + ": " + checked);
        }
        return checked;
    }

    private static Duration positive(String field, Duration value, Duration fallback) {
        Duration checked = value == null ? fallback : value;
        if (checked.isZero() || checked.compareTo(Duration.ofHours(24)) > 0) {
            throw new IllegalArgumentException(
                    field + " must be above 0 and at most 24h: " + ConfigYaml.text(checked));
        }
        return checked;
    }
}
