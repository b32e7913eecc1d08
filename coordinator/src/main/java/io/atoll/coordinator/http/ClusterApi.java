package io.atoll.coordinator.http;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.linecorp.armeria.common.HttpMethod;
import com.linecorp.armeria.common.HttpRequest;
import com.linecorp.armeria.common.HttpResponse;
import com.linecorp.armeria.common.HttpResponseWriter;
import com.linecorp.armeria.server.HttpService;
import com.linecorp.armeria.server.ServerBuilder;
import com.linecorp.armeria.server.ServiceRequestContext;
import io.atoll.coordinator.cluster.ClusterControl;
import io.atoll.coordinator.cluster.ClusterEvents;
import io.atoll.coordinator.cluster.ClusterMembers;
import io.atoll.coordinator.cluster.ClusterStatus;
import io.atoll.coordinator.cluster.Rebalance;
import io.atoll.coordinator.cluster.RefusedException;
import io.atoll.proto.ErrorCode;
import java.util.Locale;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executor;
import java.util.function.Function;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/// The operator's side: what the cluster is, and what it is to do. Every change is a line of the log `atoll.audit`.
final class ClusterApi {
    private static final Logger AUDIT = LoggerFactory.getLogger("atoll.audit");

    private static final int MOST_EVENTS = 1000;
    private static final int LONGEST_WAIT_MILLIS = 30_000;

    private final ClusterControl control;
    private final Json json;
    private final Executor threads;

    ClusterApi(ClusterControl control, Json json, Executor threads) {
        this.control = control;
        this.json = json;
        this.threads = threads;
    }

    /// Puts the routes on a server.
    ///
    /// @param posts makes a service of what answers a body
    void addTo(ServerBuilder builder, Function<JsonService.Handler, HttpService> posts) {
        builder.service("/cluster/status", this::status)
                .service("/cluster/nodes", this::nodes)
                .service("/cluster/events", this::events)
                .service("/cluster/drain", posts.apply(onWorker("drain", control::drain)))
                .service("/cluster/undrain", posts.apply(onWorker("undrain", control::undrain)))
                .service(
                        "/cluster/cordon",
                        posts.apply(onWorker("cordon", name -> control.cordon(name, true))))
                .service(
                        "/cluster/uncordon",
                        posts.apply(onWorker("uncordon", name -> control.cordon(name, false))))
                .service("/cluster/move", posts.apply(this::move))
                .service("/cluster/replicate", posts.apply(this::replicate))
                .service("/cluster/rebalance", posts.apply(this::rebalance));
    }

    private HttpResponse status(ServiceRequestContext context, HttpRequest request) {
        JsonService.requireMethod(request, HttpMethod.GET);
        return HttpResponse.of(
                CompletableFuture.supplyAsync(
                        () -> HttpApi.ok(json.write(tree(control.status()))).toHttpResponse(),
                        threads));
    }

    private ObjectNode tree(ClusterStatus status) {
        ObjectNode tree =
                json.object()
                        .put("cluster_id", status.clusterId())
                        .put("epoch", status.epoch())
                        .put("stands_by_for", status.standsByFor().orElse(null))
                        .put("replication", status.replication())
                        .put("layers", status.layers())
                        .put("experts", status.experts())
                        .put("without_copy", status.withoutCopy())
                        .put("below_replication", status.belowReplication())
                        .put("settled", status.settled());
        ArrayNode workers = tree.putArray("workers");
        for (ClusterStatus.NodeStatus node : status.nodes()) {
            ObjectNode worker =
                    workers.addObject()
                            .put("name", node.name())
                            .put("address", node.address())
                            .put("life", node.life().name().toLowerCase(Locale.ROOT))
                            .put("reason", node.reason())
                            .put("cordoned", node.cordoned())
                            .put("draining", node.draining())
                            .put("experts", node.held().size())
                            .put("held", node.held().toString())
                            .put("wanted", node.wanted().toString())
                            .put("sole_copies", node.soleCopies())
                            .put("bytes", node.heldBytes())
                            .put("memory_bytes", node.memoryBytes())
                            .put("memory_bytes_per_second", (long) node.bytesPerSecond())
                            .put("compute", node.compute())
                            .put("queued", node.queued());
            node.started().ifPresent(at -> worker.put("started", at.toString()));
            node.change()
                    .ifPresent(
                            change ->
                                    worker.putObject("change")
                                            .put("kind", change.kind())
                                            .put("experts", change.experts().toString())
                                            .put("wanted", change.experts().size())
                                            .put("done", change.done())
                                            .put("seconds", change.since().toMillis() / 1e3));
        }
        ArrayNode alarms = tree.putArray("alarms");
        status.alarms().forEach(alarms::add);
        return tree;
    }

    private HttpResponse nodes(ServiceRequestContext context, HttpRequest request) {
        JsonService.requireMethod(request, HttpMethod.GET);
        ObjectNode tree = json.object();
        ArrayNode list = tree.putArray("nodes");
        for (ClusterMembers.Node node : control.members()) {
            ObjectNode entry =
                    list.addObject()
                            .put("role", node.role())
                            .put("name", node.name())
                            .put("address", node.address())
                            .put("started", node.started().toString())
                            .put("leads", node.leads());
            ObjectNode labels = entry.putObject("labels");
            new TreeMap<>(node.labels()).forEach(labels::put);
        }
        return HttpApi.ok(json.write(tree)).toHttpResponse();
    }

    private HttpResponse events(ServiceRequestContext context, HttpRequest request) {
        JsonService.requireMethod(request, HttpMethod.GET);
        long after = number(context, "after", 0, Long.MAX_VALUE);
        int limit = (int) number(context, "limit", MOST_EVENTS, MOST_EVENTS);
        long wait = number(context, "wait_ms", 0, LONGEST_WAIT_MILLIS);
        context.clearRequestTimeout();
        return HttpResponse.of(
                CompletableFuture.supplyAsync(
                        () -> HttpApi.ok(json.write(tree(after, limit, wait))).toHttpResponse(),
                        threads));
    }

    private static long number(
            ServiceRequestContext context, String parameter, long absent, long most) {
        String text = context.queryParam(parameter);
        if (text == null) {
            return absent;
        }
        try {
            long value = Long.parseLong(text);
            if (value >= 0 && value <= most) {
                return value;
            }
        } catch (NumberFormatException _) {
            // refused below
        }
        throw RequestException.invalid(
                parameter, "must be a whole number from 0 to " + most + ": " + text);
    }

    private ObjectNode tree(long after, int limit, long waitMillis) {
        ObjectNode tree = json.object();
        ArrayNode list = tree.putArray("events");
        try {
            for (ClusterEvents.Event event : control.events().after(after, limit, waitMillis)) {
                list.addObject()
                        .put("number", event.number())
                        .put("at", event.at().toString())
                        .put("kind", event.kind())
                        .put("worker", event.node())
                        .put("text", event.text());
            }
        } catch (InterruptedException _) {
            Thread.currentThread().interrupt(); // the server is stopping: no events
        }
        return tree;
    }

    /// A change of one worker.
    private interface OnWorker {
        void make(String name) throws RefusedException;
    }

    private JsonService.Handler onWorker(String what, OnWorker change) {
        return (caller, body, out) -> {
            String name = body.requiredString("worker");
            carryOut(caller, what + " " + name, out, () -> change.make(name));
        };
    }

    private void move(Caller caller, JsonFields body, HttpResponseWriter out) {
        String experts = body.requiredString("experts");
        String from = body.requiredString("from");
        String to = body.requiredString("to");
        carryOut(
                caller,
                "move %s from %s to %s".formatted(experts, from, to),
                out,
                () -> control.move(experts, from, to));
    }

    private void replicate(Caller caller, JsonFields body, HttpResponseWriter out) {
        String experts = body.requiredString("experts");
        String to = body.requiredString("to");
        carryOut(
                caller,
                "replicate %s to %s".formatted(experts, to),
                out,
                () -> control.replicate(experts, to));
    }

    private void rebalance(Caller caller, JsonFields body, HttpResponseWriter out) {
        boolean dryRun = body.bool("dry_run", false);
        Rebalance rebalance;
        try {
            rebalance = control.rebalance(dryRun);
        } catch (RefusedException e) {
            throw refused(caller, "rebalance", e);
        }
        if (!dryRun) {
            AUDIT.info("{}: rebalance, {}", caller.name(), rebalance);
        }
        ObjectNode tree =
                json.object()
                        .put("copies", rebalance.copies())
                        .put("bytes", rebalance.bytes())
                        .put("applied", rebalance.applied());
        ObjectNode workers = tree.putObject("workers");
        new TreeMap<>(rebalance.then())
                .forEach(
                        (name, then) ->
                                workers.putObject(name)
                                        .put("now", rebalance.now().get(name).toString())
                                        .put("then", then.toString()));
        out.close(HttpApi.ok(json.write(tree)));
    }

    /// A change of the cluster.
    private interface Change {
        void make() throws RefusedException;
    }

    private void carryOut(Caller caller, String what, HttpResponseWriter out, Change change) {
        try {
            change.make();
        } catch (RefusedException e) {
            throw refused(caller, what, e);
        }
        AUDIT.info("{}: {}", caller.name(), oneLine(what));
        out.close(HttpApi.ok(json.write(json.object().put("status", "accepted"))));
    }

    private static RequestException refused(Caller caller, String what, RefusedException e) {
        AUDIT.info("{}: {}, refused: {}", caller.name(), oneLine(what), oneLine(e.getMessage()));
        return RequestException.of(ErrorCode.INVALID_REQUEST, e.getMessage());
    }

    /// What a request says must not look like further lines of the log.
    private static String oneLine(String text) {
        return text.replaceAll("\\p{Cntrl}", "?");
    }
}
