package io.atoll.coordinator.sequence;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import org.junit.jupiter.api.Test;

final class StopStringsTest {
    @Test
    void textPassesWithoutStopStrings() {
        assertEquals("anything", new StopStrings(List.of()).append("anything"));
    }

    @Test
    void stopStringAndWhatFollowsAreCut() {
        StopStrings stops = new StopStrings(List.of("END"));
        assertEquals("a ", stops.append("a END b"));
        assertTrue(stops.found());
        assertEquals("", stops.append("more"));
        assertEquals("", stops.finish());
    }

    @Test
    void beginningOfAStopStringIsHeldBackAcrossPieces() {
        StopStrings stops = new StopStrings(List.of("STOP"));
        assertEquals("a", stops.append("aS"));
        assertEquals("", stops.append("TO"));
        assertEquals("", stops.append("P"));
        assertTrue(stops.found());
    }

    @Test
    void whatTurnsOutToBeNoStopStringIsReleased() {
        StopStrings stops = new StopStrings(List.of("STOP"));
        assertEquals("", stops.append("STO"));
        assertEquals("STO", stops.append("ST"));
        assertEquals("STx", stops.append("x"));
        assertFalse(stops.found());
    }

    @Test
    void heldBackTextComesAtTheEnd() {
        StopStrings stops = new StopStrings(List.of("STOP"));
        assertEquals("a", stops.append("aSTO"));
        assertEquals("STO", stops.finish());
    }

    @Test
    void stopStringThatIsCompleteFirstCuts() {
        StopStrings stops = new StopStrings(List.of("bcd", "c"));
        assertEquals("ab", stops.append("abcd"));
    }

    @Test
    void cutDoesNotDependOnHowTheTextArrives() {
        long first =
                Optional.ofNullable(System.getProperty("seed"))
                        .filter(seed -> !seed.isBlank())
                        .map(Long::parseLong)
                        .orElseGet(() -> new Random().nextLong());
        System.out.println("StopStringsTest: -Dseed=" + first);
        for (int run = 0; run < 3000; run++) {
            Random random = new Random(first + run);
            String text = word(random, 0, 20);
            List<String> stops = new ArrayList<>();
            for (int i = random.nextInt(3); i >= 0; i--) {
                stops.add(word(random, 1, 4));
            }
            StopStrings matcher = new StopStrings(stops);
            StringBuilder out = new StringBuilder();
            for (int at = 0; at < text.length() && !matcher.found(); ) {
                int end = Math.min(text.length(), at + 1 + random.nextInt(4));
                out.append(matcher.append(text.substring(at, end)));
                at = end;
            }
            out.append(matcher.finish());
            int cut = cut(text, stops);
            String label = text + " " + stops;
            assertEquals(cut >= 0, matcher.found(), label);
            assertEquals(cut >= 0 ? text.substring(0, cut) : text, out.toString(), label);
        }
    }

    /// The slow twin: the first end of the text, grown by a character at a time, that is a stop string.
    private static int cut(String text, List<String> stops) {
        for (int end = 1; end <= text.length(); end++) {
            String grown = text.substring(0, end);
            int start =
                    stops.stream()
                            .filter(grown::endsWith)
                            .mapToInt(stop -> grown.length() - stop.length())
                            .min()
                            .orElse(-1);
            if (start >= 0) {
                return start;
            }
        }
        return -1;
    }

    private static String word(Random random, int shortest, int more) {
        StringBuilder word = new StringBuilder();
        for (int i = shortest + random.nextInt(more); i > 0; i--) {
            word.append((char) ('a' + random.nextInt(2)));
        }
        return word.toString();
    }
}
