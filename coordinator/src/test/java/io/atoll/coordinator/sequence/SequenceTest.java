package io.atoll.coordinator.sequence;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.atoll.attention.step.SamplingParameters;
import io.atoll.attention.step.SequenceOptions;
import io.atoll.attention.step.StepOutcome;
import io.atoll.coordinator.TestModel;
import io.atoll.model.chat.ToolDefinitions;
import io.atoll.proto.ErrorCode;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import org.junit.jupiter.api.Test;

final class SequenceTest {
    private final List<GenerationEvent> events = new ArrayList<>();
    private static final OutputFormat THINKING =
            new OutputFormat.Chat(true, ToolDefinitions.NONE, true);

    private int room = Integer.MAX_VALUE;

    @Test
    void stopTokenEndsTheAnswerAndHasNoText() {
        Sequence sequence = sequence(100, List.of(), OutputFormat.PLAIN);
        assertTrue(play(sequence, TestModel.tokens("Hi there")));
        assertFalse(accept(sequence, TestModel.END_OF_TURN, 0));
        assertEquals("Hi there", content());
        assertEquals(FinishReason.STOP, end().reason());
        assertEquals(TestModel.tokens("Hi there").length + 1, end().stats().outputTokens());
    }

    @Test
    void lastTokenAllowedEndsTheAnswer() {
        Sequence sequence = sequence(2, List.of(), OutputFormat.PLAIN);
        assertTrue(accept(sequence, 10, 0));
        assertFalse(accept(sequence, 11, 0));
        assertEquals(FinishReason.LENGTH, end().reason());
        assertArrayEquals(new int[] {10, 11}, end().tokens());
    }

    @Test
    void stopStringAtTheLastTokenCountsAsAStop() {
        int[] tokens = TestModel.tokens("say STOP");
        Sequence sequence = sequence(tokens.length, List.of("STOP"), OutputFormat.PLAIN);
        assertFalse(play(sequence, tokens));
        assertEquals(FinishReason.STOP, end().reason());
        assertEquals("say ", content());
    }

    @Test
    void heldBackTextIsSentWhenTheAnswerIsCut() {
        int[] tokens = TestModel.tokens("say STO");
        Sequence sequence = sequence(tokens.length, List.of("STOP"), OutputFormat.PLAIN);
        assertFalse(play(sequence, tokens));
        assertEquals(FinishReason.LENGTH, end().reason());
        assertEquals("say STO", content());
    }

    @Test
    void characterCutByTheLengthBecomesAReplacementCharacter() {
        int[] duck = TestModel.tokens("🦆");
        assertTrue(duck.length > 1, "must be split over tokens");
        Sequence sequence = sequence(1, List.of(), OutputFormat.PLAIN);
        assertFalse(play(sequence, Arrays.copyOf(duck, 1)));
        assertEquals("\uFFFD", content());
    }

    @Test
    void reasoningIsCountedUntilTheAnswerBegins() {
        int[] thought = TestModel.tokens("hm hm\n</think>\n\n");
        int[] said = TestModel.tokens("Yes!");
        Sequence sequence = sequence(100, List.of(), THINKING);
        play(sequence, thought);
        play(sequence, said);
        accept(sequence, TestModel.END_OF_TURN, 0);
        assertEquals("Yes!", content());
        assertEquals(thought.length, end().stats().reasoningTokens());
        assertEquals(thought.length + said.length + 1, end().stats().outputTokens());
    }

    @Test
    void sinkWithoutRoomEndsTheSequence() {
        Sequence sequence = sequence(100, List.of(), OutputFormat.PLAIN);
        room = 1;
        int[] tokens = TestModel.tokens("one two three");
        assertTrue(accept(sequence, tokens[0], 0));
        assertFalse(accept(sequence, tokens[1], 0));
        var failed = assertInstanceOf(GenerationEvent.Failed.class, events.getLast());
        assertEquals(ErrorCode.CANCELLED, failed.failure().code());
    }

    @Test
    void statsHoldTheTimesSinceArrival() {
        Sequence sequence = sequence(3, List.of(), OutputFormat.PLAIN);
        sequence.started(seconds(11), 0);
        accept(sequence, 10, seconds(12));
        accept(sequence, 11, seconds(13));
        accept(sequence, 12, seconds(14));
        GenerationStats stats = end().stats();
        assertEquals(Duration.ofSeconds(1), stats.queued());
        assertEquals(Duration.ofSeconds(2), stats.timeToFirstToken());
        assertEquals(Duration.ofSeconds(4), stats.total());
        assertEquals(1.0, stats.tokensPerSecond());
    }

    @Test
    void optionsReserveThePromptAndTheLongestAnswer() {
        assertEquals(
                new SequenceOptions(2, 9, SamplingParameters.GREEDY),
                sequence(7, List.of(), OutputFormat.PLAIN).options());
    }

    @Test
    void aPromptsScoresComeOnceThoughASequenceThatWasSetAsideBringsThemAgain() {
        Sequence sequence = scored(new int[] {1, 2, 3, 4});
        sequence.scored(List.of(score(1, 2), score(2, 3)));
        sequence.scored(List.of(score(1, 2))); // set aside, and from the beginning again
        sequence.scored(List.of(score(2, 3), score(3, 4)));
        List<TokenLogprobs> all =
                events.stream()
                        .flatMap(event -> ((GenerationEvent.Output) event).logprobs().stream())
                        .toList();
        assertEquals(List.of(1, 2, 3, 4), all.stream().map(each -> each.chosen().token()).toList());
        assertTrue(Float.isNaN(all.getFirst().chosen().logprob()));
        assertEquals(-3, all.get(2).chosen().logprob());
    }

    @Test
    void aReaderTooSlowForAPromptsScoresHasOneEndAndTheSequenceGoesNoFurther() {
        Sequence sequence = scored(new int[] {1, 2, 3});
        room = 1;
        sequence.scored(List.of(score(1, 2)));
        sequence.scored(List.of(score(2, 3)));
        assertFalse(accept(sequence, 10, 0));
        assertEquals(2, events.size());
        assertInstanceOf(GenerationEvent.Failed.class, events.getLast());
    }

    private static StepOutcome.Scored score(int position, int token) {
        return new StepOutcome.Scored(1, position, token, -token, List.of());
    }

    private Sequence sequence(int maxOutputTokens, List<String> stops, OutputFormat format) {
        return sequence(
                new int[] {1, 2}, maxOutputTokens, stops, format, OptionalInt.empty(), false);
    }

    private Sequence scored(int[] prompt) {
        return sequence(prompt, 5, List.of(), OutputFormat.PLAIN, OptionalInt.of(0), true);
    }

    private Sequence sequence(
            int[] prompt,
            int maxOutputTokens,
            List<String> stops,
            OutputFormat format,
            OptionalInt topLogprobs,
            boolean promptLogprobs) {
        GenerationRequest request =
                new GenerationRequest(
                        prompt,
                        new int[0],
                        maxOutputTokens,
                        SamplingParameters.GREEDY,
                        Set.of(TestModel.END_OF_TURN),
                        stops,
                        format,
                        topLogprobs,
                        promptLogprobs,
                        Optional.empty(),
                        0,
                        Duration.ofSeconds(1),
                        Duration.ofSeconds(1));
        return new Sequence(
                1, request, TestModel.model().outputText(request), this::offer, seconds(10));
    }

    private static boolean accept(Sequence sequence, int token, long nowNanos) {
        return sequence.accept(new StepOutcome.Sampled(1, token, -1, List.of()), nowNanos);
    }

    private boolean offer(GenerationEvent event) {
        if (!(event instanceof GenerationEvent.End) && events.size() >= room) {
            return false;
        }
        return events.add(event);
    }

    private static boolean play(Sequence sequence, int[] tokens) {
        boolean goesOn = true;
        for (int token : tokens) {
            goesOn = accept(sequence, token, 0);
        }
        return goesOn;
    }

    private String content() {
        StringBuilder content = new StringBuilder();
        for (GenerationEvent event : events) {
            if (event instanceof GenerationEvent.Output text) {
                content.append(text.content());
            }
        }
        return content.toString();
    }

    private GenerationEvent.Finished end() {
        return assertInstanceOf(GenerationEvent.Finished.class, events.getLast());
    }

    private static long seconds(long seconds) {
        return Duration.ofSeconds(seconds).toNanos();
    }
}
