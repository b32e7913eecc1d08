package io.atoll.coordinator.http;

import com.fasterxml.jackson.databind.node.ObjectNode;
import com.linecorp.armeria.common.HttpData;
import com.linecorp.armeria.common.HttpHeaderNames;
import com.linecorp.armeria.common.HttpResponseWriter;
import com.linecorp.armeria.common.HttpStatus;
import com.linecorp.armeria.common.MediaType;
import com.linecorp.armeria.common.ResponseHeaders;
import io.atoll.coordinator.engine.Engine;
import io.atoll.coordinator.sequence.GenerationEvent;
import io.atoll.coordinator.sequence.GenerationRequest;
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
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.Supplier;

/// Answers one kind of completion: reads the request, has it generated, and writes the answer whole or as server-sent events.
///
/// Its thread waits for the next event, and for the client to take what was written before it writes more. A stream that has begun
/// and is silent gets a sign of life now and then.
final class GenerationService implements JsonService.Handler {
    /// A request body understood.
    ///
    /// @param requests what to generate, one for each choice
    /// @param answer how to write it
    /// @param stream whether to write it in pieces
    record Prepared(List<GenerationRequest> requests, AnswerWriter answer, boolean stream) {}

    /// Reads a request body: parses, renders, tokenises. Refuses with a [RequestException].
    interface Preparation {
        Prepared prepare(JsonFields body);
    }

    private static final ResponseHeaders EVENT_STREAM =
            ResponseHeaders.builder(HttpStatus.OK)
                    .contentType(MediaType.EVENT_STREAM.withCharset(StandardCharsets.UTF_8))
                    .set(HttpHeaderNames.CACHE_CONTROL, "no-cache")
                    .build();

    private final Engine engine;
    private final Supplier<Optional<Failure>> elsewhere;
    private final Preparation preparation;
    private final HttpSettings settings;
    private final Json json;
    private final Errors errors;
    private final Executor threads;

    /// @param elsewhere why requests are not for this coordinator, if so
    /// @param threads runs each request on a thread of its own, which may block
    GenerationService(
            Engine engine,
            Supplier<Optional<Failure>> elsewhere,
            Preparation preparation,
            HttpSettings settings,
            Json json,
            Errors errors,
            Executor threads) {
        this.engine = engine;
        this.elsewhere = elsewhere;
        this.preparation = preparation;
        this.settings = settings;
        this.json = json;
        this.errors = errors;
        this.threads = threads;
    }

    @Override
    public void answer(Caller caller, JsonFields body, HttpResponseWriter out)
            throws InterruptedException {
        Optional<Failure> refusal = elsewhere.get();
        if (refusal.isPresent()) {
            out.close(errors.response(refusal.get()));
            return;
        }
        Prepared prepared = preparation.prepare(body);
        try (ChoiceEvents events =
                new ChoiceEvents(
                        request -> caller.submit(engine, request), prepared.requests(), threads)) {
            // A client that goes away ends its request.
            var _ = out.whenComplete().whenComplete((_, _) -> events.cancel());
            if (prepared.stream()) {
                writeStream(events, prepared.answer(), out);
            } else {
                writeWhole(events, prepared.answer(), out);
            }
        }
    }

    private void writeWhole(ChoiceEvents events, AnswerWriter answer, HttpResponseWriter out)
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

    private void writeStream(ChoiceEvents events, AnswerWriter answer, HttpResponseWriter out)
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
            if (out.tryWrite(HttpData.ofUtf8(answer.failed(errors.bug(bug))))) {
                out.close();
            }
        }
    }

    private void writeEvents(
            ChoiceEvents.Next first,
            ChoiceEvents events,
            AnswerWriter answer,
            HttpResponseWriter out)
            throws InterruptedException {
        StringBuilder pending = new StringBuilder();
        Set<Integer> begun = new HashSet<>();
        SortedMap<Integer, GenerationEvent.Finished> ends = new TreeMap<>();
        ChoiceEvents.Next next = first;
        while (true) {
            boolean failed = next.event() instanceof GenerationEvent.Failed;
            if (!failed && begun.add(next.choice())) {
                pending.append(answer.begin(next.choice()));
            }
            pending.append(events(next, answer));
            if (next.event() instanceof GenerationEvent.Finished finished) {
                ends.put(next.choice(), finished);
            }
            boolean complete = ends.size() == events.size();
            if (complete) {
                pending.append(answer.complete(List.copyOf(ends.values())));
            }
            // What has come meanwhile goes out in one write.
            boolean last = failed || complete;
            if (last || !events.isReady()) {
                if (!write(pending, out) || last) {
                    out.close();
                    return;
                }
            }
            Optional<ChoiceEvents.Next> come = events.next(settings.heartbeat());
            while (come.isEmpty()) {
                pending.append(answer.heartbeat());
                if (!write(pending, out)) {
                    out.close();
                    return;
                }
                come = events.next(settings.heartbeat());
            }
            next = come.get();
        }
    }

    private static String events(ChoiceEvents.Next next, AnswerWriter answer) {
        return switch (next.event()) {
            case GenerationEvent.Started() -> "";
            case GenerationEvent.Output output -> answer.output(next.choice(), output);
            case GenerationEvent.Finished finished -> answer.end(next.choice(), finished);
            case GenerationEvent.Failed(Failure failure) -> answer.failed(failure);
        };
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
