package io.atoll.coordinator.http;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import io.atoll.attention.step.SamplingParameters;
import io.atoll.attention.step.StepOutcome;
import io.atoll.coordinator.FakeAttentionWorker;
import io.atoll.coordinator.TestCoordinator;
import io.atoll.coordinator.TestCoordinator.Reply;
import io.atoll.coordinator.TestModel;
import io.atoll.coordinator.engine.EngineSettings;
import io.atoll.proto.ErrorCode;
import io.atoll.proto.Failure;
import java.io.InputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.net.http.HttpResponse;
import java.time.Duration;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/// The API over a real socket, with a worker that says what it is told to.
@Timeout(60)
final class HttpApiTest {
    private static final String CHAT = "/v1/chat/completions";
    private static final String COMPLETIONS = "/v1/completions";
    private static final String HELLO =
            "{'messages': [{'role': 'user', 'content': 'Hello'}], 'chat_template_kwargs':"
                    + " {'enable_thinking': false}";
    private static final Failure LOST = new Failure(ErrorCode.NO_LIVE_REPLICA, "layer=1 expert=2");

    private TestCoordinator coordinator = new TestCoordinator();

    @AfterEach
    void workerWasTreatedWell() {
        coordinator.close();
        assertEquals(List.of(), coordinator.worker().complaints());
        assertFalse(coordinator.worker().hasOpenSequences(), "sequences left open");
    }

    // Answers

    @Test
    void chatAnswersWithAMessageAndItsCounts() throws Exception {
        coordinator.worker().script(TestModel.answer("The quick brown fox."));
        Reply reply = coordinator.post(CHAT, HELLO + "}");
        assertEquals(200, reply.status(), reply.body());
        JsonNode body = reply.json();
        assertTrue(body.path("id").asText().startsWith("chatcmpl-"));
        assertEquals("chat.completion", body.path("object").asText());
        assertEquals("demo-model", body.path("model").asText());
        assertTrue(body.path("system_fingerprint").asText().startsWith("fp_"));
        JsonNode choice = body.path("choices").path(0);
        assertEquals("assistant", choice.path("message").path("role").asText());
        assertEquals("The quick brown fox.", choice.path("message").path("content").asText());
        assertFalse(choice.path("message").has("reasoning_content"));
        assertEquals("stop", choice.path("finish_reason").asText());
        String prompt =
                "<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n";
        int[] promptTokens = TestModel.tokens(prompt);
        assertArrayEquals(promptTokens, coordinator.worker().prompt(1));
        JsonNode usage = body.path("usage");
        int output = TestModel.answer("The quick brown fox.").length;
        assertEquals(promptTokens.length, usage.path("prompt_tokens").asInt());
        assertEquals(output, usage.path("completion_tokens").asInt());
        assertEquals(promptTokens.length + output, usage.path("total_tokens").asInt());
        assertEquals(0, usage.path("completion_tokens_details").path("reasoning_tokens").asInt(-1));
    }

    @Test
    void chatStreamHasARoleThenDeltasThenAReasonThenDone() throws Exception {
        coordinator.worker().script(TestModel.answer("Hello there, friend."));
        Reply reply = coordinator.post(CHAT, HELLO + ", 'stream': true}");
        assertEquals(200, reply.status());
        assertEquals("text/event-stream; charset=utf-8", reply.header("content-type"));
        List<JsonNode> chunks = reply.events();
        JsonNode first = chunks.getFirst();
        assertEquals("chat.completion.chunk", first.path("object").asText());
        assertEquals("assistant", delta(first).path("role").asText());
        assertEquals("", delta(first).path("content").asText("none"));
        assertTrue(choice(first).path("finish_reason").isNull());
        assertEquals("Hello there, friend.", joined(chunks, "content"));
        assertTrue(chunks.size() >= 5, "a chunk for each token: " + chunks.size());
        JsonNode last = chunks.getLast();
        assertTrue(delta(last).isEmpty());
        assertEquals("stop", choice(last).path("finish_reason").asText());
        assertFalse(last.has("usage"));
        assertEquals(1, chunks.stream().map(chunk -> chunk.path("id").asText()).distinct().count());
        assertTrue(reply.body().endsWith("data: [DONE]\n\n"));
    }

    @Test
    void includeUsageAddsAChunkOfCountsAndMentionsItInEveryOther() throws Exception {
        coordinator.worker().script(TestModel.answer("Hi"));
        Reply reply =
                coordinator.post(
                        CHAT,
                        HELLO + ", 'stream': true, 'stream_options': {'include_usage': true}}");
        List<JsonNode> chunks = reply.events();
        JsonNode usage = chunks.getLast();
        assertTrue(usage.path("choices").isArray() && usage.path("choices").isEmpty());
        assertEquals(
                TestModel.answer("Hi").length,
                usage.path("usage").path("completion_tokens").asInt());
        for (JsonNode chunk : chunks.subList(0, chunks.size() - 1)) {
            assertTrue(chunk.has("usage") && chunk.path("usage").isNull(), chunk.toString());
        }
    }

    @Test
    void reasoningIsToldFromContentInBothForms() throws Exception {
        int[] script = TestModel.answer("Let me think.\n</think>\n\nFour.");
        coordinator.worker().script(script);
        coordinator.worker().script(script);
        String request = "{'messages': [{'role': 'user', 'content': '2+2?'}]";
        JsonNode whole = coordinator.post(CHAT, request + "}").json();
        JsonNode message = choice(whole).path("message");
        assertEquals("Let me think.", message.path("reasoning_content").asText());
        assertEquals("Four.", message.path("content").asText());
        int reasoning =
                whole.path("usage")
                        .path("completion_tokens_details")
                        .path("reasoning_tokens")
                        .asInt();
        assertTrue(reasoning > 0 && reasoning < script.length, "reasoning tokens: " + reasoning);
        List<JsonNode> chunks = coordinator.post(CHAT, request + ", 'stream': true}").events();
        assertEquals("Let me think.", joined(chunks, "reasoning_content"));
        assertEquals("Four.", joined(chunks, "content"));
    }

    @Test
    void charactersSplitOverTokensArriveWhole() throws Exception {
        String text = "naïve 日本 🦆!";
        int[] tokens = TestModel.tokens(text);
        assertTrue(tokens.length > text.codePointCount(0, text.length()), "must split characters");
        coordinator.worker().script(TestModel.answer(text));
        List<JsonNode> chunks = coordinator.post(CHAT, HELLO + ", 'stream': true}").events();
        assertEquals(text, joined(chunks, "content"));
        for (JsonNode chunk : chunks) {
            assertFalse(delta(chunk).path("content").asText().contains("\uFFFD"), chunk.toString());
        }
    }

    @Test
    void answerIsCutAtMaxTokens() throws Exception {
        coordinator.worker().script(TestModel.answer("one two three four five six"));
        JsonNode body = coordinator.post(CHAT, HELLO + ", 'max_tokens': 3}").json();
        assertEquals("length", choice(body).path("finish_reason").asText());
        assertEquals(3, body.path("usage").path("completion_tokens").asInt());
    }

    @Test
    void stopStringAcrossTokensEndsTheAnswerBeforeIt() throws Exception {
        coordinator.worker().script(TestModel.tokens("alpha beta gamma delta epsilon"));
        Reply reply = coordinator.post(CHAT, HELLO + ", 'stop': ['ma del'], 'stream': true}");
        List<JsonNode> chunks = reply.events();
        assertEquals("alpha beta gam", joined(chunks, "content"));
        assertEquals("stop", choice(chunks.getLast()).path("finish_reason").asText());
    }

    @Test
    void completionAnswersATextPromptAndATokenPrompt() throws Exception {
        coordinator.worker().script(TestModel.answer(" upon a time"));
        coordinator.worker().script(TestModel.answer("!"));
        JsonNode text = coordinator.post(COMPLETIONS, "{'prompt': 'Once'}").json();
        assertEquals("text_completion", text.path("object").asText());
        assertTrue(text.path("id").asText().startsWith("cmpl-"));
        assertEquals(" upon a time", choice(text).path("text").asText());
        assertArrayEquals(TestModel.tokens("Once"), coordinator.worker().prompt(1));
        JsonNode tokens = coordinator.post(COMPLETIONS, "{'prompt': [5, 6, 7]}").json();
        assertEquals("!", choice(tokens).path("text").asText());
        assertArrayEquals(new int[] {5, 6, 7}, coordinator.worker().prompt(2));
    }

    @Test
    void completionStreamHasTextChunks() throws Exception {
        coordinator.worker().script(TestModel.answer("<think> is plain text here"));
        List<JsonNode> chunks =
                coordinator.post(COMPLETIONS, "{'prompt': ['Once'], 'stream': true}").events();
        StringBuilder text = new StringBuilder();
        chunks.forEach(chunk -> text.append(choice(chunk).path("text").asText()));
        assertEquals("<think> is plain text here", text.toString());
        assertEquals("stop", choice(chunks.getLast()).path("finish_reason").asText());
    }

    @Test
    void modelsListAndOneModel() throws Exception {
        JsonNode list = coordinator.get("/v1/models").json();
        assertEquals("list", list.path("object").asText());
        assertEquals("demo-model", list.path("data").path(0).path("id").asText());
        assertEquals(
                "model", coordinator.get("/v1/models/demo-model").json().path("object").asText());
        assertError(coordinator.get("/v1/models/gpt-4"), 404, "model_not_found", "model");
    }

    // What the request says

    @Test
    void samplingFieldsReachTheWorker() throws Exception {
        coordinator.post(
                CHAT,
                HELLO
                        + ", 'temperature': 0.5, 'top_p': 0.25, 'top_k': 7, 'min_p': 0.125,"
                        + " 'presence_penalty': 1.5, 'frequency_penalty': -0.5,"
                        + " 'repetition_penalty': 1.25, 'seed': -9, 'max_completion_tokens': 2,"
                        + " 'user': 'me', 'unknown_and_harmless': {}}");
        assertEquals(
                new SamplingParameters(0.5f, 7, 0.25f, 0.125f, 1.5f, -0.5f, 1.25f, -9),
                coordinator.worker().options(1).sampling());
    }

    @Test
    void samplingDefaultsAreTheModels() throws Exception {
        coordinator.post(CHAT, HELLO + ", 'seed': 3, 'max_tokens': 1, 'temperature': null}");
        assertEquals(
                new SamplingParameters(1, 20, 0.95f, 0, 0, 0, 1, 3),
                coordinator.worker().options(1).sampling());
    }

    @Test
    void seedsDifferWhenNoneIsGiven() throws Exception {
        coordinator.post(CHAT, HELLO + ", 'max_tokens': 1}");
        coordinator.post(CHAT, HELLO + ", 'max_tokens': 1}");
        assertTrue(
                coordinator.worker().options(1).sampling().seed()
                        != coordinator.worker().options(2).sampling().seed());
    }

    @Test
    void conversationWithToolCallsReachesTheTemplate() throws Exception {
        Reply reply =
                coordinator.post(
                        CHAT,
                        """
                        {'max_tokens': 1,
                         'tools': [{'type': 'function', 'function': {'name': 'add', 'parameters': {}}}],
                         'messages': [
                          {'role': 'developer', 'content': [{'type': 'text', 'text': 'Be brief.'}]},
                          {'role': 'user', 'content': 'Add.'},
                          {'role': 'assistant', 'content': null, 'reasoning_content': 'hm',
                           'tool_calls': [{'id': 'c1', 'type': 'function',
                             'function': {'name': 'add', 'arguments': '{\\"a\\": 1, \\"b\\": [2]}'}}]},
                          {'role': 'tool', 'tool_call_id': 'c1', 'content': '3'}]}
                        """);
        assertEquals(200, reply.status(), reply.body());
        String prompt = TestModel.model().tokenizer().decode(coordinator.worker().prompt(1), false);
        assertTrue(prompt.contains("\"name\": \"add\""), prompt);
        assertTrue(prompt.contains("Be brief."), prompt);
        assertTrue(prompt.contains("<think>\nhm\n</think>"), prompt);
        assertTrue(prompt.contains("<parameter=b>\n[2]\n</parameter>"), prompt);
        assertTrue(prompt.contains("<tool_response>\n3\n</tool_response>"), prompt);
    }

    @Test
    void toolChoiceNoneHidesTheTools() throws Exception {
        coordinator.post(
                CHAT,
                HELLO
                        + ", 'max_tokens': 1, 'tool_choice': 'none', 'tools': [{'type': 'function',"
                        + " 'function': {'name': 'add'}}]}");
        String prompt = TestModel.model().tokenizer().decode(coordinator.worker().prompt(1), false);
        assertFalse(prompt.contains("add"), prompt);
    }

    // What is refused

    @Test
    void malformedJsonIsRefusedWithThePosition() throws Exception {
        Reply reply = coordinator.post(CHAT, "{'messages': [\n  oops]}");
        assertError(reply, 400, "invalid_request", null);
        assertTrue(reply.message().contains("line 2, column"), reply.message());
    }

    @Test
    void deepJsonIsRefused() throws Exception {
        assertError(
                coordinator.post(CHAT, "{'x': " + "[".repeat(5000) + "]".repeat(5000) + "}"),
                400,
                "invalid_request",
                null);
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            quoteCharacter = '`',
            value = {
                "'messages': 3 | messages",
                "'messages': [] | messages",
                "'messages': [{'role': 'king', 'content': 'x'}] | messages[0].role",
                "'messages': [{'content': 'x'}] | messages[0].role",
                "'messages': [{'role': 'user'}] | messages[0].content",
                "'messages': [{'role': 'user', 'content': 5}] | messages[0].content",
                "'messages': [7] | messages[0]",
                "'messages': [{'role': 'user', 'content': [{'type': 'image_url', 'image_url':"
                        + " {'url': 'x'}}]}] | messages[0].content[0].type",
                "'messages': [{'role': 'user', 'content': 'x'}, {'role': 'assistant', 'tool_calls':"
                        + " [{'function': {'name': 'f', 'arguments': '{oops'}}]}] |"
                        + " messages[1].tool_calls[0].function.arguments",
                "'messages': [{'role': 'user', 'content': 'x'}, {'role': 'assistant', 'tool_calls':"
                        + " [{'function': {'name': 'f', 'arguments': '[1]'}}]}] |"
                        + " messages[1].tool_calls[0].function.arguments",
                "'messages': [{'role': 'assistant', 'content': 'x'}] | messages",
                "'model': 7 | model",
                "'temperature': 'hot' | temperature",
                "'temperature': 2.5 | temperature",
                "'temperature': -1 | temperature",
                "'top_p': 1.5 | top_p",
                "'top_k': 1.5 | top_k",
                "'seed': 'x' | seed",
                "'seed': 123456789012345678901234567890 | seed",
                "'max_tokens': 0 | max_tokens",
                "'max_tokens': -5 | max_tokens",
                "'max_tokens': 100000 | max_tokens",
                "'max_completion_tokens': 1.5 | max_completion_tokens",
                "'stop': 5 | stop",
                "'stop': [''] | stop[0]",
                "'stop': ['a', 'b', 'c', 'd', 'e'] | stop",
                "'stream': 'yes' | stream",
                "'stream_options': {'include_usage': true} | stream_options",
                "'n': 0 | n",
                "'n': 17 | n",
                "'logprobs': 1 | logprobs",
                "'logprobs': true, 'top_logprobs': 21 | top_logprobs",
                "'top_logprobs': 2 | top_logprobs",
                "'response_format': {'type': 'xml'} | response_format.type",
                "'response_format': {'type': 'json_schema'} | response_format.json_schema",
                "'response_format': {'type': 'json_schema', 'json_schema': {}} |"
                        + " response_format.json_schema.schema",
                "'response_format': {'type': 'json_object'}, 'ignore_eos': true | ignore_eos",
                "'structured_outputs': {} | structured_outputs",
                "'structured_outputs': {'regex': 'a', 'choice': ['b']} | structured_outputs",
                "'structured_outputs': {'regex': '[b'} | structured_outputs.regex",
                "'structured_outputs': {'choice': []} | structured_outputs.choice",
                "'structured_outputs': {'choice': [1]} | structured_outputs.choice[0]",
                "'structured_outputs': {'json': {'uniqueItems': true}} | structured_outputs.json",
                "'tool_choice': 'required' | tool_choice",
                "'tool_choice': 'maybe' | tool_choice",
                "'tool_choice': {'type': 'function', 'function': {'name': 'f'}} | tool_choice",
                "'tools': {} | tools",
                "'tools': [{'type': 'function'}] | tools[0].function",
                "'tools': [{'type': 'function', 'function': {'name': ' '}}] |"
                        + " tools[0].function.name",
                "'tools': [{'type': 'function', 'function': {'name': 'f', 'parameters': []}}] |"
                        + " tools[0].function.parameters",
                "'tools': [{'type': 'web_search'}] | tools[0].type",
                "'logit_bias': 5 | logit_bias",
                "'logit_bias': {'5': 101} | logit_bias.5",
                "'logit_bias': {'5': 'x'} | logit_bias.5",
                "'logit_bias': {'2040': 1} | logit_bias.2040",
                "'logit_bias': {'x': 1} | logit_bias.x",
                "'parallel_tool_calls': 'no' | parallel_tool_calls",
                "'reasoning_effort': 'much' | reasoning_effort",
                "'reasoning_effort': 3 | reasoning_effort",
                "'user': 5 | user",
                "'service_tier': 'gold' | service_tier",
                "'modalities': ['text', 'audio'] | modalities",
                "'functions': [] | functions",
                "'guided_json': {} | guided_json",
                "'chat_template_kwargs': [] | chat_template_kwargs",
                "'chat_template_kwargs': {'enable_thinking': 1} |"
                        + " chat_template_kwargs.enable_thinking",
            })
    void badChatFieldIsRefusedByName(String field, String param) throws Exception {
        String messages =
                field.startsWith("'messages'")
                        ? ""
                        : "'messages': [{'role': 'user', 'content': 'x'}], ";
        Reply reply = coordinator.post(CHAT, "{" + messages + field + "}");
        assertError(reply, 400, "invalid_request", param);
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            quoteCharacter = '`',
            value = {
                "'x': 1 | prompt",
                "'prompt': 5 | prompt",
                "'prompt': '' | prompt",
                "'prompt': [] | prompt",
                "'prompt': ['a', ''] | prompt[1]",
                "'prompt': ['a', 1] | prompt[1]",
                "'prompt': [[1], []] | prompt[1]",
                "'prompt': [[1], [2, -1]] | prompt[1][1]",
                "'prompt': [1, 2040] | prompt[1]",
                "'prompt': [1, 'a'] | prompt[1]",
                "'prompt': 'a', 'echo': 1 | echo",
                "'prompt': 'a', 'suffix': 'b' | suffix",
                "'prompt': 'a', 'logprobs': true | logprobs",
                "'prompt': 'a', 'logprobs': 21 | logprobs",
                "'prompt': 'a', 'best_of': 3 | best_of",
            })
    void badCompletionFieldIsRefusedByName(String field, String param) throws Exception {
        assertError(
                coordinator.post(COMPLETIONS, "{" + field + "}"), 400, "invalid_request", param);
    }

    @Test
    void missingMessagesAreRefused() throws Exception {
        assertError(coordinator.post(CHAT, "{}"), 400, "invalid_request", "messages");
    }

    @Test
    void unknownModelIsNotFound() throws Exception {
        Reply reply = coordinator.post(CHAT, HELLO + ", 'model': 'gpt-4'}");
        assertError(reply, 404, "model_not_found", "model");
        assertTrue(reply.message().contains("demo-model"), reply.message());
    }

    @Test
    void promptThatDoesNotFitIsRefusedWithBothNumbers() throws Exception {
        String ids =
                IntStream.range(0, 512)
                        .mapToObj(i -> "5")
                        .reduce((left, right) -> left + "," + right)
                        .orElseThrow();
        Reply reply = coordinator.post(COMPLETIONS, "{'prompt': [" + ids + "]}");
        assertError(reply, 400, "context_length_exceeded", "prompt");
        assertTrue(
                reply.message().contains("512") && reply.message().contains("511"),
                reply.message());
        assertError(
                coordinator.post(COMPLETIONS, "{'prompt': [1, 2, 3], 'max_tokens': 510}"),
                400,
                "context_length_exceeded",
                "prompt");
    }

    @Test
    void unknownPathIsNotFoundInJson() throws Exception {
        assertError(coordinator.get("/v2/nothing"), 404, "route_not_found", null);
        assertError(coordinator.get("/"), 404, "route_not_found", null);
    }

    @ParameterizedTest
    @ValueSource(strings = {CHAT, COMPLETIONS})
    void getOfACompletionIsNotAllowed(String path) throws Exception {
        assertError(coordinator.get(path), 405, "method_not_allowed", null);
    }

    @Test
    void postToModelsIsNotAllowed() throws Exception {
        assertError(coordinator.post("/v1/models", "{}"), 405, "method_not_allowed", null);
    }

    @Test
    void largeBodyIsRefused() throws Exception {
        String body = HELLO + ", 'user': '" + "x".repeat(2 << 20) + "'}";
        assertError(coordinator.post(CHAT, body), 413, "body_too_large", null);
    }

    @Test
    void otherContentTypeIsRefused() throws Exception {
        assertError(
                coordinator.post(CHAT, HELLO + "}", "text/plain"),
                415,
                "unsupported_media_type",
                null);
    }

    // Trouble

    @Test
    void failedStepGivesItsStatusWhenNothingWasSent() throws Exception {
        coordinator.worker().forceNext(new StepOutcome.Failed(LOST));
        Reply reply = coordinator.post(CHAT, HELLO + "}");
        assertError(reply, 503, "no_live_replica", null);
        assertEquals("5", reply.header("retry-after"));
        assertEquals("layer=1 expert=2", reply.message());
        assertEquals("server_error", reply.json().path("error").path("type").asText());
    }

    @Test
    void failedStepInAStreamIsAnEventWithoutDone() throws Exception {
        coordinator.worker().script(TestModel.tokens("one two three four"));
        coordinator.worker().hold();
        CompletableFuture<Reply> reply = coordinator.postAsync(CHAT, HELLO + ", 'stream': true}");
        coordinator.worker().release(2);
        for (int step = 0; step < 3; step++) {
            coordinator.worker().awaitStep();
        }
        coordinator.worker().forceNext(new StepOutcome.Failed(LOST));
        coordinator.worker().releaseAll();
        Reply ended = reply.get();
        assertEquals(200, ended.status());
        JsonNode last = ended.events().getLast();
        assertEquals("no_live_replica", last.path("error").path("code").asText());
        assertFalse(ended.body().contains("[DONE]"));
    }

    @Test
    void bugInAStepIsHiddenFromTheClientAndEndsNothingElse() throws Exception {
        coordinator.worker().throwNext(new IllegalStateException("secret detail"));
        Reply reply = coordinator.post(CHAT, HELLO + "}");
        assertError(reply, 500, "internal", null);
        assertFalse(reply.body().contains("secret"), reply.body());
        coordinator.worker().script(TestModel.answer("Fine."));
        assertEquals(200, coordinator.post(CHAT, HELLO + "}").status());
    }

    @Test
    void unavailableWorkerIsNotReadyAndRefusesAtOnce() throws Exception {
        assertEquals(200, coordinator.get("/health/ready").status());
        coordinator.worker().setUnavailable(Optional.of(LOST));
        assertError(coordinator.post(CHAT, HELLO + "}"), 503, "no_live_replica", null);
        Reply ready = coordinator.get("/health/ready");
        assertEquals(503, ready.status());
        assertEquals("layer=1 expert=2", ready.message());
        assertEquals(200, coordinator.get("/health/live").status());
        assertEquals(0, coordinator.worker().steps());
        coordinator.worker().setUnavailable(Optional.empty());
        coordinator.awaitReadiness(200);
        coordinator.worker().script(TestModel.answer("Back."));
        assertEquals(200, coordinator.post(CHAT, HELLO + "}").status());
    }

    @Test
    void fullQueueShedsInsteadOfWaiting() throws Exception {
        restart(TestModel.worker(), TestCoordinator.engine(1, 1, 1024));
        coordinator.worker().hold();
        String one = HELLO + ", 'max_tokens': 1}";
        CompletableFuture<Reply> running = coordinator.postAsync(CHAT, one);
        coordinator.worker().awaitStep();
        BlockingQueue<Reply> replies = new LinkedBlockingQueue<>();
        for (int i = 0; i < 4; i++) { // one finds room in the queue
            var _ = coordinator.postAsync(CHAT, one).thenAccept(replies::add);
        }
        for (int i = 0; i < 3; i++) {
            Reply shed = replies.take();
            assertError(shed, 429, "overloaded", null);
            assertEquals("1", shed.header("retry-after"));
            assertEquals("overloaded_error", shed.json().path("error").path("type").asText());
        }
        coordinator.worker().releaseAll();
        assertEquals(200, running.get().status());
        assertEquals(200, replies.take().status());
    }

    @Test
    void requestEndsAtItsDeadlineEvenWhileAStepHangs() throws Exception {
        coordinator.close();
        coordinator =
                new TestCoordinator(
                        TestModel.worker(),
                        TestCoordinator.http(Duration.ofMillis(300)),
                        EngineSettings.defaults());
        coordinator.worker().hold();
        assertError(coordinator.post(CHAT, HELLO + "}"), 504, "deadline_exceeded", null);
        coordinator.worker().releaseAll();
        coordinator.worker().awaitClosed();
    }

    @Test
    void clientThatGoesAwayEndsItsStream() throws Exception {
        coordinator.worker().hold();
        coordinator.worker().script(TestModel.tokens("a b c d e f g"));
        HttpResponse<InputStream> response =
                coordinator.postForStream(CHAT, HELLO + ", 'stream': true}");
        coordinator.worker().awaitStep();
        response.body().close();
        assertEndsEarly();
    }

    @Test
    void clientThatGoesAwayBeforeAnyByteEndsItsRequest() throws Exception {
        coordinator.worker().hold();
        coordinator.worker().script(TestModel.tokens("a b c d e f g"));
        try (Socket socket = new Socket(InetAddress.getLoopbackAddress(), coordinator.port())) {
            socket.getOutputStream().write(coordinator.rawPost(CHAT, HELLO + "}"));
            coordinator.worker().awaitStep();
        }
        assertEndsEarly();
    }

    @Test
    void clientThatDoesNotReadLosesItsRequestAndDelaysNobody() throws Exception {
        restart(TestModel.worker(50_000_000), TestCoordinator.engine(4, 4, 64));
        coordinator.worker().script(TestModel.tokens("word")); // over and over, without an end
        coordinator.worker().script(TestModel.answer("Quick."));
        try (Socket socket = new Socket()) {
            socket.setReceiveBufferSize(1024);
            socket.connect(
                    new InetSocketAddress(InetAddress.getLoopbackAddress(), coordinator.port()));
            socket.getOutputStream().write(coordinator.rawPost(CHAT, HELLO + ", 'stream': true}"));
            long slow = coordinator.worker().awaitOpened();
            Reply quick = coordinator.post(CHAT, HELLO + "}");
            assertEquals("Quick.", choice(quick.json()).path("message").path("content").asText());
            Set<Long> closed = new HashSet<>();
            closed.add(coordinator.worker().awaitClosed());
            closed.add(coordinator.worker().awaitClosed());
            assertTrue(closed.contains(slow), "closed: " + closed);
        }
    }

    @Test
    void clientThatReadsGetsALongStreamWhole() throws Exception {
        int[] tokens = TestModel.tokens("word ".repeat(100));
        coordinator.worker().script(tokens);
        Reply reply =
                coordinator.post(
                        CHAT, HELLO + ", 'stream': true, 'max_tokens': " + tokens.length + "}");
        assertEquals("word ".repeat(100), joined(reply.events(), "content"));
    }

    @Test
    void stoppingCoordinatorFinishesWhatItBeganAndTakesNothingNew() throws Exception {
        coordinator.worker().hold();
        coordinator.worker().script(TestModel.answer("Last words."));
        CompletableFuture<Reply> begun = coordinator.postAsync(CHAT, HELLO + "}");
        coordinator.worker().awaitStep();
        CompletableFuture<Void> closing =
                CompletableFuture.runAsync(coordinator.coordinator()::close);
        coordinator.awaitReadiness(503);
        Reply refused = coordinator.post(CHAT, HELLO + ", 'max_tokens': 1}");
        assertError(refused, 503, "not_ready", null);
        coordinator.worker().releaseAll();
        assertEquals(
                "Last words.", choice(begun.get().json()).path("message").path("content").asText());
        closing.get();
    }

    private void restart(FakeAttentionWorker worker, EngineSettings engine) {
        coordinator.close();
        coordinator =
                new TestCoordinator(worker, TestCoordinator.http(Duration.ofMinutes(1)), engine);
    }

    /// Lets the held worker go on until the sequence is closed, which must be long before its last token.
    private void assertEndsEarly() throws InterruptedException {
        int steps = 0;
        while (!coordinator.worker().closedWithin(Duration.ofMillis(20))) {
            assertTrue(steps++ < 400, "it went on");
            coordinator.worker().release(1);
        }
    }

    private static JsonNode choice(JsonNode body) {
        return body.path("choices").path(0);
    }

    private static JsonNode delta(JsonNode chunk) {
        return choice(chunk).path("delta");
    }

    private static String joined(List<JsonNode> chunks, String field) {
        StringBuilder joined = new StringBuilder();
        chunks.forEach(chunk -> joined.append(delta(chunk).path(field).asText()));
        return joined.toString();
    }

    private static void assertError(Reply reply, int status, String code, String param)
            throws Exception {
        assertEquals(status, reply.status(), reply.body());
        assertTrue(reply.header("content-type").startsWith("application/json"), reply.toString());
        JsonNode error = reply.json().path("error");
        assertEquals(code, error.path("code").asText(), reply.body());
        assertFalse(error.path("message").asText().isBlank(), reply.body());
        assertFalse(error.path("type").asText().isBlank(), reply.body());
        if (param == null) {
            assertTrue(error.path("param").isNull(), reply.body());
        } else {
            assertEquals(param, error.path("param").asText(), reply.body());
        }
        assertFalse(reply.body().contains("\\tat "), reply.body());
    }
}
