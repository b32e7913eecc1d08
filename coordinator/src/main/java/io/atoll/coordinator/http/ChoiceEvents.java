package io.atoll.coordinator.http;

import io.atoll.coordinator.engine.GenerationStream;
import io.atoll.coordinator.sequence.GenerationEvent;
import io.atoll.coordinator.sequence.GenerationRequest;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.Executor;
import java.util.concurrent.TimeUnit;
import java.util.function.Function;

/// The events of an answer's choices, in the order they come. Each choice is a request of its own to the engine.
///
/// A thread for each of several choices waits for its events and hands them over one at a time, so that a reader that is too
/// slow holds up the choices and not the memory.
final class ChoiceEvents implements AutoCloseable {
    /// An event and the choice it belongs to.
    record Next(int choice, GenerationEvent event) {}

    private final List<GenerationStream> streams = new ArrayList<>();
    private final BlockingQueue<Next> merged;
    private volatile boolean closed;

    /// @param submit has one choice generated
    /// @param threads runs each forwarder on a thread of its own
    ChoiceEvents(
            Function<GenerationRequest, GenerationStream> submit,
            List<GenerationRequest> requests,
            Executor threads) {
        merged = new ArrayBlockingQueue<>(requests.size());
        requests.forEach(request -> streams.add(submit.apply(request)));
        if (streams.size() > 1) {
            try {
                for (int i = 0; i < streams.size(); i++) {
                    int choice = i;
                    threads.execute(() -> forward(choice));
                }
            } catch (RuntimeException e) {
                close();
                throw e;
            }
        }
    }

    private void forward(int choice) {
        try {
            GenerationEvent event;
            do {
                event = streams.get(choice).next();
                if (closed) {
                    return;
                }
                merged.put(new Next(choice, event));
            } while (!closed && !(event instanceof GenerationEvent.End));
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt(); // the server is stopping
        }
    }

    /// How many choices there are.
    int size() {
        return streams.size();
    }

    /// Waits for the next event. It comes in bounded time, as every choice ends at the request's deadline.
    Next next() throws InterruptedException {
        return streams.size() == 1 ? new Next(0, streams.getFirst().next()) : merged.take();
    }

    /// The next event, or none if none has come after this time.
    Optional<Next> next(Duration patience) throws InterruptedException {
        if (streams.size() == 1) {
            return streams.getFirst().awaitReady(patience) ? Optional.of(next()) : Optional.empty();
        }
        return Optional.ofNullable(merged.poll(patience.toNanos(), TimeUnit.NANOSECONDS));
    }

    /// Whether [#next] would return without waiting.
    boolean isReady() {
        return streams.size() == 1 ? streams.getFirst().isReady() : !merged.isEmpty();
    }

    /// Nobody waits for the answer any more. Any thread may call it.
    void cancel() {
        streams.forEach(GenerationStream::cancel);
    }

    /// Ends what still runs, forwarders included: there is room for the one event each may still hand over.
    @Override
    public void close() {
        closed = true;
        cancel();
        merged.clear();
    }
}
