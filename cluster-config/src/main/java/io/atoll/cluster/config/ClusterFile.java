package io.atoll.cluster.config;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.core.JacksonException;
import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.databind.DeserializationContext;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonMappingException;
import com.fasterxml.jackson.databind.PropertyNamingStrategies;
import com.fasterxml.jackson.databind.SerializerProvider;
import com.fasterxml.jackson.databind.deser.std.StdDeserializer;
import com.fasterxml.jackson.databind.exc.UnrecognizedPropertyException;
import com.fasterxml.jackson.databind.module.SimpleModule;
import com.fasterxml.jackson.databind.ser.std.StdSerializer;
import com.fasterxml.jackson.databind.ser.std.ToStringSerializer;
import com.fasterxml.jackson.dataformat.yaml.YAMLFactory;
import com.fasterxml.jackson.dataformat.yaml.YAMLGenerator;
import com.fasterxml.jackson.dataformat.yaml.YAMLMapper;
import com.fasterxml.jackson.datatype.jdk8.Jdk8Module;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

/// The whole cluster in one file. Every process reads the same file and finds its own part in it.
///
/// ```yaml
/// cluster-id: demo
/// model: /models/Qwen3.5-35B-A3B
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
/// @param model directory of the checkpoint, or a GGUF file; a process may be given another with `--model`
/// @param kernels forces a kernel class by its label; empty takes the best
/// @param expertFormat `q8` rounds the experts to 8 bits as they are loaded; empty keeps the checkpoint's values
/// @param coordinator the HTTP side
/// @param attentionWorker the attention stack
/// @param expertWorkers the workers and what they hold
public record ClusterFile(
        String clusterId,
        Optional<Path> model,
        Optional<String> kernels,
        Optional<String> expertFormat,
        CoordinatorSection coordinator,
        AttentionSection attentionWorker,
        List<ExpertWorkerSection> expertWorkers) {
    private static final Pattern DURATION = Pattern.compile("(\\d{1,9})\\s*(ms|s|m|h)");
    private static final long MAX_FILE_BYTES = 1 << 20;

    public ClusterFile {
        clusterId = clusterId == null ? "atoll" : clusterId;
        model = model == null ? Optional.empty() : model;
        kernels = kernels == null ? Optional.empty() : kernels;
        expertFormat = expertFormat == null ? Optional.empty() : expertFormat;
        if (expertFormat.isPresent() && !expertFormat.get().equals("q8")) {
            throw new IllegalArgumentException(
                    "expert-format must be q8 or absent: " + expertFormat.get());
        }
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
                null, Optional.empty(), Optional.empty(), Optional.empty(), null, null, null);
    }

    /// The same cluster with its API at another address.
    public ClusterFile listeningOn(HostPort address) {
        CoordinatorSection c = coordinator;
        return new ClusterFile(
                clusterId,
                model,
                kernels,
                expertFormat,
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
                        c.drainTimeout),
                attentionWorker,
                expertWorkers);
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
            Duration drainTimeout) {
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
                        null);

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
    /// @param reconnectGrace how long a dispatch waits for a lost worker that has no replica
    public record AttentionSection(
            HostPort listen,
            Integer threads,
            Integer maxSequences,
            Integer maxSequenceTokens,
            Integer prefixCacheMegabytes,
            Integer kvTokens,
            String kvFormat,
            Duration combineDeadline,
            Duration reconnectGrace) {
        private static final List<String> KV_FORMATS = List.of("bf16", "f32");

        static final AttentionSection DEFAULTS =
                new AttentionSection(null, null, null, null, null, null, null, null, null);

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
            reconnectGrace = positive("reconnect-grace", reconnectGrace, Duration.ofSeconds(3));
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
    public record ExpertWorkerSection(
            String name,
            HostPort address,
            Optional<String> experts,
            Integer threads,
            Integer maxQueuedDispatches) {
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
        }
    }

    /// Reads and checks a cluster file.
    public static ClusterFile read(Path file) throws ConfigFileException {
        String text;
        try {
            long size = Files.size(file);
            if (size > MAX_FILE_BYTES) {
                throw new ConfigFileException(
                        file, 0, "", "has " + size + " bytes, at most " + MAX_FILE_BYTES);
            }
            text = Files.readString(file, StandardCharsets.UTF_8);
        } catch (NoSuchFileException _) {
            throw new ConfigFileException(file, 0, "", "there is no such file");
        } catch (IOException e) {
            throw new ConfigFileException(file, 0, "", "cannot be read: " + e.getMessage());
        }
        return parse(text, file);
    }

    static ClusterFile parse(String text, Path file) throws ConfigFileException {
        try {
            ClusterFile parsed = mapper().readValue(text, ClusterFile.class);
            if (parsed == null) {
                throw new ConfigFileException(file, 0, "", "is empty");
            }
            return parsed;
        } catch (UnrecognizedPropertyException e) {
            throw new ConfigFileException(
                    file,
                    line(e),
                    path(e),
                    "unknown key, expected one of "
                            + e.getKnownPropertyIds().stream()
                                    .map(Object::toString)
                                    .sorted()
                                    .toList());
        } catch (JsonMappingException e) {
            Throwable cause = e.getCause() == null ? e : e.getCause();
            String problem =
                    cause instanceof JacksonException jackson
                            ? jackson.getOriginalMessage()
                            : cause.getMessage();
            throw new ConfigFileException(file, line(e), path(e), problem.strip());
        } catch (JacksonException e) {
            throw new ConfigFileException(file, line(e), "", e.getOriginalMessage().strip());
        }
    }

    private static int line(JacksonException e) {
        return e.getLocation() == null ? 0 : e.getLocation().getLineNr();
    }

    private static String path(JsonMappingException e) {
        StringBuilder path = new StringBuilder();
        for (JsonMappingException.Reference reference : e.getPath()) {
            if (reference.getFieldName() == null) {
                path.append('[').append(reference.getIndex()).append(']');
            } else {
                path.append(path.isEmpty() ? "" : ".").append(reference.getFieldName());
            }
        }
        return path.toString();
    }

    /// The settings in force, as YAML that [#read] takes.
    public String toYaml() {
        try {
            return mapper().writeValueAsString(this);
        } catch (JacksonException e) {
            throw new IllegalStateException("a checked cluster file does not print", e);
        }
    }

    private static YAMLMapper mapper() {
        SimpleModule module = new SimpleModule();
        module.addDeserializer(Duration.class, new DurationReader());
        module.addSerializer(Duration.class, new DurationWriter());
        module.addSerializer(Path.class, new ToStringSerializer(Path.class));
        return YAMLMapper.builder(
                        YAMLFactory.builder()
                                .disable(YAMLGenerator.Feature.WRITE_DOC_START_MARKER)
                                .enable(YAMLGenerator.Feature.MINIMIZE_QUOTES)
                                .build())
                .propertyNamingStrategy(PropertyNamingStrategies.KEBAB_CASE)
                .enable(DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES)
                .disable(DeserializationFeature.ACCEPT_FLOAT_AS_INT)
                .enable(JsonParser.Feature.STRICT_DUPLICATE_DETECTION)
                .addModule(new Jdk8Module())
                .addModule(module)
                .defaultPropertyInclusion(
                        JsonInclude.Value.construct(
                                JsonInclude.Include.NON_ABSENT, JsonInclude.Include.ALWAYS))
                .build();
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
                    field + " must be above 0 and at most 24h: " + DurationWriter.text(checked));
        }
        return checked;
    }

    private static final class DurationReader extends StdDeserializer<Duration> {
        private static final long serialVersionUID = 1;

        DurationReader() {
            super(Duration.class);
        }

        @Override
        public Duration deserialize(JsonParser parser, DeserializationContext context)
                throws IOException {
            Matcher matcher = DURATION.matcher(parser.getText().strip());
            if (!matcher.matches()) {
                throw JsonMappingException.from(
                        parser,
                        "not a duration: '"
                                + parser.getText()
                                + "', expected a number and ms, s, m or h, as in 150ms");
            }
            long count = Long.parseLong(matcher.group(1));
            return switch (matcher.group(2)) {
                case "ms" -> Duration.ofMillis(count);
                case "s" -> Duration.ofSeconds(count);
                case "m" -> Duration.ofMinutes(count);
                default -> Duration.ofHours(count);
            };
        }
    }

    private static final class DurationWriter extends StdSerializer<Duration> {
        private static final long serialVersionUID = 1;

        DurationWriter() {
            super(Duration.class);
        }

        static String text(Duration value) {
            return value.toMillis() % 1000 == 0 ? value.toSeconds() + "s" : value.toMillis() + "ms";
        }

        @Override
        public void serialize(Duration value, JsonGenerator generator, SerializerProvider provider)
                throws IOException {
            generator.writeString(text(value));
        }
    }
}
