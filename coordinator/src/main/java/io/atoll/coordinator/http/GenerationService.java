package io.atoll.coordinator.http;

import com.fasterxml.jackson.databind.node.ObjectNode;
import com.linecorp.armeria.common.AggregatedHttpRequest;
import com.linecorp.armeria.common.ContentTooLargeException;
import com.linecorp.armeria.common.HttpData;
import com.linecorp.armeria.common.HttpHeaderNames;
import com.linecorp.armeria.common.HttpMethod;
import com.linecorp.armeria.common.HttpRequest;
import com.linecorp.armeria.common.HttpResponse;
import com.linecorp.armeria.common.HttpResponseWriter;
import com.linecorp.armeria.common.HttpStatus;
import com.linecorp.armeria.common.MediaType;
import com.linecorp.armeria.common.ResponseHeaders;
import com.linecorp.armeria.common.util.Exceptions;
import com.linecorp.armeria.server.HttpService;
import com.linecorp.armeria.server.ServiceRequestContext;
import io.atoll.coordinator.engine.Engine;
import io.atoll.coordinator.sequence.GenerationEvent;
import io.atoll.coordinator.sequence.GenerationRequest;
import io.atoll.proto.ErrorCode;
import io.atoll.proto.Failure;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Executor;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

/// Answers one kind of completion: reads the request, has it generated, and writes the answer whole or as server-sent events.
///
/// The event loop only collects the body. The rest is plain blocking code on a thread of the request's own: it waits for the
/// next event, and for the client to take what was written before it writes more.
final class GenerationService implements HttpService {
    /// A request body understood.
    ///
    /// @param requests what to generate, one for each choice
    /// @param answer how to write it
    /// @param stream whether to write it in pieces
    record Prepared(List<GenerationRequest> requests, Answer answer, boolean stream) {}

    /// Reads a request body: parses, renders, tokenises. Refuses with a [RequestException].
    interface Preparation {
        Prepared prepare(JsonFields body);
    }

    private static final Failure STOPPING =
            new Failure(ErrorCode.NOT_READY, "the coordinator is stopping");
    private static final ResponseHeaders EVENT_STREAM =
            ResponseHeaders.builder(HttpStatus.OK)
                    .contentType(MediaType.EVENT_STREAM.withCharset(StandardCharsets.UTF_8))
                    .set(HttpHeaderNames.CACHE_CONTROL, "no-cache")
                    .build();

    private final Engine engine;
    private final Preparation preparation;
    private final HttpSettings settings;
    private final Json json;
    private final Errors errors;
    private final Executor threads;

    /// @param threads runs each request on a thread of its own, which may block
    GenerationService(
            Engine engine,
            Preparation preparation,
            HttpSettings settings,
            Json json,
            Errors errors,
            Executor threads) {
        this.engine = engine;
        this.preparation = preparation;
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
            Prepared prepared = preparation.prepare(json.body(http.content().array()));
            try (ChoiceEvents events =
                    new ChoiceEvents(
                            request -> caller.submit(engine, request),
                            prepared.requests(),
                            threads)) {
                // A client that goes away ends its request.
                var _ = out.whenComplete().whenComplete((_, _) -> events.cancel());
                if (prepared.stream()) {
                    writeStream(events, prepared.answer(), out);
                } else {
                    writeWhole(events, prepared.answer(), out);
                }
            }
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

    private void writeWhole(ChoiceEvents events, Answer answer, HttpResponseWriter out)
            throws InterruptedException {
        List<ChoiceText> texts = new ArrayList<>();
        for (int i = 0; i < events.size(); i++) {
            texts.add(new ChoiceText());
        }
        SortedMap<Integer, GenerationEvent.Finished> ends = new TreeMap<>();
        while (ends.size() < events.size()) {
            ChoiceEvents.Next next = events.next();
            switch (next.event()) {
                case GenerationEvent.Started() -> {}
                case GenerationEvent.Output output -> texts.get(next.choice()).add(output);
                case GenerationEvent.Finished finished -> ends.put(next.choice(), finished);
                case GenerationEvent.Failed(Failure failure) -> {
                    out.close(errors.response(failure));
                    return;
                }
            }
        }
        ObjectNode whole = answer.whole(texts, List.copyOf(ends.values()));
        out.close(HttpApi.ok(json.write(whole)));
    }

    private void writeStream(ChoiceEvents events, Answer answer, HttpResponseWriter out)
            throws InterruptedException {
        ChoiceEvents.Next first = events.next();
        if (first.event() instanceof GenerationEvent.Failed(Failure failure)) {
            out.close(errors.response(failure)); // nothing was sent, so the status can say it
            return;
        }
        if (!out.tryWrite(EVENT_STREAM)) {
            return;
        }
        try {
            writeEvents(first, events, answer, out);
        } catch (RuntimeException bug) { // too late for a status
            if (out.tryWrite(HttpData.ofUtf8(errorEvent(errors.bug(bug))))) {
                out.close();
            }
        }
    }

    private void writeEvents(
            ChoiceEvents.Next first, ChoiceEvents events, Answer answer, HttpResponseWriter out)
            throws InterruptedException {
        StringBuilder pending = new StringBuilder();
        Set<Integer> begun = new HashSet<>();
        SortedMap<Integer, GenerationEvent.Finished> ends = new TreeMap<>();
        ChoiceEvents.Next next = first;
        while (true) {
            boolean failed = next.event() instanceof GenerationEvent.Failed;
            if (!failed && begun.add(next.choice())) {
                answer.firstChunk(next.choice()).ifPresent(chunk -> append(pending, chunk));
            }
            append(pending, next, answer);
            if (next.event() instanceof GenerationEvent.Finished finished) {
                ends.put(next.choice(), finished);
            }
            boolean complete = ends.size() == events.size();
            if (complete) {
                if (answer.includeUsage()) {
                    append(pending, answer.usageChunk(List.copyOf(ends.values())));
                }
                pending.append("data: [DONE]\n\n");
            }
            // What has come meanwhile goes out in one write.
            boolean last = failed || complete;
            if (last || !events.isReady()) {
                if (!write(pending, out) || last) {
                    out.close();
                    return;
                }
            }
            next = events.next();
        }
    }

    private void append(StringBuilder pending, ChoiceEvents.Next next, Answer answer) {
        switch (next.event()) {
            case GenerationEvent.Started() -> {}
            case GenerationEvent.Output output ->
                    answer.chunks(next.choice(), output).forEach(chunk -> append(pending, chunk));
            case GenerationEvent.Finished finished ->
                    append(pending, answer.lastChunk(next.choice(), finished.reason()));
            case GenerationEvent.Failed(Failure failure) -> pending.append(errorEvent(failure));
        }
    }

    /// The end of a stream that fails: an error in the place of `[DONE]`.
    private String errorEvent(Failure failure) {
        return "data: " + errors.body(failure, Optional.empty()) + "\n\n";
    }

    private void append(StringBuilder pending, ObjectNode chunk) {
        pending.append("data: ").append(json.write(chunk)).append("\n\n");
    }

    /// Writes and waits until the client has room for more.
    ///
    /// @return false if the client went away or did not read for too long
    private boolean write(StringBuilder pending, HttpResponseWriter out)
            throws InterruptedException {
        if (pending.isEmpty()) {
            return true;
        }
        if (!out.tryWrite(HttpData.ofUtf8(pending.toString()))) {
            return false;
        }
        pending.setLength(0);
        try {
            out.whenConsumed().get(settings.writeTimeout().toNanos(), TimeUnit.NANOSECONDS);
            return true;
        } catch (ExecutionException | TimeoutException e) {
            out.abort(e);
            return false;
        }
    }
}
