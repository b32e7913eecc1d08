package io.atoll.coordinator.http;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.linecorp.armeria.common.AggregatedHttpResponse;
import com.linecorp.armeria.common.HttpData;
import com.linecorp.armeria.common.HttpHeaderNames;
import com.linecorp.armeria.common.HttpMethod;
import com.linecorp.armeria.common.HttpRequest;
import com.linecorp.armeria.common.HttpResponse;
import com.linecorp.armeria.common.HttpStatus;
import com.linecorp.armeria.common.MediaType;
import com.linecorp.armeria.common.RequestHeaders;
import com.linecorp.armeria.common.util.Exceptions;
import com.linecorp.armeria.server.HttpService;
import com.linecorp.armeria.server.RequestTimeoutException;
import com.linecorp.armeria.server.Server;
import com.linecorp.armeria.server.ServerBuilder;
import com.linecorp.armeria.server.ServerErrorHandler;
import com.linecorp.armeria.server.ServiceConfig;
import com.linecorp.armeria.server.ServiceRequestContext;
import com.linecorp.armeria.server.cors.CorsService;
import io.atoll.attention.step.AttentionWorkerInfo;
import io.atoll.attention.step.ExpertWorkerStatus;
import io.atoll.coordinator.cluster.ClusterControl;
import io.atoll.coordinator.engine.Engine;
import io.atoll.coordinator.gate.ApiKeys;
import io.atoll.coordinator.gate.GateSettings;
import io.atoll.coordinator.metrics.ServerMetrics;
import io.atoll.coordinator.sequence.ServedModel;
import io.atoll.coordinator.trace.RequestTraces;
import io.atoll.proto.ErrorCode;
import io.atoll.proto.Failure;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.time.Clock;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.function.Function;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/// The HTTP server: which path is answered by what.
public final class HttpApi implements AutoCloseable {
    private static final String MESSAGES = "/v1/messages";
    private static final String RESPONSES = "/v1/responses";
    private static final Logger log = LoggerFactory.getLogger(HttpApi.class);

    private static final MediaType METRICS_TYPE = MediaType.parse(ServerMetrics.CONTENT_TYPE);
    private static final Duration CORS_MAX_AGE = Duration.ofHours(1);

    private final GateSettings gate;
    private final Engine engine;
    private final ServerMetrics metrics;
    private final Optional<ClusterControl> cluster;
    private final ServedModel model;
    private final AttentionWorkerInfo info;
    private final Json json;
    private final Errors errors;
    private final Errors messagesErrors;
    private final ResponseStore responses;
    private final long startedSeconds;
    private final Duration writeTimeout;
    private final ExecutorService threads;
    private final FileChecks files;
    private final InetSocketAddress address;
    private final Server server;

    /// @param engine borrowed
    /// @param info what the engine's worker serves
    /// @param metrics what has been counted of the engine's work
    /// @param traces borrowed
    /// @param cluster borrowed; empty where this process holds every expert itself
    /// @throws IOException if the keys or the certificate can't be read
    public HttpApi(
            HttpSettings settings,
            GateSettings gate,
            ServedModel model,
            AttentionWorkerInfo info,
            Engine engine,
            ServerMetrics metrics,
            RequestTraces traces,
            Optional<ClusterControl> cluster)
            throws IOException {
        this.gate = gate;
        this.engine = engine;
        this.metrics = metrics;
        this.cluster = cluster;
        this.model = model;
        this.info = info;
        this.json = new Json(settings);
        this.errors = new Errors(json, Errors.Style.OPENAI);
        this.messagesErrors = new Errors(json, Errors.Style.ANTHROPIC);
        AnswerHeaders headers = new AnswerHeaders(model, info, Clock.systemUTC());
        this.startedSeconds = headers.nowSeconds();
        this.writeTimeout = settings.writeTimeout();
        this.threads =
                Executors.newThreadPerTaskExecutor(
                        Thread.ofVirtual().name("atoll-http-", 0).factory());
        RequestLimits limits = RequestLimits.of(settings, info.maxSequenceTokens());
        ChatRequests chats = new ChatRequests(model, settings, limits, json, headers);
        CompletionRequests completions =
                new CompletionRequests(model, settings, limits, json, headers);
        TokenRequests tokens = new TokenRequests(model, info, chats, json);
        MessagesRequests messages = new MessagesRequests(model, chats, json, headers);
        this.responses = new ResponseStore(Clock.systemUTC());
        ResponsesRequests responseRequests = new ResponsesRequests(chats, json, headers, responses);
        Function<JsonService.Handler, HttpService> service =
                handler -> new JsonService(handler, settings, json, errors, threads);
        Function<JsonService.Handler, HttpService> messagesService =
                handler -> new JsonService(handler, settings, json, messagesErrors, threads);
        this.address = new InetSocketAddress(settings.host(), settings.port());
        List<Runnable> checks = new ArrayList<>();
        ServerBuilder builder = Server.builder();
        if (gate.tls().isPresent()) {
            Certificates certificates = new Certificates(gate.tls().get());
            checks.add(certificates::check);
            builder.https(address).tlsProvider(certificates);
        } else {
            builder.http(address);
        }
        Optional<ApiKeys> keys = Optional.empty();
        if (gate.apiKeys().isPresent()) {
            ApiKeys read = new ApiKeys(gate.apiKeys().get());
            checks.add(read::check);
            keys = Optional.of(read);
        }
        this.files = new FileChecks(checks);
        cluster.ifPresent(
                control ->
                        new ClusterApi(control, json, threads)
                                .addTo(builder, handler -> fromHere(service.apply(handler))));
        if (gate.accessLog()) {
            builder.accessLogWriter(new AccessLog(), false);
        }
        this.server =
                builder.bossGroupFactory(AcceptorGroup::new)
                        .disableServerHeader()
                        .maxNumConnections(settings.maxConnections())
                        .maxRequestLength(settings.maxBodyBytes())
                        .service("/v1/chat/completions", service.apply(generation(chats, settings)))
                        .service(
                                "/v1/completions", service.apply(generation(completions, settings)))
                        .service(
                                MESSAGES,
                                messagesService.apply(
                                        new GenerationService(
                                                engine,
                                                this::standsBy,
                                                messages,
                                                settings,
                                                json,
                                                messagesErrors,
                                                threads)))
                        .service(
                                MESSAGES + "/count_tokens",
                                messagesService.apply(messages::countTokens))
                        .service(RESPONSES, service.apply(generation(responseRequests, settings)))
                        .serviceUnder(RESPONSES + "/", this::response)
                        .service("/tokenize", service.apply(tokens::tokenize))
                        .service("/detokenize", service.apply(tokens::detokenize))
                        .service("/v1/models", this::models)
                        .serviceUnder("/v1/models/", this::model)
                        .service("/cluster/workers", this::workers)
                        .service("/metrics", this::metrics)
                        .service("/health/live", this::live)
                        .service("/health/ready", this::ready)
                        .serviceUnder("/", HttpApi::unknown)
                        .decorator(behindGate(keys))
                        .decorator(behind -> new TracedService(behind, traces))
                        .errorHandler(new ErrorsAsJson())
                        .build();
    }

    /// Errors in the shape of the API that a request is for.
    private Errors errors(ServiceRequestContext context) {
        return context.path().startsWith(MESSAGES) ? messagesErrors : errors;
    }

    private GenerationService generation(
            GenerationService.Preparation preparation, HttpSettings settings) {
        return new GenerationService(
                engine, this::standsBy, preparation, settings, json, errors, threads);
    }

    /// What every request meets first: a browser's question whether its page may ask, then the question for the key. The first
    /// comes without a key, and every answer, refusals too, has to carry the reply to it.
    private Function<HttpService, HttpService> behindGate(Optional<ApiKeys> keys) {
        return service -> {
            HttpService gated =
                    keys.isPresent()
                            ? new KeyGate(service, keys.get(), this::errors, metrics::refused)
                            : service;
            if (gate.corsOrigins().isEmpty()) {
                return gated;
            }
            return CorsService.builder(gate.corsOrigins())
                    .allowRequestMethods(HttpMethod.GET, HttpMethod.POST)
                    .allowAllRequestHeaders(true)
                    .exposeHeaders(HttpHeaderNames.RETRY_AFTER)
                    .maxAge(CORS_MAX_AGE)
                    .build(gated);
        };
    }

    /// Starts to listen.
    ///
    /// @throws IOException if the address can't be had
    public void start() throws IOException {
        try {
            server.start().join();
            files.start();
            warnIfOpen();
        } catch (CompletionException e) {
            Throwable why = Exceptions.peel(e);
            String where = address.getHostString() + ":" + address.getPort();
            throw new IOException("cannot listen on " + where + ": " + why.getMessage(), why);
        }
    }

    private void warnIfOpen() {
        if (address.getAddress() != null && address.getAddress().isLoopbackAddress()) {
            return;
        }
        String where = address.getHostString() + ":" + port();
        if (gate.apiKeys().isEmpty()) {
            log.warn("whoever reaches {} may use the API: no api-keys are set", where);
        } else if (gate.tls().isEmpty()) {
            log.warn("API keys and prompts reach {} unencrypted: no tls is set", where);
        }
    }

    /// Looks now whether the files of keys and certificates have changed, instead of within a second.
    public void checkFiles() {
        files.run();
    }

    /// The port it listens on.
    public int port() {
        // activeLocalPort() counts loopback and wildcard addresses only.
        return Objects.requireNonNull(server.activePort(), "not started").localAddress().getPort();
    }

    /// Lets the answers under way get to their clients, then stops listening and closes every connection. The engine should
    /// have stopped before, so that no answer is far from its end.
    @Override
    public void close() {
        files.close();
        threads.shutdown();
        try {
            if (!threads.awaitTermination(writeTimeout.toNanos(), TimeUnit.NANOSECONDS)) {
                threads.shutdownNow();
            }
        } catch (InterruptedException e) {
            threads.shutdownNow();
            Thread.currentThread().interrupt();
        }
        server.stop().join();
    }

    static AggregatedHttpResponse ok(String body) {
        return AggregatedHttpResponse.of(HttpStatus.OK, MediaType.JSON, body);
    }

    /// Without API keys, changes of the cluster are taken from this machine only.
    private HttpService fromHere(HttpService change) {
        return (context, request) -> {
            if (gate.apiKeys().isEmpty()
                    && !context.remoteAddress().getAddress().isLoopbackAddress()) {
                throw RequestException.of(
                        ErrorCode.MISSING_SCOPE,
                        "no api-keys are set, so the cluster is changed from its coordinator's"
                                + " machine only, not from "
                                + context.remoteAddress().getAddress().getHostAddress());
            }
            return change.serve(context, request);
        };
    }

    private HttpResponse models(ServiceRequestContext context, HttpRequest request) {
        JsonService.requireMethod(request, HttpMethod.GET);
        ObjectNode list = json.object().put("object", "list");
        list.putArray("data").add(describe());
        return ok(json.write(list)).toHttpResponse();
    }

    private HttpResponse model(ServiceRequestContext context, HttpRequest request) {
        JsonService.requireMethod(request, HttpMethod.GET);
        String name = context.decodedMappedPath().substring(1);
        if (!name.equals(model.name())) {
            throw CommonParameters.modelNotFound(name, model.name());
        }
        return ok(json.write(describe())).toHttpResponse();
    }

    /// A response that is kept: gives it, or forgets it.
    private HttpResponse response(ServiceRequestContext context, HttpRequest request) {
        String id = context.decodedMappedPath().substring(1);
        boolean delete = request.method() == HttpMethod.DELETE;
        if (!delete) {
            JsonService.requireMethod(request, HttpMethod.GET);
        }
        ObjectNode response =
                responses
                        .get(id)
                        .map(ResponseStore.Conversation::response)
                        .orElseThrow(
                                () ->
                                        RequestException.of(
                                                ErrorCode.ROUTE_NOT_FOUND,
                                                "no such response is kept here (any more): " + id));
        if (delete) {
            responses.remove(id);
            response =
                    json.object()
                            .put("id", id)
                            .put("object", "response.deleted")
                            .put("deleted", true);
        }
        return ok(json.write(response)).toHttpResponse();
    }

    private ObjectNode describe() {
        return json.object()
                .put("id", model.name())
                .put("object", "model")
                .put("created", startedSeconds)
                .put("owned_by", "atoll")
                .put("max_model_len", info.maxSequenceTokens());
    }

    /// The expert workers and what they have done.
    private HttpResponse workers(ServiceRequestContext context, HttpRequest request) {
        JsonService.requireMethod(request, HttpMethod.GET);
        return HttpResponse.of(
                CompletableFuture.supplyAsync(
                        () -> {
                            ObjectNode list = json.object();
                            ArrayNode workers = list.putArray("workers");
                            for (ExpertWorkerStatus worker : engine.expertWorkers()) {
                                workers.addObject()
                                        .put("name", worker.name())
                                        .put("address", worker.address())
                                        .put("live", worker.live())
                                        .put("experts", worker.experts())
                                        .put("dispatches", worker.dispatches())
                                        .put("rows", worker.rows())
                                        .put("bytes_sent", worker.bytesSent())
                                        .put("bytes_received", worker.bytesReceived())
                                        .put("compute_nanos", worker.computeNanos())
                                        .put("round_trip_nanos", worker.roundTripNanos())
                                        .put("failures", worker.failures());
                            }
                            return ok(json.write(list)).toHttpResponse();
                        },
                        threads));
    }

    private HttpResponse metrics(ServiceRequestContext context, HttpRequest request) {
        JsonService.requireMethod(request, HttpMethod.GET);
        return HttpResponse.of(
                CompletableFuture.supplyAsync(
                        () ->
                                HttpResponse.of(
                                        HttpStatus.OK,
                                        METRICS_TYPE,
                                        HttpData.wrap(
                                                metrics.scrape(
                                                        engine,
                                                        cluster.map(ClusterControl::status)))),
                        threads));
    }

    /// The process answers; nothing more.
    private HttpResponse live(ServiceRequestContext context, HttpRequest request) {
        JsonService.requireMethod(request, HttpMethod.GET);
        return ok(json.write(json.object().put("status", "live"))).toHttpResponse();
    }

    /// Why nothing is generated here, if another coordinator leads.
    private Optional<Failure> standsBy() {
        return cluster.flatMap(ClusterControl::standsByFor)
                .map(
                        leader ->
                                new Failure(
                                        ErrorCode.NOT_READY,
                                        "this coordinator stands by for " + leader));
    }

    /// A request would be taken now.
    private HttpResponse ready(ServiceRequestContext context, HttpRequest request) {
        JsonService.requireMethod(request, HttpMethod.GET);
        Optional<Failure> unavailable = standsBy().or(engine::unavailable);
        if (unavailable.isPresent()) {
            // Whatever the reason, a load balancer looks for this one status.
            return HttpResponse.of(
                    HttpStatus.SERVICE_UNAVAILABLE,
                    MediaType.JSON,
                    errors.body(unavailable.get(), Optional.empty()));
        }
        return ok(json.write(json.object().put("status", "ready"))).toHttpResponse();
    }

    private static HttpResponse unknown(ServiceRequestContext context, HttpRequest request) {
        throw RequestException.of(
                ErrorCode.ROUTE_NOT_FOUND,
                "nothing here: " + request.method() + " " + context.path());
    }

    /// Every error body is JSON, also those the HTTP library makes.
    private final class ErrorsAsJson implements ServerErrorHandler {
        @Override
        public HttpResponse onServiceException(ServiceRequestContext context, Throwable cause) {
            Throwable peeled = Exceptions.peel(cause);
            if (peeled instanceof RequestException refusal) {
                return errors(context).response(refusal).toHttpResponse();
            }
            if (peeled instanceof RequestTimeoutException) {
                Failure late =
                        new Failure(
                                ErrorCode.DEADLINE_EXCEEDED,
                                "the body did not arrive in time: "
                                        + context.requestTimeoutMillis()
                                        + " ms");
                return errors(context).response(late).toHttpResponse();
            }
            return null; // the library finds the status and asks for it below
        }

        @Override
        public AggregatedHttpResponse renderStatus(
                ServiceRequestContext context,
                ServiceConfig config,
                RequestHeaders headers,
                HttpStatus status,
                String description,
                Throwable cause) {
            ErrorCode code =
                    switch (status.code()) {
                        case 404 -> ErrorCode.ROUTE_NOT_FOUND;
                        case 405 -> ErrorCode.METHOD_NOT_ALLOWED;
                        case 413 -> ErrorCode.BODY_TOO_LARGE;
                        case 415 -> ErrorCode.UNSUPPORTED_MEDIA_TYPE;
                        case 503 -> ErrorCode.NOT_READY;
                        default ->
                                status.isClientError()
                                        ? ErrorCode.INVALID_REQUEST
                                        : ErrorCode.INTERNAL;
                    };
            String message = description == null ? status.reasonPhrase() : description;
            return errors(context).response(new Failure(code, message));
        }
    }
}
