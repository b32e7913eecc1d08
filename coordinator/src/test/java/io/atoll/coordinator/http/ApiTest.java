package io.atoll.coordinator.http;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;

import com.fasterxml.jackson.databind.JsonNode;
import io.atoll.coordinator.TestCoordinator;
import io.atoll.coordinator.TestCoordinator.Reply;
import io.atoll.coordinator.TestModel;
import io.atoll.coordinator.engine.EngineSettings;
import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Timeout;

/// A coordinator for each test, over a real socket, with a worker that says what it is told to.
@Timeout(60)
abstract class ApiTest {
    static final String CHAT = "/v1/chat/completions";
    static final String COMPLETIONS = "/v1/completions";

    /// The beginning of a request; its answer does not begin with reasoning.
    static final String HELLO =
            "{'messages': [{'role': 'user', 'content': 'Hello'}], 'chat_template_kwargs':"
                    + " {'enable_thinking': false}";

    final TestCoordinator coordinator =
            new TestCoordinator(
                    TestModel.worker(4096),
                    TestCoordinator.http(Duration.ofMinutes(1)),
                    EngineSettings.defaults());

    @AfterEach
    void workerWasTreatedWell() {
        coordinator.close();
        assertEquals(List.of(), coordinator.worker().complaints());
        assertFalse(coordinator.worker().hasOpenSequences(), "sequences left open");
    }

    /// The next answers.
    void say(String... texts) {
        for (String text : texts) {
            coordinator.worker().script(TestModel.answer(text));
        }
    }

    /// The body of an answer, which must be one.
    JsonNode answer(String path, String body) throws Exception {
        Reply reply = coordinator.post(path, body);
        assertEquals(200, reply.status(), reply.body());
        return reply.json();
    }

    /// The chunks of a streamed answer.
    List<JsonNode> stream(String path, String openBody) throws Exception {
        Reply reply = coordinator.post(path, openBody + ", 'stream': true}");
        assertEquals(200, reply.status(), reply.body());
        return reply.events();
    }

    static JsonNode choice(JsonNode body) {
        return body.path("choices").path(0);
    }

    /// The prompt of the n-th sequence, as text.
    String prompt(long sequence) {
        return TestModel.model().tokenizer().decode(coordinator.worker().prompt(sequence), false);
    }
}
