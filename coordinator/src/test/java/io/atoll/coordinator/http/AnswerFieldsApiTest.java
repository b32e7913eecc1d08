package io.atoll.coordinator.http;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import io.atoll.coordinator.TestCoordinator.Reply;
import io.atoll.coordinator.TestModel;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/// Fields that say how many answers there are, how likely their tokens were, and whether the model thinks.
final class AnswerFieldsApiTest extends ApiTest {
    // Several choices

    @Test
    void severalChoicesHaveSeedsOfTheirOwnAndOnePrompt() throws Exception {
        say("one", "two two", "three three three");
        JsonNode body = answer(CHAT, HELLO + ", 'n': 3, 'seed': 7}");
        Set<String> said = new HashSet<>();
        int output = 0;
        for (int i = 0; i < 3; i++) {
            JsonNode choice = body.path("choices").path(i);
            assertEquals(i, choice.path("index").asInt(-1));
            String text = choice.path("message").path("content").asText();
            said.add(text);
            output += TestModel.answer(text).length;
        }
        assertEquals(Set.of("one", "two two", "three three three"), said);
        assertEquals(
                Set.of(7L, 8L, 9L),
                Set.of(
                        coordinator.worker().options(1).sampling().seed(),
                        coordinator.worker().options(2).sampling().seed(),
                        coordinator.worker().options(3).sampling().seed()));
        assertEquals(output, body.path("usage").path("completion_tokens").asInt());
        assertEquals(
                coordinator.worker().prompt(1).length,
                body.path("usage").path("prompt_tokens").asInt());
    }

    @Test
    void streamedChoicesAreToldApartByTheirIndex() throws Exception {
        say("a b c d e f", "g h i j k l m");
        List<JsonNode> chunks =
                stream(CHAT, HELLO + ", 'n': 2, 'stream_options': {'include_usage': true}");
        StringBuilder[] texts = {new StringBuilder(), new StringBuilder()};
        int[] roles = new int[2];
        int[] ends = new int[2];
        for (JsonNode chunk : chunks.subList(0, chunks.size() - 1)) {
            int index = choice(chunk).path("index").asInt(-1);
            JsonNode delta = choice(chunk).path("delta");
            texts[index].append(delta.path("content").asText(""));
            roles[index] += delta.has("role") ? 1 : 0;
            ends[index] += choice(chunk).path("finish_reason").isNull() ? 0 : 1;
        }
        assertEquals(
                Set.of("a b c d e f", "g h i j k l m"),
                Set.of(texts[0].toString(), texts[1].toString()));
        assertEquals(1, roles[0] * roles[1] * ends[0] * ends[1]);
        assertTrue(chunks.getLast().path("usage").path("completion_tokens").asInt() > 10);
    }

    @Test
    void clientThatLeavesEndsAllChoices() throws Exception {
        coordinator.worker().script(5);
        coordinator.worker().script(6);
        var reply = coordinator.postForStream(CHAT, HELLO + ", 'n': 2, 'stream': true}");
        coordinator.worker().awaitOpened();
        coordinator.worker().awaitOpened();
        reply.body().close();
        coordinator.worker().awaitClosed();
        coordinator.worker().awaitClosed();
    }

    // Logprobs

    @Test
    void chatLogprobsNameEachTokenItsBytesAndTheLikeliest() throws Exception {
        say("naïve", "naïve");
        String request = HELLO + ", 'logprobs': true, 'top_logprobs': 2";
        JsonNode content = choice(answer(CHAT, request + "}")).path("logprobs").path("content");
        int[] tokens = TestModel.tokens("naïve");
        assertEquals(tokens.length, content.size(), "the end token has none");
        List<Integer> bytes = new ArrayList<>();
        for (JsonNode entry : content) {
            assertEquals(-1, entry.path("logprob").asDouble());
            entry.path("bytes").forEach(value -> bytes.add(value.intValue()));
            assertEquals(2, entry.path("top_logprobs").size());
            assertEquals(-2, entry.path("top_logprobs").path(1).path("logprob").asDouble());
        }
        byte[] expected = "naïve".getBytes(StandardCharsets.UTF_8);
        assertEquals(expected.length, bytes.size());
        for (int i = 0; i < expected.length; i++) {
            assertEquals(expected[i] & 0xFF, bytes.get(i));
        }
        assertEquals(2, coordinator.worker().options(1).topLogprobs());

        int streamed = 0;
        for (JsonNode chunk : stream(CHAT, request)) {
            streamed += choice(chunk).path("logprobs").path("content").size();
        }
        assertEquals(tokens.length, streamed);
    }

    @Test
    void answersWithoutLogprobsHaveNone() throws Exception {
        say("Hi");
        assertTrue(choice(answer(CHAT, HELLO + "}")).path("logprobs").isNull());
        assertEquals(0, coordinator.worker().options(1).topLogprobs());
    }

    @Test
    void completionLogprobsAreListsAsLongAsTheTokens() throws Exception {
        say(" upon a time", " upon a time");
        JsonNode logprobs =
                choice(answer(COMPLETIONS, "{'prompt': 'Once', 'logprobs': 3}")).path("logprobs");
        int count = TestModel.tokens(" upon a time").length;
        StringBuilder text = new StringBuilder();
        for (int i = 0; i < count; i++) {
            assertEquals(text.length(), logprobs.path("text_offset").path(i).asInt(-1));
            text.append(logprobs.path("tokens").path(i).asText());
            assertEquals(3, logprobs.path("top_logprobs").path(i).size());
        }
        assertEquals(" upon a time", text.toString());
        assertEquals(count, logprobs.path("token_logprobs").size());
        List<Integer> offsets = new ArrayList<>();
        for (JsonNode chunk : stream(COMPLETIONS, "{'prompt': 'Once', 'logprobs': 3")) {
            choice(chunk)
                    .path("logprobs")
                    .path("text_offset")
                    .forEach(offset -> offsets.add(offset.intValue()));
        }
        List<Integer> whole = new ArrayList<>();
        logprobs.path("text_offset").forEach(offset -> whole.add(offset.intValue()));
        assertEquals(whole, offsets);
    }

    @Test
    void echoPutsThePromptBeforeTheText() throws Exception {
        say(" upon", " upon");
        assertEquals(
                "Once upon",
                choice(answer(COMPLETIONS, "{'prompt': 'Once', 'echo': true}"))
                        .path("text")
                        .asText());
        StringBuilder text = new StringBuilder();
        stream(COMPLETIONS, "{'prompt': 'Once', 'echo': true")
                .forEach(chunk -> text.append(choice(chunk).path("text").asText()));
        assertEquals("Once upon", text.toString());
    }

    // What changes the choice of tokens

    @Test
    void logitBiasReachesTheWorker() throws Exception {
        say("Hi");
        answer(CHAT, HELLO + ", 'logit_bias': {'5': -100, '17': 1.5}}");
        assertEquals(
                Map.of(5, -100f, 17, 1.5f), coordinator.worker().options(1).sampling().logitBias());
    }

    // Thinking

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            quoteCharacter = '`',
            value = {
                "'reasoning_effort': 'none' | false",
                "'reasoning_effort': 'minimal' | false",
                "'reasoning_effort': 'low' | true",
                "'reasoning_effort': 'high' | true",
                "'user': 'me' | true",
                "'chat_template_kwargs': {'enable_thinking': false} | false",
                "'reasoning_effort': 'none', 'chat_template_kwargs': {'enable_thinking': true} |"
                        + " true",
            })
    void thinkingFollowsTheEffortAndTheTemplateOption(String field, boolean thinks)
            throws Exception {
        say("x");
        Reply reply =
                coordinator.post(
                        CHAT, "{'messages': [{'role': 'user', 'content': 'Hi'}], " + field + "}");
        assertEquals(200, reply.status(), reply.body());
        assertEquals(thinks, prompt(1).endsWith("<think>\n"), prompt(1));
    }

    @Test
    void harmlessFieldsAreIgnored() throws Exception {
        say("Hi", "Hi");
        answer(CHAT, HELLO + ", 'service_tier': 'auto', 'user': 'me', 'store': true, 'x': [1]}");
        answer(COMPLETIONS, "{'prompt': 'a', 'best_of': 1, 'user': 'me', 'y': {}}");
        assertFalse(prompt(1).contains("me"), prompt(1));
        assertNotEquals(
                coordinator.worker().options(1).sampling().seed(),
                coordinator.worker().options(2).sampling().seed());
    }
}
