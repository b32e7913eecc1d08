package io.atoll.coordinator.engine;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.atoll.attention.step.SamplingParameters;
import io.atoll.attention.step.StepOutcome;
import io.atoll.attention.step.StepPlan;
import io.atoll.coordinator.FakeAttentionWorker;
import io.atoll.coordinator.TestModel;
import io.atoll.coordinator.sequence.FinishReason;
import io.atoll.coordinator.sequence.GenerationEvent;
import io.atoll.coordinator.sequence.GenerationRequest;
import io.atoll.coordinator.sequence.GenerationStats;
import io.atoll.coordinator.sequence.OutputFormat;
import io.atoll.proto.ErrorCode;
import io.atoll.proto.Failure;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(60)
final class EngineTest {
    private static final int[] PROMPT = {5, 6, 7};

    private final FakeAttentionWorker worker = TestModel.worker();
    private Engine engine = started(Duration.ofSeconds(20), Duration.ofSeconds(20));

    @AfterEach
    void workerWasTreatedWell() {
        worker.releaseAll();
        engine.close();
        assertEquals(List.of(), worker.complaints());
    }

    @Test
    void eventsAreAStartThenTextsThenAnEndWithEveryToken() throws Exception {
        int[] tokens = TestModel.answer("Hello world");
        worker.script(tokens);
        GenerationStream stream = engine.submit(request(100));
        assertInstanceOf(GenerationEvent.Started.class, stream.next());
        StringBuilder text = new StringBuilder();
        GenerationEvent event = stream.next();
        while (event instanceof GenerationEvent.Output piece) {
            text.append(piece.content());
            event = stream.next();
        }
        assertEquals("Hello world", text.toString());
        GenerationEvent.Finished end = assertInstanceOf(GenerationEvent.Finished.class, event);
        assertEquals(FinishReason.STOP, end.reason());
        assertArrayEquals(tokens, end.tokens());
        GenerationStats stats = end.stats();
        assertEquals(3, stats.promptTokens());
        assertEquals(tokens.length, stats.outputTokens());
        assertTrue(stats.queued().compareTo(stats.timeToFirstToken()) <= 0, stats.toString());
        assertTrue(stats.timeToFirstToken().compareTo(stats.total()) <= 0, stats.toString());
        assertTrue(stats.tokensPerSecond() > 0, stats.toString());
    }

    @Test
    void requestsShareSteps() throws Exception {
        worker.hold();
        worker.script(TestModel.answer("first"));
        worker.script(TestModel.answer("second"));
        GenerationStream first = engine.submit(request(100));
        assertEquals(1, worker.awaitStep().sequences().size());
        GenerationStream second = engine.submit(request(100)); // while the step runs
        worker.release(1);
        StepPlan shared = worker.awaitStep();
        assertEquals(2, shared.sequences().size());
        assertEquals(1 + PROMPT.length, shared.rows());
        worker.releaseAll();
        assertEquals("first", content(first));
        assertEquals("second", content(second));
    }

    @Test
    void requestWaitsForItsCheckpointWhileOthersRun() throws Exception {
        worker.script(TestModel.answer("first"));
        worker.loadNext(3);
        assertEquals("first", content(engine.submit(request(100))));
        worker.loadNext(Integer.MAX_VALUE);
        GenerationStream loading = engine.submit(request(100));
        worker.awaitOpened();
        worker.awaitOpened();
        loading.close();
        worker.awaitClosed();
        worker.awaitClosed();
        worker.loadNext(0);
        worker.script(TestModel.answer("third"));
        assertEquals("third", content(engine.submit(request(100))));
    }

    @Test
    void closedStreamFreesItsSequence() throws Exception {
        worker.hold();
        worker.script(TestModel.tokens("on and on"));
        GenerationStream stream = engine.submit(request(400));
        worker.awaitStep();
        stream.close();
        worker.release(1);
        worker.awaitClosed();
        assertFalse(worker.hasOpenSequences());
        assertEquals(1, worker.steps());
    }

    @Test
    void failedStepEndsItsSequencesAndTheNextRequestRuns() throws Exception {
        Failure lost = new Failure(ErrorCode.SEQUENCE_LOST, "step=1");
        worker.forceNext(new StepOutcome.Failed(lost));
        assertEquals(lost, failure(engine.submit(request(5))));
        worker.script(TestModel.answer("fine"));
        assertEquals("fine", content(engine.submit(request(100))));
    }

    @Test
    void stepWithoutTheTokensAskedForFailsItsSequences() throws Exception {
        worker.forceNext(new StepOutcome.Completed(List.of()));
        assertEquals(ErrorCode.INTERNAL, failure(engine.submit(request(5))).code());
        worker.script(TestModel.answer("fine"));
        assertEquals("fine", content(engine.submit(request(100))));
    }

    @Test
    void bugOutsideAStepFailsWhatRunsAndTheLoopGoesOn() throws Exception {
        worker.hold();
        worker.script(TestModel.tokens("on and on"));
        GenerationStream running = engine.submit(request(400));
        worker.awaitStep();
        worker.throwWhenAsked(new IllegalStateException("told to"));
        worker.releaseAll();
        assertEquals(ErrorCode.INTERNAL, failure(running).code());
        worker.awaitClosed();
        worker.script(TestModel.answer("fine"));
        assertEquals("fine", content(engine.submit(request(100))));
    }

    @Test
    void sequenceLongerThanTheWorkerHoldsIsRefused() throws Exception {
        Failure failure =
                failure(engine.submit(request(TestModel.MAX_SEQUENCE_TOKENS - PROMPT.length + 1)));
        assertEquals(ErrorCode.PROMPT_TOO_LONG, failure.code());
        assertTrue(failure.message().contains("512"), failure.message());
    }

    @Test
    void engineThatIsNotStartedIsNotReady() throws Exception {
        try (Engine idle =
                new Engine(
                        TestModel.worker(),
                        EngineSettings.defaults(),
                        TestModel.model()::outputText,
                        EngineObserver.NONE)) {
            assertEquals(ErrorCode.NOT_READY, failure(idle.submit(request(5))).code());
        }
    }

    @Test
    void closedEngineIsNotReady() throws Exception {
        engine.close();
        assertEquals(ErrorCode.NOT_READY, failure(engine.submit(request(5))).code());
    }

    @Test
    void stopEndsWhatDoesNotCompleteInTime() throws Exception {
        engine.close();
        FakeAttentionWorker stuck = TestModel.worker();
        engine =
                new Engine(
                        stuck,
                        settings(Duration.ofMillis(50), Duration.ofMillis(50)),
                        TestModel.model()::outputText,
                        EngineObserver.NONE);
        engine.start();
        stuck.hold();
        GenerationStream stream = engine.submit(request(5));
        stuck.awaitStep();
        engine.close(); // returns although the step hangs
        assertEquals(ErrorCode.NOT_READY, failure(stream).code());
        stuck.releaseAll();
    }

    private Engine started(Duration stepTimeout, Duration drainTimeout) {
        Engine started =
                new Engine(
                        worker,
                        settings(stepTimeout, drainTimeout),
                        TestModel.model()::outputText,
                        EngineObserver.NONE);
        started.start();
        return started;
    }

    private static EngineSettings settings(Duration stepTimeout, Duration drainTimeout) {
        return new EngineSettings(
                4, 8, 64, Duration.ofSeconds(1), 0, 1024, stepTimeout, drainTimeout);
    }

    private static GenerationRequest request(int maxOutputTokens) {
        return new GenerationRequest(
                PROMPT,
                new int[0],
                maxOutputTokens,
                SamplingParameters.GREEDY,
                Set.of(TestModel.END_OF_TURN),
                List.of(),
                OutputFormat.PLAIN,
                OptionalInt.empty(),
                false,
                Optional.empty(),
                0,
                Duration.ofSeconds(30),
                Duration.ofSeconds(30));
    }

    private static String content(GenerationStream stream) throws InterruptedException {
        StringBuilder content = new StringBuilder();
        for (GenerationEvent event : drain(stream)) {
            if (event instanceof GenerationEvent.Output text) {
                content.append(text.content());
            }
        }
        return content.toString();
    }

    private static Failure failure(GenerationStream stream) throws InterruptedException {
        return assertInstanceOf(GenerationEvent.Failed.class, drain(stream).getLast()).failure();
    }

    private static List<GenerationEvent> drain(GenerationStream stream)
            throws InterruptedException {
        List<GenerationEvent> events = new ArrayList<>();
        do {
            events.add(stream.next());
        } while (!(events.getLast() instanceof GenerationEvent.End));
        return events;
    }
}
