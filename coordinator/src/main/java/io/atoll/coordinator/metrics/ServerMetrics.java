package io.atoll.coordinator.metrics;

import io.atoll.attention.step.Speculation;
import io.atoll.coordinator.cluster.ClusterStatus;
import io.atoll.coordinator.engine.Engine;
import io.atoll.coordinator.engine.EngineObserver;
import io.atoll.coordinator.sequence.GenerationEvent;
import io.atoll.coordinator.sequence.GenerationRequest;
import io.atoll.coordinator.sequence.GenerationStats;
import io.atoll.coordinator.sequence.Sequence;
import io.atoll.proto.ErrorCode;
import io.atoll.proto.Failure;
import io.prometheus.metrics.config.EscapingScheme;
import io.prometheus.metrics.core.datapoints.CounterDataPoint;
import io.prometheus.metrics.core.metrics.Counter;
import io.prometheus.metrics.core.metrics.Histogram;
import io.prometheus.metrics.expositionformats.PrometheusTextFormatWriter;
import io.prometheus.metrics.model.registry.PrometheusRegistry;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.time.Duration;
import java.util.Locale;
import java.util.Optional;

/// Counts what the engine does, and writes it together with what the engine and its workers say of themselves.
///
/// The names follow vLLM's where the two mean the same thing. Histograms have fixed buckets; taking a number allocates nothing.
public final class ServerMetrics implements EngineObserver {
    /// The media type of [#scrape].
    public static final String CONTENT_TYPE = PrometheusTextFormatWriter.CONTENT_TYPE;

    /// Seconds: from what an idle machine needs for a short prompt to what patience bears.
    private static final double[] WAIT_BUCKETS = {
        0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 80, 160, 320, 640
    };

    /// Seconds: from one token of a small model to a step that holds a long prompt's rows.
    private static final double[] TOKEN_BUCKETS = {
        0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1, 2.5, 5,
        10
    };

    private static final double[] ROW_BUCKETS = {
        1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096
    };

    private final PrometheusRegistry registry = new PrometheusRegistry();
    private final PrometheusTextFormatWriter writer = PrometheusTextFormatWriter.create();
    private final WorkerMetrics workers = new WorkerMetrics(registry);
    private final ClusterMetrics clusters = new ClusterMetrics(registry);

    private final Histogram timeToFirstToken =
            histogram(
                    "atoll_time_to_first_token_seconds",
                    "From a request's arrival until its first token was chosen.",
                    WAIT_BUCKETS);
    private final Histogram interTokenLatency =
            histogram(
                    "atoll_inter_token_latency_seconds",
                    "From one token of a request to its next.",
                    TOKEN_BUCKETS);
    private final Histogram timePerOutputToken =
            histogram(
                    "atoll_request_time_per_output_token_seconds",
                    "Mean of a complete request's inter-token latencies.",
                    TOKEN_BUCKETS);
    private final Histogram requestLatency =
            histogram(
                    "atoll_e2e_request_latency_seconds",
                    "From a request's arrival until its last token was chosen.",
                    WAIT_BUCKETS);
    private final Histogram queueTime =
            histogram(
                    "atoll_request_queue_time_seconds",
                    "From a request's arrival until the attention worker had room for it.",
                    WAIT_BUCKETS);
    private final Counter requests =
            counter(
                    "atoll_requests_total",
                    "Requests that are over, by how they ended.",
                    "outcome",
                    "code");
    private final Counter refusals =
            counter(
                    "atoll_requests_refused_total",
                    "Requests that the API keys' rules stopped, by error code.",
                    "code");
    private final Counter promptTokens =
            counter("atoll_prompt_tokens_total", "Prompt tokens of requests that began.");
    private final Counter cachedTokens =
            counter(
                    "atoll_prompt_tokens_cached_total",
                    "Prompt tokens that were not computed, since a checkpoint had seen them.");
    private final Counter generatedTokens =
            counter("atoll_generation_tokens_total", "Tokens chosen.");
    private final Counter preemptions =
            counter("atoll_preemptions_total", "Sequences set aside for more urgent ones.");
    private final Histogram stepTime =
            histogram(
                    "atoll_step_duration_seconds",
                    "Time of one step, as the step loop sees it.",
                    TOKEN_BUCKETS);
    private final Histogram stepRows =
            histogram("atoll_step_rows", "Rows of one step.", ROW_BUCKETS);
    private final Counter rows = counter("atoll_rows_total", "Rows computed, by kind.", "kind");
    private final CounterDataPoint prefillRows = rows.labelValues("prefill");
    private final CounterDataPoint decodeRows = rows.labelValues("decode");
    private final Counter drafted =
            counter(
                    "atoll_drafted_tokens_total",
                    "Tokens guessed, by their place behind the known ones.",
                    "position");
    private final Counter accepted =
            counter(
                    "atoll_accepted_tokens_total",
                    "Tokens guessed that were right, by their place behind the known ones.",
                    "position");
    private final Counter failedSteps =
            counter("atoll_steps_failed_total", "Steps that did not complete.");

    /// Every position is there from the start, so that a rate can be taken of it.
    public ServerMetrics() {
        for (int position = 1; position <= Speculation.MOST_DRAFTS; position++) {
            drafted.initLabelValues(String.valueOf(position));
            accepted.initLabelValues(String.valueOf(position));
        }
    }

    /// A request was refused before it became one.
    public void refused(ErrorCode code) {
        refusals.labelValues(name(code)).inc();
    }

    @Override
    public void began(Sequence sequence, long queuedNanos) {
        queueTime.observe(seconds(queuedNanos));
        promptTokens.inc(sequence.prompt().length);
        cachedTokens.inc(sequence.cachedTokens());
    }

    @Override
    public void token(boolean first, long nanos) {
        generatedTokens.inc();
        (first ? timeToFirstToken : interTokenLatency).observe(seconds(nanos));
    }

    @Override
    public void setAside(int sequences) {
        preemptions.inc(sequences);
    }

    @Override
    public void stepped(int prefill, int decode, long nanos, boolean failed) {
        stepTime.observe(seconds(nanos));
        stepRows.observe(prefill + decode);
        prefillRows.inc(prefill);
        decodeRows.inc(decode);
        if (failed) {
            failedSteps.inc();
        }
    }

    @Override
    public void drafted(int draftedTokens, int acceptedTokens) {
        for (int i = 1; i <= draftedTokens; i++) {
            drafted.labelValues(String.valueOf(i)).inc();
            if (i <= acceptedTokens) {
                accepted.labelValues(String.valueOf(i)).inc();
            }
        }
    }

    @Override
    public void ended(GenerationRequest request, GenerationEvent.End end) {
        switch (end) {
            case GenerationEvent.Finished finished -> {
                requests.labelValues(finished.reason().name().toLowerCase(Locale.ROOT), "").inc();
                GenerationStats stats = finished.stats();
                requestLatency.observe(seconds(stats.total()));
                if (stats.outputTokens() > 1) {
                    double decoding = seconds(stats.total().minus(stats.timeToFirstToken()));
                    timePerOutputToken.observe(decoding / (stats.outputTokens() - 1));
                }
            }
            case GenerationEvent.Failed(Failure failure) ->
                    requests.labelValues(outcome(failure.code()), name(failure.code())).inc();
        }
    }

    private static String outcome(ErrorCode code) {
        if (code == ErrorCode.CANCELLED) {
            return "cancelled";
        }
        return code.kind() == ErrorCode.Kind.OVERLOAD ? "shed" : "failed";
    }

    /// Everything in Prometheus' text format. Asks a remote attention worker for its expert workers, and so may wait for a step.
    ///
    /// @param cluster that is looked after, if there is one
    public synchronized byte[] scrape(Engine engine, Optional<ClusterStatus> cluster) {
        clusters.take(cluster);
        workers.take(engine.load(), engine.workerLoad(), engine.expertWorkers());
        ByteArrayOutputStream text = new ByteArrayOutputStream();
        try {
            writer.write(text, registry.scrape(), EscapingScheme.UNDERSCORE_ESCAPING);
        } catch (IOException e) {
            throw new UncheckedIOException(e); // there is no I/O in an array
        }
        return text.toByteArray();
    }

    private Counter counter(String name, String help, String... labels) {
        return Counter.builder()
                .name(name)
                .help(help)
                .labelNames(labels)
                .withoutExemplars()
                .register(registry);
    }

    private Histogram histogram(String name, String help, double[] buckets) {
        return Histogram.builder()
                .name(name)
                .help(help)
                .classicOnly()
                .classicUpperBounds(buckets)
                .withoutExemplars()
                .register(registry);
    }

    private static String name(ErrorCode code) {
        return code.name().toLowerCase(Locale.ROOT);
    }

    private static double seconds(long nanos) {
        return nanos / 1e9;
    }

    private static double seconds(Duration time) {
        return seconds(time.toNanos());
    }
}
