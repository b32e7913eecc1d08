package io.atoll.coordinator.metrics;

import io.atoll.attention.step.AttentionLoad;
import io.atoll.attention.step.ExpertWorkerStatus;
import io.atoll.coordinator.engine.EngineLoad;
import io.prometheus.metrics.core.metrics.CounterWithCallback;
import io.prometheus.metrics.core.metrics.GaugeWithCallback;
import io.prometheus.metrics.model.registry.PrometheusRegistry;
import java.util.List;
import java.util.function.DoubleSupplier;
import java.util.function.ToDoubleFunction;

/// The metrics that are not counted here but taken from those who know: the engine's queue, the attention worker's pools and
/// times, the expert workers. Their numbers are taken once for each scrape, so that they belong together.
final class WorkerMetrics {
    private final PrometheusRegistry registry;
    private EngineLoad engine = new EngineLoad(0, 0);
    private AttentionLoad attention = AttentionLoad.NONE;
    private List<ExpertWorkerStatus> experts = List.of();

    WorkerMetrics(PrometheusRegistry registry) {
        this.registry = registry;
        gauge("atoll_num_requests_running", "Requests that are computed.", () -> engine.running());
        gauge(
                "atoll_num_requests_waiting",
                "Requests that wait for room, those set aside included.",
                () -> engine.waiting());
        kvBlocks();
        gauge(
                "atoll_checkpoints",
                "Checkpoints that later prompts can begin at.",
                () -> attention.checkpoints());
        counter(
                "atoll_checkpoint_hits_total",
                "Sequences that began at a checkpoint.",
                () -> attention.checkpointHits());
        counter(
                "atoll_checkpoint_evictions_total",
                "Checkpoints given up for others or for sequences.",
                () -> attention.checkpointEvictions());
        gauge(
                "atoll_checkpoints_stored",
                "Checkpoints on disk.",
                () -> attention.storedCheckpoints());
        counter(
                "atoll_checkpoint_loads_total",
                "Sequences that began at a checkpoint from the disk.",
                () -> attention.checkpointLoads());
        stepParts();
        expertWorkers();
    }

    void take(
            EngineLoad engineLoad, AttentionLoad attentionLoad, List<ExpertWorkerStatus> workers) {
        engine = engineLoad;
        attention = attentionLoad;
        experts = workers;
    }

    private void kvBlocks() {
        GaugeWithCallback.builder()
                .name("atoll_kv_blocks")
                .help("KV blocks, by who holds them.")
                .labelNames("holder")
                .callback(
                        callback -> {
                            int sequences = attention.sequenceKvBlocks();
                            int free = attention.freeKvBlocks();
                            callback.call(sequences, "sequences");
                            callback.call(attention.kvBlocks() - sequences - free, "checkpoints");
                            callback.call(free, "none");
                        })
                .register(registry);
    }

    private void stepParts() {
        CounterWithCallback.builder()
                .name("atoll_step_part_seconds_total")
                .help("Where the time of the attention worker's steps went.")
                .labelNames("part")
                .callback(
                        callback -> {
                            AttentionLoad.StepTimes times = attention.stepTimes();
                            callback.call(times.mixer() / 1e9, "mixer");
                            callback.call(times.shared() / 1e9, "shared");
                            callback.call(times.experts() / 1e9, "experts");
                            callback.call(times.head() / 1e9, "head");
                            callback.call(times.sampling() / 1e9, "sampling");
                        })
                .register(registry);
    }

    private void expertWorkers() {
        GaugeWithCallback.builder()
                .name("atoll_expert_worker_live")
                .help("1 if the expert worker's stream is up, else 0.")
                .labelNames("worker")
                .callback(
                        callback ->
                                experts.forEach(
                                        each -> callback.call(each.live() ? 1 : 0, each.name())))
                .register(registry);
        expertCounter(
                "atoll_expert_dispatches_total",
                "Messages that the expert worker has answered.",
                ExpertWorkerStatus::dispatches);
        expertCounter(
                "atoll_expert_rows_total", "Rows in these messages.", ExpertWorkerStatus::rows);
        expertCounter(
                "atoll_expert_sent_bytes_total",
                "Bytes sent to the expert worker.",
                ExpertWorkerStatus::bytesSent);
        expertCounter(
                "atoll_expert_received_bytes_total",
                "Bytes received from the expert worker.",
                ExpertWorkerStatus::bytesReceived);
        expertCounter(
                "atoll_expert_round_trip_seconds_total",
                "From sending a message until its reply was there, all of them together.",
                each -> each.roundTripNanos() / 1e9);
        expertCounter(
                "atoll_expert_compute_seconds_total",
                "Time that the expert worker computed, as it reports.",
                each -> each.computeNanos() / 1e9);
        expertCounter(
                "atoll_expert_failures_total",
                "Messages that ended with an error or the stream's end.",
                ExpertWorkerStatus::failures);
    }

    private void expertCounter(
            String name, String help, ToDoubleFunction<ExpertWorkerStatus> value) {
        CounterWithCallback.builder()
                .name(name)
                .help(help)
                .labelNames("worker")
                .callback(
                        callback ->
                                experts.forEach(
                                        each ->
                                                callback.call(
                                                        value.applyAsDouble(each), each.name())))
                .register(registry);
    }

    private void gauge(String name, String help, DoubleSupplier value) {
        GaugeWithCallback.builder()
                .name(name)
                .help(help)
                .callback(callback -> callback.call(value.getAsDouble()))
                .register(registry);
    }

    private void counter(String name, String help, DoubleSupplier value) {
        CounterWithCallback.builder()
                .name(name)
                .help(help)
                .callback(callback -> callback.call(value.getAsDouble()))
                .register(registry);
    }
}
