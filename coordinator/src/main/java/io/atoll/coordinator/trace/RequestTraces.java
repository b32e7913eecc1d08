package io.atoll.coordinator.trace;

import io.opentelemetry.api.common.AttributeKey;
import io.opentelemetry.api.common.Attributes;
import io.opentelemetry.api.trace.Tracer;
import io.opentelemetry.api.trace.TracerProvider;
import io.opentelemetry.api.trace.propagation.W3CTraceContextPropagator;
import io.opentelemetry.context.Context;
import io.opentelemetry.context.propagation.TextMapGetter;
import io.opentelemetry.exporter.otlp.http.trace.OtlpHttpSpanExporter;
import io.opentelemetry.sdk.resources.Resource;
import io.opentelemetry.sdk.trace.SdkTracerProvider;
import io.opentelemetry.sdk.trace.export.BatchSpanProcessor;
import io.opentelemetry.sdk.trace.samplers.Sampler;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.function.Function;

/// Begins the trace of each request, as a part of its caller's trace if the request names one (W3C Trace Context). Safe for any
/// thread.
///
/// Spans go to the collector in batches, from a thread of the library's and a queue of 2048; what does not fit, and what a
/// collector does not take, is lost.
public final class RequestTraces implements AutoCloseable {
    private static final String SCOPE = "io.atoll.coordinator";
    private static final long FLUSH_SECONDS = 5;

    private static final TextMapGetter<Function<String, String>> HEADERS =
            new TextMapGetter<>() {
                @Override
                public String get(Function<String, String> headers, String name) {
                    return headers == null ? null : headers.apply(name);
                }
            };

    private final Tracer tracer;
    private final Optional<SdkTracerProvider> provider;

    private RequestTraces(TracerProvider any, Optional<SdkTracerProvider> provider) {
        this.tracer = any.get(SCOPE);
        this.provider = provider;
    }

    /// With settings spans are made and sent; without, none are.
    public static RequestTraces of(Optional<TraceSettings> settings) {
        if (settings.isEmpty()) {
            return new RequestTraces(TracerProvider.noop(), Optional.empty());
        }
        String endpoint = settings.get().endpoint().toString();
        SdkTracerProvider provider =
                SdkTracerProvider.builder()
                        .setResource(resource(settings.get().model()))
                        .setSampler(
                                Sampler.parentBased(
                                        Sampler.traceIdRatioBased(settings.get().sampleRatio())))
                        .addSpanProcessor(
                                BatchSpanProcessor.builder(
                                                new LoggedExporter(
                                                        OtlpHttpSpanExporter.builder()
                                                                .setEndpoint(endpoint)
                                                                .build(),
                                                        endpoint))
                                        .build())
                        .build();
        return new RequestTraces(provider, Optional.of(provider));
    }

    private static Resource resource(String model) {
        return Resource.getDefault()
                .merge(
                        Resource.create(
                                Attributes.of(
                                        AttributeKey.stringKey("service.name"),
                                        "atoll-coordinator",
                                        AttributeKey.stringKey("gen_ai.request.model"),
                                        model)));
    }

    /// Begins the trace of a request that has just come.
    ///
    /// @param method of HTTP
    /// @param route the pattern of the path
    /// @param headers the value of a header, or null; looked at for `traceparent` and `tracestate`
    public RequestTrace begin(String method, String route, Function<String, String> headers) {
        Context caller =
                W3CTraceContextPropagator.getInstance().extract(Context.root(), headers, HEADERS);
        return new RequestTrace(tracer, caller, method, route);
    }

    /// Sends what is left to send, for a few seconds at most.
    @Override
    public void close() {
        provider.ifPresent(each -> each.shutdown().join(FLUSH_SECONDS, TimeUnit.SECONDS));
    }
}
