package io.atoll.coordinator.http;

import com.linecorp.armeria.common.HttpHeaderNames;
import com.linecorp.armeria.common.HttpRequest;
import com.linecorp.armeria.common.HttpResponse;
import com.linecorp.armeria.common.RequestHeaders;
import com.linecorp.armeria.server.HttpService;
import com.linecorp.armeria.server.ServiceRequestContext;
import com.linecorp.armeria.server.SimpleDecoratingHttpService;
import io.atoll.cluster.config.ApiKeysFile.Scope;
import io.atoll.coordinator.gate.Admission;
import io.atoll.coordinator.gate.ApiKeys;
import io.atoll.proto.ErrorCode;
import java.util.Optional;
import java.util.function.Consumer;
import java.util.function.Function;

/// Lets a request through to what is behind if its API key may, and counts it as under way until its answer is complete.
final class KeyGate extends SimpleDecoratingHttpService {
    private static final String BEARER = "Bearer ";

    private final ApiKeys keys;
    private final Function<ServiceRequestContext, Errors> errors;
    private final Consumer<ErrorCode> onRefused;

    /// @param errors in the shape of a request's API
    KeyGate(
            HttpService behind,
            ApiKeys keys,
            Function<ServiceRequestContext, Errors> errors,
            Consumer<ErrorCode> onRefused) {
        super(behind);
        this.keys = keys;
        this.errors = errors;
        this.onRefused = onRefused;
    }

    @Override
    public HttpResponse serve(ServiceRequestContext context, HttpRequest request) throws Exception {
        Optional<Scope> scope = needed(context.config().route().patternString());
        if (scope.isEmpty()) {
            return unwrap().serve(context, request);
        }
        return switch (keys.admit(presented(request.headers()), scope.get(), System.nanoTime())) {
            case Admission.Refused refused -> {
                onRefused.accept(refused.failure().code());
                yield errors.apply(context).response(refused).toHttpResponse();
            }
            case Admission.Admitted admitted -> {
                Caller.of(context).identified(admitted);
                yield serve(context, request, admitted);
            }
        };
    }

    private HttpResponse serve(
            ServiceRequestContext context, HttpRequest request, Admission.Admitted admitted)
            throws Exception {
        HttpResponse response;
        try {
            response = unwrap().serve(context, request);
        } catch (Exception | Error e) {
            admitted.close();
            throw e;
        }
        var _ = response.whenComplete().whenComplete((_, _) -> admitted.close());
        return response;
    }

    /// What a route needs; empty if it is open. It goes by the route and not by the path, which can be spelled in several ways,
    /// and a route that is not known here needs a key.
    private static Optional<Scope> needed(String route) {
        if (route.startsWith("/health/")) {
            return Optional.empty();
        }
        if (route.equals("/metrics")) {
            return Optional.of(Scope.METRICS);
        }
        return Optional.of(route.startsWith("/cluster/") ? Scope.ADMIN : Scope.GENERATE);
    }

    /// The key as OpenAI's clients send it, or Anthropic's.
    private static Optional<String> presented(RequestHeaders headers) {
        String authorization = headers.get(HttpHeaderNames.AUTHORIZATION, "");
        if (authorization.regionMatches(true, 0, BEARER, 0, BEARER.length())) {
            return Optional.of(authorization.substring(BEARER.length()).strip());
        }
        return Optional.ofNullable(headers.get("x-api-key"));
    }
}
