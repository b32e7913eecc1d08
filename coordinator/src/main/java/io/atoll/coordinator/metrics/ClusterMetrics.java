package io.atoll.coordinator.metrics;

import io.atoll.cluster.placement.Reconciler.Life;
import io.atoll.coordinator.cluster.ClusterStatus;
import io.atoll.coordinator.cluster.ClusterStatus.NodeStatus;
import io.prometheus.metrics.core.metrics.GaugeWithCallback;
import io.prometheus.metrics.model.registry.PrometheusRegistry;
import java.util.Optional;
import java.util.function.ToDoubleFunction;

/// What a coordinator says of the cluster that it looks after. Empty where it looks after none.
final class ClusterMetrics {
    private final PrometheusRegistry registry;
    private Optional<ClusterStatus> cluster = Optional.empty();

    ClusterMetrics(PrometheusRegistry registry) {
        this.registry = registry;
        gauge(
                "atoll_cluster_experts_without_copy",
                "Experts that no live worker holds.",
                ClusterStatus::withoutCopy);
        gauge(
                "atoll_cluster_experts_below_replication",
                "Experts with fewer live copies than there should be.",
                ClusterStatus::belowReplication);
        gauge(
                "atoll_cluster_alarms",
                "What `atoll status` warns of.",
                each -> each.alarms().size());
        workerGauge(
                "atoll_cluster_worker_up",
                "1 if the worker answers its coordinator, else 0.",
                each -> each.life() == Life.LIVE ? 1 : 0);
        workerGauge(
                "atoll_cluster_worker_experts",
                "Experts that the worker holds.",
                each -> each.held().size());
        workerGauge(
                "atoll_cluster_worker_expert_bytes",
                "Bytes of these experts.",
                NodeStatus::heldBytes);
        workerGauge(
                "atoll_cluster_change_seconds",
                "How long the worker's present load or release has taken; 0 if there is none.",
                each -> each.change().map(change -> change.since().toMillis() / 1e3).orElse(0.0));
    }

    void take(Optional<ClusterStatus> now) {
        cluster = now;
    }

    private void gauge(String name, String help, ToDoubleFunction<ClusterStatus> value) {
        GaugeWithCallback.builder()
                .name(name)
                .help(help)
                .callback(
                        callback ->
                                cluster.ifPresent(
                                        status -> callback.call(value.applyAsDouble(status))))
                .register(registry);
    }

    private void workerGauge(String name, String help, ToDoubleFunction<NodeStatus> value) {
        GaugeWithCallback.builder()
                .name(name)
                .help(help)
                .labelNames("worker")
                .callback(
                        callback ->
                                cluster.ifPresent(
                                        status ->
                                                status.nodes()
                                                        .forEach(
                                                                node ->
                                                                        callback.call(
                                                                                value.applyAsDouble(
                                                                                        node),
                                                                                node.name()))))
                .register(registry);
    }
}
