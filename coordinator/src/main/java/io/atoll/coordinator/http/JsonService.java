package io.atoll.coordinator.http;

import com.linecorp.armeria.common.AggregatedHttpRequest;
import com.linecorp.armeria.common.ContentTooLargeException;
import com.linecorp.armeria.common.HttpMethod;
import com.linecorp.armeria.common.HttpRequest;
import com.linecorp.armeria.common.HttpResponse;
import com.linecorp.armeria.common.HttpResponseWriter;
import com.linecorp.armeria.common.MediaType;
import com.linecorp.armeria.common.util.Exceptions;
import com.linecorp.armeria.server.HttpService;
import com.linecorp.armeria.server.ServiceRequestContext;
import io.atoll.proto.ErrorCode;
import io.atoll.proto.Failure;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Executor;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

/// Answers `POST`s of JSON objects. The event loop only collects the body; the rest is plain blocking code on a thread of the
/// request's own.
final class JsonService implements HttpService {
    /// What is done with a body.
    interface Handler {
        /// Answers by writing to `out` and closing it. A [RequestException] refuses the request, as long as nothing was written.
        void answer(Caller caller, JsonFields body, HttpResponseWriter out)
                throws InterruptedException;
    }

    private static final Failure STOPPING =
            new Failure(ErrorCode.NOT_READY, "the coordinator is stopping");

    private final Handler handler;
    private final HttpSettings settings;
    private final Json json;
    private final Errors errors;
    private final Executor threads;

    /// @param threads runs each request on a thread of its own, which may block
    JsonService(
            Handler handler, HttpSettings settings, Json json, Errors errors, Executor threads) {
        this.handler = handler;
        this.settings = settings;
        this.json = json;
        this.errors = errors;
        this.threads = threads;
    }

    @Override
    public HttpResponse serve(ServiceRequestContext context, HttpRequest request) {
        requireMethod(request, HttpMethod.POST);
        requireJson(request);
        HttpResponseWriter out = HttpResponse.streaming();
        context.setRequestTimeout(settings.readTimeout()); // for the body
        var _ =
                request.aggregate()
                        .handle(
                                (body, problem) -> {
                                    if (problem != null) {
                                        refuseBody(problem, out);
                                    } else {
                                        context.clearRequestTimeout(); // the deadline takes over
                                        begin(Caller.of(context), body, out);
                                    }
                                    return null;
                                });
        return out;
    }

    static void requireMethod(HttpRequest request, HttpMethod method) {
        if (request.method() != method) {
            throw RequestException.of(
                    ErrorCode.METHOD_NOT_ALLOWED,
                    "only " + method + " is allowed here, not " + request.method());
        }
    }

    private static void requireJson(HttpRequest request) {
        MediaType type = request.contentType();
        if (type == null || !type.isJson()) {
            throw RequestException.of(
                    ErrorCode.UNSUPPORTED_MEDIA_TYPE,
                    "the content type must be application/json: " + (type == null ? "none" : type));
        }
    }

    private void refuseBody(Throwable problem, HttpResponseWriter out) {
        if (Exceptions.peel(problem) instanceof ContentTooLargeException) {
            Failure tooLarge =
                    new Failure(
                            ErrorCode.BODY_TOO_LARGE,
                            "the body is larger than " + settings.maxBodyBytes() + " bytes");
            out.close(errors.response(tooLarge));
        } else {
            out.close(problem); // the client went away, or took too long: nobody reads an answer
        }
    }

    private void begin(Caller caller, AggregatedHttpRequest http, HttpResponseWriter out) {
        try {
            threads.execute(() -> answer(caller, http, out));
        } catch (RejectedExecutionException e) {
            out.close(errors.response(STOPPING));
        }
    }

    private void answer(Caller caller, AggregatedHttpRequest http, HttpResponseWriter out) {
        try {
            handler.answer(caller, json.body(http.content().array()), out);
        } catch (RequestException refusal) {
            out.close(errors.response(refusal));
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt(); // the server is stopping
            out.close(e);
        } catch (RejectedExecutionException e) {
            out.close(errors.response(STOPPING)); // no threads for the choices any more
        } catch (RuntimeException bug) {
            out.close(errors.response(errors.bug(bug)));
        }
        awaitSent(out);
    }

    /// An answer is under way until its last byte is with the socket, so that a stop does not cut it.
    private void awaitSent(HttpResponseWriter out) {
        try {
            out.whenComplete().get(settings.writeTimeout().toNanos(), TimeUnit.NANOSECONDS);
        } catch (ExecutionException e) {
            return; // the client went away
        } catch (TimeoutException e) {
            out.abort(e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }
}
