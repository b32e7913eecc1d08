package io.atoll.coordinator.trace;

import static io.opentelemetry.api.common.AttributeKey.stringArrayKey;

import io.atoll.coordinator.sequence.GenerationEvent;
import io.atoll.coordinator.sequence.GenerationStats;
import io.atoll.proto.Failure;
import io.opentelemetry.api.trace.Span;
import io.opentelemetry.api.trace.SpanContext;
import io.opentelemetry.api.trace.SpanKind;
import io.opentelemetry.api.trace.StatusCode;
import io.opentelemetry.api.trace.Tracer;
import io.opentelemetry.context.Context;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.concurrent.TimeUnit;

/// The spans of one HTTP request: one for the whole, below it one for each sequence that is generated, and below that its `queue`,
/// `prefill` and `decode`. What lies before the first sequence is reading the request: parsing, template, tokens.
///
/// Names and attributes are those of OpenTelemetry's conventions for HTTP servers and generative AI. Nothing says what was said.
public final class RequestTrace {
    private final Tracer tracer;
    private final Span span;
    private final Context context;
    private final long startEpochNanos;
    private final long startNanos;

    RequestTrace(Tracer tracer, Context caller, String method, String route) {
        this.tracer = tracer;
        this.startEpochNanos = TimeUnit.MILLISECONDS.toNanos(System.currentTimeMillis());
        this.startNanos = System.nanoTime();
        this.span =
                tracer.spanBuilder(method + " " + route)
                        .setParent(caller)
                        .setSpanKind(SpanKind.SERVER)
                        .setStartTimestamp(startEpochNanos, TimeUnit.NANOSECONDS)
                        .setAttribute("http.request.method", method)
                        .setAttribute("http.route", route)
                        .startSpan();
        this.context = caller.with(span);
    }

    /// The trace that the request belongs to, its own or its caller's, in hexadecimal digits; empty if there is none.
    public Optional<String> traceId() {
        SpanContext known = span.getSpanContext();
        return known.isValid() ? Optional.of(known.getTraceId()) : Optional.empty();
    }

    /// A sequence is submitted for the request now.
    public Generation submitted(int promptTokens) {
        return new Generation(promptTokens);
    }

    /// The answer is sent, or its client has gone.
    ///
    /// @param status of HTTP, 0 if there was none
    /// @param key the name of the caller's key
    /// @param cause why the answer was not sent to its end, if it was not
    public void end(int status, String key, Optional<Throwable> cause) {
        if (status > 0) {
            span.setAttribute("http.response.status_code", status);
        }
        span.setAttribute("atoll.key", key);
        if (status >= 500) {
            span.setStatus(StatusCode.ERROR);
            span.setAttribute("error.type", Integer.toString(status));
        } else {
            cause.ifPresent(
                    why -> span.setAttribute("error.type", why.getClass().getCanonicalName()));
        }
        span.end(now(), TimeUnit.NANOSECONDS);
    }

    /// On the clock of this trace, which starts at the wall clock's time and does not jump.
    private long now() {
        return startEpochNanos + System.nanoTime() - startNanos;
    }

    /// One sequence of the request.
    public final class Generation {
        private final int promptTokens;
        private final long submitted = now();

        private Generation(int promptTokens) {
            this.promptTokens = promptTokens;
        }

        /// The sequence is over.
        public void ended(GenerationEvent.End end) {
            Span generation =
                    child("generate", context, submitted)
                            .setAttribute("gen_ai.operation.name", "generate_content")
                            .setAttribute("gen_ai.usage.input_tokens", promptTokens);
            switch (end) {
                case GenerationEvent.Finished finished -> {
                    GenerationStats stats = finished.stats();
                    String reason = finished.reason().name().toLowerCase(Locale.ROOT);
                    generation
                            .setAttribute("gen_ai.usage.output_tokens", stats.outputTokens())
                            .setAttribute("atoll.cached_tokens", stats.cachedTokens())
                            .setAttribute("atoll.reasoning_tokens", stats.reasoningTokens())
                            .setAttribute(
                                    stringArrayKey("gen_ai.response.finish_reasons"),
                                    List.of(reason));
                    Context within = context.with(generation);
                    long began = submitted + stats.queued().toNanos();
                    long first = submitted + stats.timeToFirstToken().toNanos();
                    long last = submitted + stats.total().toNanos();
                    end(child("queue", within, submitted), began);
                    end(child("prefill", within, began), first);
                    end(child("decode", within, first), last);
                    end(generation, Math.max(last, submitted));
                }
                case GenerationEvent.Failed(Failure failure) -> {
                    generation
                            .setStatus(StatusCode.ERROR, failure.message())
                            .setAttribute(
                                    "error.type", failure.code().name().toLowerCase(Locale.ROOT));
                    end(generation, now());
                }
            }
        }

        private Span child(String name, Context parent, long from) {
            return tracer.spanBuilder(name)
                    .setParent(parent)
                    .setStartTimestamp(from, TimeUnit.NANOSECONDS)
                    .startSpan();
        }

        private void end(Span span, long at) {
            span.end(at, TimeUnit.NANOSECONDS);
        }
    }
}
