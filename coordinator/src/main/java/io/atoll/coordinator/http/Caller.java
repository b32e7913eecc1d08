package io.atoll.coordinator.http;

import com.linecorp.armeria.server.ServiceRequestContext;
import io.atoll.coordinator.engine.Engine;
import io.atoll.coordinator.engine.GenerationStream;
import io.atoll.coordinator.gate.Admission;
import io.atoll.coordinator.sequence.GenerationEvent;
import io.atoll.coordinator.sequence.GenerationRequest;
import io.atoll.coordinator.trace.RequestTrace;
import io.netty.util.AttributeKey;
import java.util.Locale;
import java.util.Optional;

/// Who sent an HTTP request, and what it has led to: the sequences that were generated for it. Belongs to the request's context,
/// where [KeyGate] puts the name and [AccessLog] reads the rest.
final class Caller {
    private static final AttributeKey<Caller> ATTRIBUTE = AttributeKey.valueOf(Caller.class, "");

    private String name = "-";
    private int mostUrgent = Integer.MIN_VALUE;
    private int submitted;
    private int ended;
    private long promptTokens;
    private long cachedTokens;
    private long outputTokens;
    private String finish = "-";
    private Optional<RequestTrace> trace = Optional.empty();

    private Caller() {}

    /// The one of this request. Called by its event loop.
    static Caller of(ServiceRequestContext context) {
        Caller known = context.attr(ATTRIBUTE);
        if (known != null) {
            return known;
        }
        Caller fresh = new Caller();
        context.setAttr(ATTRIBUTE, fresh);
        return fresh;
    }

    /// The request came with this key.
    synchronized void identified(Admission.Admitted key) {
        name = key.name();
        mostUrgent = key.mostUrgent();
    }

    /// The request's spans are these.
    synchronized void traced(RequestTrace spans) {
        trace = Optional.of(spans);
    }

    /// Has a sequence generated, no more urgently than the key allows.
    GenerationStream submit(Engine engine, GenerationRequest request) {
        int bound;
        Optional<RequestTrace.Generation> traced;
        synchronized (this) {
            submitted++;
            promptTokens += request.prompt().length;
            bound = mostUrgent;
            traced = trace.map(spans -> spans.submitted(request.prompt().length));
        }
        return engine.submit(
                request.noMoreUrgentThan(bound),
                end -> {
                    traced.ifPresent(generation -> generation.ended(end));
                    ended(end);
                });
    }

    private synchronized void ended(GenerationEvent.End end) {
        ended++;
        switch (end) {
            case GenerationEvent.Finished finished -> {
                cachedTokens += finished.stats().cachedTokens();
                outputTokens += finished.stats().outputTokens();
                finish = Answer.name(finished.reason());
            }
            case GenerationEvent.Failed failed ->
                    finish = failed.failure().code().name().toLowerCase(Locale.ROOT);
        }
    }

    /// What the access log says of it. A sequence that has not ended when the answer has was left by its client.
    synchronized String summary() {
        return "prompt="
                + promptTokens
                + " cached="
                + cachedTokens
                + " output="
                + outputTokens
                + " finish="
                + (ended < submitted ? "cancelled" : finish)
                + trace.flatMap(RequestTrace::traceId).map(id -> " trace=" + id).orElse("");
    }

    /// The key's name, or `-`.
    synchronized String name() {
        return name;
    }
}
