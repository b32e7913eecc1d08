package io.atoll.coordinator.scheduler;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.atoll.attention.step.SamplingParameters;
import io.atoll.attention.step.SequenceOptions;
import io.atoll.attention.step.StepPlan;
import io.atoll.attention.step.StepPlan.SequenceRows;
import io.atoll.coordinator.scheduler.Decision.Ended;
import io.atoll.proto.ErrorCode;
import io.atoll.proto.Failure;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.Set;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

/// Random arrivals, failures, cancellations and refusals against what must hold whatever happens.
final class SchedulerPropertyTest {
    private static final int RUNS = 300;

    @Test
    void whateverHappensEveryRequestEndsInOrderAndWithinTheBudgets() {
        long first =
                Optional.ofNullable(System.getProperty("seed"))
                        .filter(seed -> !seed.isBlank())
                        .map(Long::parseLong)
                        .orElseGet(() -> new Random().nextLong());
        System.out.println("SchedulerPropertyTest: -Dseed=" + first);
        for (int run = 0; run < RUNS; run++) {
            new Simulation(new Random(first + run)).run();
        }
    }

    /// A worker and its clients, played by a random generator.
    private static final class Simulation {
        private final Random random;
        private final SchedulerLimits limits;
        private final Scheduler scheduler;
        private final Map<Long, Request> all = new LinkedHashMap<>();
        private final Map<Long, Request> open = new HashMap<>();
        private final Set<Long> ended = new HashSet<>();
        private final Set<Long> waiting = new HashSet<>();
        private long nowNanos;

        Simulation(Random random) {
            this.random = random;
            int maxRunning = 1 + random.nextInt(6);
            this.limits =
                    new SchedulerLimits(
                            maxRunning,
                            maxRunning + random.nextInt(12),
                            Duration.ofNanos(1 + random.nextInt(100)),
                            random.nextInt(6),
                            random.nextInt(5),
                            Duration.ofSeconds(1));
            this.scheduler = new Scheduler(limits, 1);
        }

        void run() {
            int arrivals = 1 + random.nextInt(40);
            List<Event> events = new ArrayList<>();
            long lastId = 0;
            while (ended.size() < all.size() || lastId < arrivals) {
                nowNanos += 1 + random.nextInt(3);
                while (lastId < arrivals && random.nextInt(3) == 0) {
                    events.add(arrive(++lastId));
                }
                if (random.nextInt(20) == 0 && lastId > 0) {
                    long id = random.nextLong(1, lastId + 1);
                    events.add(new Event.Cancelled(id, failure(ErrorCode.CANCELLED)));
                }
                if (random.nextInt(60) == 0) {
                    events.add(new Event.Unavailable(failure(ErrorCode.NO_LIVE_REPLICA)));
                }
                loadSome(events);
                Decision decision = scheduler.next(nowNanos, events);
                events.clear();
                decision.ended().forEach(this::checkEnd);
                decision.setAside().forEach(this::checkSetAside);
                switch (decision.next()) {
                    case Decision.Open(long id, SequenceOptions options, int[] tokens) ->
                            events.add(openOrRefuse(id, options, tokens));
                    case Decision.Run(StepPlan plan) -> events.add(step(plan));
                    case Decision.Idle() ->
                            assertTrue(
                                    all.keySet().equals(ended)
                                            || open.values().stream().anyMatch(r -> r.loading),
                                    "idle with requests left");
                }
            }
            assertEquals(all.keySet(), ended);
            assertTrue(open.isEmpty(), "left open: " + open.keySet());
        }

        private Event arrive(long id) {
            int[] prompt = random.ints(1 + random.nextInt(30), 0, 100).toArray();
            int outputs = 1 + random.nextInt(10);
            long deadline = nowNanos + (random.nextInt(4) == 0 ? random.nextInt(50) : 100_000);
            long queued = nowNanos + (random.nextInt(4) == 0 ? random.nextInt(50) : 100_000);
            int priority = random.nextInt(3);
            all.put(id, new Request(id, priority, prompt, outputs, queued, deadline));
            waiting.add(id);
            SequenceOptions options =
                    new SequenceOptions(
                            prompt.length, prompt.length + outputs, SamplingParameters.GREEDY);
            int[] checkpoints =
                    random.ints(random.nextInt(3), 1, 30)
                            .filter(each -> each < prompt.length)
                            .distinct()
                            .sorted()
                            .toArray();
            return new Event.Arrived(id, prompt, checkpoints, options, priority, queued, deadline);
        }

        private Event openOrRefuse(long id, SequenceOptions options, int[] tokens) {
            Request request = all.get(id);
            assertTrue(
                    waiting.stream().map(all::get).noneMatch(other -> other.goesBefore(request)),
                    () -> id + " is opened, but others go before it: " + waiting);
            assertTrue(open.size() < limits.maxRunning(), "too many open");
            assertEquals(request.prompt.length, options.promptTokens());
            assertArrayEquals(request.tokens(), tokens);
            return switch (random.nextInt(12)) {
                case 0 -> new Event.OpenRefused(id, failure(ErrorCode.OVERLOADED));
                case 1 -> new Event.OpenRefused(id, failure(ErrorCode.INTERNAL));
                default -> {
                    waiting.remove(id);
                    open.put(id, request);
                    request.begun = true;
                    request.position = random.nextInt(tokens.length);
                    request.loading = random.nextInt(4) == 0;
                    yield request.loading
                            ? new Event.Loading(id)
                            : new Event.Opened(id, request.position);
                }
            };
        }

        /// Some of what loads is done, or will never be.
        private void loadSome(List<Event> events) {
            for (Request request : open.values()) {
                if (request.loading && random.nextInt(4) == 0) {
                    request.loading = false;
                    events.add(
                            random.nextInt(8) == 0
                                    ? new Event.OpenRefused(
                                            request.id, failure(ErrorCode.SEQUENCE_LOST))
                                    : new Event.Opened(request.id, request.position));
                }
            }
        }

        private void checkSetAside(long id) {
            Request request = open.remove(id);
            assertTrue(request != null, () -> id + " is set aside, but was not open");
            assertTrue(
                    waiting.stream().map(all::get).anyMatch(r -> r.priority < request.priority),
                    () -> id + " is set aside for nobody more urgent");
            waiting.add(id);
        }

        private Event step(StepPlan plan) {
            assertTrue(plan.rows() <= limits.maxStepRows(), "budget exceeded: " + plan.rows());
            Set<Long> planned = new HashSet<>();
            Map<Long, List<Integer>> nextTokens = new HashMap<>();
            Map<Long, Integer> drafted = new HashMap<>();
            boolean prefillSeen = false;
            for (SequenceRows rows : plan.sequences()) {
                assertTrue(planned.add(rows.sequenceId()), "twice in a step");
                Request request = open.get(rows.sequenceId());
                assertTrue(!request.loading, "rows before its state is there");
                assertEquals(request.position, rows.firstPosition());
                int[] known = request.tokens();
                assertTrue(rows.drafts() <= limits.maxDrafts(), "too many drafts");
                if (request.decodes()) {
                    assertTrue(!prefillSeen, "a decode row after a prompt row");
                } else {
                    assertEquals(0, rows.drafts(), "drafts in a prompt");
                    prefillSeen = true;
                }
                for (int i = 0; i < rows.tokens().length; i++) {
                    assertEquals(known[request.position + i], rows.tokens()[i]);
                }
            }
            open.forEach(
                    (id, request) ->
                            assertTrue(
                                    request.loading || !request.decodes() || planned.contains(id),
                                    "a decoding sequence starves"));
            Optional<Request> firstPrompt =
                    open.values().stream()
                            .filter(request -> !request.loading && !request.decodes())
                            .reduce((one, other) -> one.goesBefore(other) ? one : other);
            assertTrue(
                    firstPrompt.isEmpty() || planned.contains(firstPrompt.get().id),
                    "the first prompt gets no row");
            if (random.nextInt(25) == 0) {
                return new Event.StepFailed(failure(ErrorCode.NO_LIVE_REPLICA));
            }
            for (SequenceRows rows : plan.sequences()) {
                Request request = open.get(rows.sequenceId());
                request.position += rows.tokens().length;
                assertEquals(request.position == request.tokens().length, rows.sample());
                int guessed = random.nextInt(rows.drafts() + 1);
                if (guessed > 0) {
                    assertTrue(request.outputsLeft > guessed, "drafts past the end");
                    drafted.put(rows.sequenceId(), guessed);
                }
                List<Integer> tokens = new ArrayList<>();
                for (int right = random.nextInt(guessed + 1);
                        rows.sample() && right >= 0;
                        right--) {
                    request.position += tokens.isEmpty() ? 0 : 1;
                    int token = random.nextInt(100);
                    request.output.add(token);
                    tokens.add(token);
                    request.outputsLeft--;
                }
                if (rows.sample() && request.outputsLeft > 0) {
                    nextTokens.put(rows.sequenceId(), tokens);
                }
            }
            return new Event.StepCompleted(nextTokens, drafted);
        }

        private void checkEnd(Ended end) {
            assertTrue(ended.add(end.sequenceId()), () -> end.sequenceId() + " ends twice");
            Request request = all.get(end.sequenceId());
            assertEquals(end.open(), open.remove(end.sequenceId()) != null);
            waiting.remove(end.sequenceId());
            if (end.failure().isEmpty()) {
                assertEquals(0, request.outputsLeft, "ended in order, but early");
            } else if (end.failure().get().code() == ErrorCode.DEADLINE_EXCEEDED) {
                assertTrue(nowNanos >= request.deadlineNanos, "ended before its deadline");
            } else if (end.failure().get().message().contains("queue time")) {
                assertTrue(nowNanos >= request.queueDeadlineNanos, "shed before its time");
                assertTrue(!request.begun, "shed after it began");
            }
        }

        private static Failure failure(ErrorCode code) {
            return new Failure(code, "simulated");
        }
    }

    private static final class Request {
        final long id;
        final int priority;
        final int[] prompt;
        final long queueDeadlineNanos;
        final long deadlineNanos;
        final List<Integer> output = new ArrayList<>();
        int outputsLeft;
        int position;
        boolean begun;
        boolean loading;

        Request(
                long id,
                int priority,
                int[] prompt,
                int outputs,
                long queueDeadlineNanos,
                long deadlineNanos) {
            this.id = id;
            this.priority = priority;
            this.prompt = prompt;
            this.outputsLeft = outputs;
            this.queueDeadlineNanos = queueDeadlineNanos;
            this.deadlineNanos = deadlineNanos;
        }

        int[] tokens() {
            return IntStream.concat(
                            IntStream.of(prompt), output.stream().mapToInt(Integer::intValue))
                    .toArray();
        }

        boolean decodes() {
            return !output.isEmpty() && position == prompt.length + output.size() - 1;
        }

        boolean goesBefore(Request other) {
            return priority != other.priority ? priority < other.priority : id < other.id;
        }
    }
}
