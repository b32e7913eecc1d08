package io.atoll.coordinator.trace;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.atoll.attention.step.StepOutcome;
import io.atoll.coordinator.LogLines;
import io.atoll.coordinator.TestCoordinator;
import io.atoll.coordinator.TestModel;
import io.atoll.coordinator.trace.TraceCollector.Received;
import io.atoll.proto.ErrorCode;
import io.atoll.proto.Failure;
import java.util.List;
import org.junit.jupiter.api.Test;

final class RequestTracesTest {
    private static final String CHAT = "/v1/chat/completions";
    private static final String BODY =
            "{'messages': [{'role': 'user', 'content': 'zebra'}], 'max_tokens': 3}";
    private static final String TRACE = "4bf92f3577b34da6a3ce929d0e0e4736";
    private static final String PARENT = "00f067aa0ba902b7";

    @Test
    void aRequestIsAPartOfItsCallersTraceAndDividesIntoQueuePrefillAndDecode() throws Exception {
        try (TraceCollector collector = new TraceCollector(200);
                LogLines log = new LogLines("atoll.access")) {
            try (TestCoordinator coordinator = traced(collector, 0)) { // the caller decides
                coordinator.worker().script(TestModel.tokens("lion lion lion lion"));
                coordinator.exchange(
                        "POST", CHAT, BODY, "traceparent", "00-" + TRACE + "-" + PARENT + "-01");
                coordinator.get("/health/live");
                assertTrue(log.next().endsWith(" trace=" + TRACE));
            }
            Received whole = collector.span("POST " + CHAT);
            Received generate = collector.span("generate");
            assertEquals(5, collector.spans.size(), collector.spans.toString());
            for (Received span : collector.spans) {
                assertEquals(TRACE, span.trace());
                assertFalse(span.error());
                assertTrue(span.start() <= span.end(), span.toString());
            }
            assertEquals(PARENT, whole.parent());
            assertEquals(2, whole.kind()); // SPAN_KIND_SERVER
            assertEquals("200", whole.attributes().get("http.response.status_code"));
            assertEquals(whole.id(), generate.parent());
            assertEquals("3", generate.attributes().get("gen_ai.usage.output_tokens"));
            assertEquals("length", generate.attributes().get("gen_ai.response.finish_reasons"));
            long end = generate.start();
            for (String part : List.of("queue", "prefill", "decode")) {
                Received span = collector.span(part);
                assertEquals(generate.id(), span.parent());
                assertEquals(end, span.start(), part);
                end = span.end();
            }
            assertEquals(generate.end(), end);
            assertFalse(collector.spans.toString().contains("zebra"));
            assertFalse(collector.spans.toString().contains("lion"));
        }
    }

    @Test
    void whatFailsAndWhatIsRefusedIsTracedToo() throws Exception {
        try (TraceCollector collector = new TraceCollector(200)) {
            try (TestCoordinator coordinator = traced(collector, 1)) {
                coordinator
                        .worker()
                        .forceNext(
                                new StepOutcome.Failed(
                                        new Failure(ErrorCode.NO_LIVE_REPLICA, "no live replica")));
                coordinator.post(CHAT, BODY);
                coordinator.post("/nowhere", "{}");
            }
            assertTrue(collector.span("generate").error());
            Received failed = collector.span("POST " + CHAT);
            assertTrue(failed.error());
            assertTrue(failed.parent().isEmpty());
            assertEquals(
                    "404", collector.span("POST /*").attributes().get("http.response.status_code"));
        }
    }

    @Test
    void onlyTheRatioOfRequestsIsTraced() throws Exception {
        try (TraceCollector collector = new TraceCollector(200)) {
            try (TestCoordinator coordinator = traced(collector, 0)) {
                coordinator.post(CHAT, BODY);
                coordinator.exchange("POST", CHAT, BODY, "traceparent", "00-nonsense-01");
            }
            assertEquals(List.of(), collector.spans);
        }
    }

    @Test
    void aCollectorThatTakesNothingCostsOneLineAndNoRequest() throws Exception {
        try (TraceCollector collector = new TraceCollector(400);
                LogLines log = new LogLines(RequestTraces.class.getName())) {
            try (TestCoordinator coordinator = traced(collector, 1)) {
                assertEquals(200, coordinator.post(CHAT, BODY).status());
            }
            String line = log.next();
            assertTrue(line.startsWith("spans are lost: " + collector.endpoint()), line);
        }
    }

    private static TestCoordinator traced(TraceCollector collector, double ratio) {
        return new TestCoordinator(
                new TraceSettings(collector.endpoint(), ratio, TestModel.model().name()));
    }
}
