package io.atoll.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import org.junit.jupiter.api.Test;

class ProgressLineTest {
    private static final long SECOND = 1_000_000_000L;

    private final ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    private final PrintStream out = new PrintStream(bytes, true, StandardCharsets.UTF_8);
    private long now;

    @Test
    void logGetsALineWithRateAndTimeLeftEveryTenSeconds() {
        try (ProgressLine line = new ProgressLine("copying", 4_000_000_000L, out, false, () -> now)) {
            for (int second = 1; second <= 12; second++) {
                now = second * SECOND;
                line.update(100_000_000L * second);
            }
        }
        assertEquals(
                "copying:  25 %, 1.0 of 4.0 GB, 0.10 GB/s, 0:30 left", printed().strip());
    }

    @Test
    void terminalLineIsWrittenOverAndGoesAwayAtTheEnd() {
        try (ProgressLine line = new ProgressLine("copying", 4_000_000_000L, out, true, () -> now)) {
            now = SECOND;
            line.update(1_000_000_000L);
            now = 2 * SECOND;
            line.update(2_000_000_000L);
        }
        assertTrue(printed().contains("\rcopying:  50 %, 2.0 of 4.0 GB, 1.00 GB/s, 0:02 left"));
        assertTrue(printed().endsWith(" \r"), "the line is cleared");
        assertEquals(1, printed().lines().filter(part -> part.contains("50 %")).count());
    }

    @Test
    void quickWorkPrintsNothing() {
        try (ProgressLine line = new ProgressLine("copying", 10, out, true, () -> now)) {
            line.update(10);
        }
        assertEquals("", printed());
    }

    private String printed() {
        return bytes.toString(StandardCharsets.UTF_8);
    }
}
