package io.atoll.coordinator.scheduler;

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
        private long lastOpened;
        private long nowNanos;

        Simulation(Random random) {
            this.random = random;
            int maxRunning = 1 + random.nextInt(6);
            this.limits =
                    new SchedulerLimits(
                            maxRunning, maxRunning + random.nextInt(12), Duration.ofSeconds(1));
            this.scheduler = new Scheduler(limits, 1);
        }

        void run() {
            int arrivals = 1 + random.nextInt(40);
            List<Event> events = new ArrayList<>();
            long lastId = 0;
            while (ended.size() < all.size() || lastId < arrivals) {
                nowNanos++;
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
                Decision decision = scheduler.next(nowNanos, events);
                events.clear();
                decision.ended().forEach(this::checkEnd);
                switch (decision.next()) {
                    case Decision.Open(long id, SequenceOptions options) ->
                            events.add(openOrRefuse(id, options));
                    case Decision.Run(StepPlan plan) -> events.add(step(plan));
                    case Decision.Idle() ->
                            assertEquals(all.keySet(), ended, "idle with requests left");
                }
            }
            assertEquals(all.keySet(), ended);
            assertTrue(open.isEmpty(), "left open: " + open.keySet());
        }

        private Event arrive(long id) {
            int[] prompt = random.ints(1 + random.nextInt(30), 0, 100).toArray();
            int outputs = 1 + random.nextInt(10);
            long deadline = nowNanos + (random.nextInt(4) == 0 ? random.nextInt(50) : 100_000);
            all.put(id, new Request(prompt, outputs, deadline));
            SequenceOptions options =
                    new SequenceOptions(
                            prompt.length, prompt.length + outputs, SamplingParameters.GREEDY);
            return new Event.Arrived(id, prompt, options, deadline);
        }

        private Event openOrRefuse(long id, SequenceOptions options) {
            assertTrue(id > lastOpened, () -> id + " is opened after " + lastOpened);
            assertTrue(open.size() < limits.maxRunning(), "too many open");
            assertEquals(all.get(id).prompt.length, options.promptTokens());
            return switch (random.nextInt(12)) {
                case 0 -> new Event.OpenRefused(id, failure(ErrorCode.OVERLOADED));
                case 1 -> new Event.OpenRefused(id, failure(ErrorCode.INTERNAL));
                default -> {
                    lastOpened = id;
                    open.put(id, all.get(id));
                    yield new Event.Opened(id);
                }
            };
        }

        private Event step(StepPlan plan) {
            assertTrue(plan.rows() <= limits.maxStepRows(), "budget exceeded: " + plan.rows());
            Set<Long> planned = new HashSet<>();
            Map<Long, Integer> nextTokens = new HashMap<>();
            boolean prefillSeen = false;
            for (SequenceRows rows : plan.sequences()) {
                assertTrue(planned.add(rows.sequenceId()), "twice in a step");
                Request request = open.get(rows.sequenceId());
                assertEquals(request.position, rows.firstPosition());
                boolean decodes = request.position >= request.prompt.length;
                if (decodes) {
                    assertTrue(!prefillSeen, "a decode row after a prompt row");
                    assertEquals(request.lastToken, rows.tokens()[0]);
                } else {
                    prefillSeen = true;
                    for (int i = 0; i < rows.tokens().length; i++) {
                        assertEquals(request.prompt[request.position + i], rows.tokens()[i]);
                    }
                }
            }
            open.forEach(
                    (id, request) -> {
                        boolean decodes = request.position >= request.prompt.length;
                        assertTrue(!decodes || planned.contains(id), "a decoding sequence starves");
                    });
            boolean promptWaits =
                    open.values().stream().anyMatch(r -> r.position < r.prompt.length);
            assertEquals(promptWaits, prefillSeen, "a step gives prompts no row");
            if (random.nextInt(25) == 0) {
                return new Event.StepFailed(failure(ErrorCode.NO_LIVE_REPLICA));
            }
            for (SequenceRows rows : plan.sequences()) {
                Request request = open.get(rows.sequenceId());
                request.position += rows.tokens().length;
                assertEquals(request.position >= request.prompt.length, rows.sample());
                if (rows.sample() && --request.outputsLeft > 0) {
                    request.lastToken = random.nextInt(100);
                    nextTokens.put(rows.sequenceId(), request.lastToken);
                }
            }
            return new Event.StepCompleted(nextTokens);
        }

        private void checkEnd(Ended end) {
            assertTrue(ended.add(end.sequenceId()), () -> end.sequenceId() + " ends twice");
            Request request = all.get(end.sequenceId());
            assertEquals(end.open(), open.remove(end.sequenceId()) != null);
            if (end.failure().isEmpty()) {
                assertEquals(0, request.outputsLeft, "ended in order, but early");
            } else if (end.failure().get().code() == ErrorCode.DEADLINE_EXCEEDED) {
                assertTrue(nowNanos >= request.deadlineNanos, "ended before its deadline");
            }
        }

        private static Failure failure(ErrorCode code) {
            return new Failure(code, "simulated");
        }
    }

    private static final class Request {
        final int[] prompt;
        final long deadlineNanos;
        int outputsLeft;
        int position;
        int lastToken;

        Request(int[] prompt, int outputs, long deadlineNanos) {
            this.prompt = prompt;
            this.outputsLeft = outputs;
            this.deadlineNanos = deadlineNanos;
        }
    }
}
