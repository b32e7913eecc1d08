package io.atoll.coordinator.http;

import com.linecorp.armeria.common.HttpRequest;
import com.linecorp.armeria.common.HttpResponse;
import com.linecorp.armeria.server.HttpService;
import com.linecorp.armeria.server.ServiceRequestContext;
import com.linecorp.armeria.server.SimpleDecoratingHttpService;
import io.atoll.coordinator.trace.RequestTrace;
import io.atoll.coordinator.trace.RequestTraces;
import java.util.Optional;

/// Traces what passes, refused requests too. Health checks and scrapes are not worth it.
final class TracedService extends SimpleDecoratingHttpService {
    private final RequestTraces traces;

    TracedService(HttpService traced, RequestTraces traces) {
        super(traced);
        this.traces = traces;
    }

    @Override
    public HttpResponse serve(ServiceRequestContext context, HttpRequest request) throws Exception {
        String path = context.path();
        if (path.startsWith("/health/") || path.equals("/metrics")) {
            return unwrap().serve(context, request);
        }
        RequestTrace trace =
                traces.begin(
                        request.method().name(),
                        context.config().route().patternString(),
                        name -> request.headers().get(name));
        Caller caller = Caller.of(context);
        caller.traced(trace);
        var _ =
                context.log()
                        .whenComplete()
                        .thenAccept(
                                log ->
                                        trace.end(
                                                log.responseStatus().code(),
                                                caller.name(),
                                                Optional.ofNullable(log.responseCause())));
        return unwrap().serve(context, request);
    }
}
